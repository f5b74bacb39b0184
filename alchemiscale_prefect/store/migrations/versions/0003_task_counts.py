"""task counts"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATUSES = ("waiting", "running", "complete", "error", "invalid", "deleted")


def each(form: str, separator: str = ", ") -> str:
    return separator.join(form.format(status=status) for status in STATUSES)


# Once per statement, whatever it changed. `skip locked`: see the table. They run as the owner of the table, since who
# changes a Task may be allowed less. Each session plans them once, maybe for one row of an empty table: hence no
# sequential scan, and no join that would be slow for thousands.
FUNCTION = """
create function {name}() returns trigger
language plpgsql security definer set search_path = {schema}, pg_temp set enable_seqscan = off as $$
begin
    if not ({changed}) then
        return null;
    end if;
    with given as materialized (
        select transformation_id, {sums}
        from ({changes}) change
        group by transformation_id having {counted}),
    placed as materialized (
        select given.*, count.id
        from given left join lateral (
            select id from task_count where task_count.transformation_id = given.transformation_id
            limit 1 for update skip locked) count on true),
    counted as (
        update task_count set {added} from placed where task_count.id = placed.id)
    insert into task_count (scope_id, transformation_id, {columns})
    select transformation.scope_id, placed.transformation_id, {columns}
    from placed join transformation on transformation.id = placed.transformation_id
    where placed.id is null;
    return null;
end
$$
"""

NEW = "select transformation_id, status, 1 as n from new_task"
GONE = "select transformation_id, status, -1 as n from old_task"
# most updates are of claims, which change no status. No join: planned once for one row, it would be slow for thousands
CHANGED = """exists (
        select transformation_id, status from new_task
        except all select transformation_id, status from old_task)"""
# name -> event, transition tables, what it counts, whether there is anything to count
TRIGGERS = {
    "count_new": ("insert", "new table as new_task", NEW, "exists (select 1 from new_task)"),
    "count_gone": ("delete", "old table as old_task", GONE, "exists (select 1 from old_task)"),
    "count_changed": ("update", "old table as old_task new table as new_task", f"{NEW} union all {GONE}", CHANGED),
}

RECOUNT = f"""
insert into task_count (scope_id, transformation_id, {each("{status}")})
select scope_id, transformation_id, {each("count(*) filter (where status = '{status}')")} from task group by 1, 2
"""  # noqa: S608  the interpolated text is made of constants


def upgrade() -> None:
    op.create_table(
        "task_count",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("scope_id", sa.Integer(), nullable=False),
        sa.Column("transformation_id", sa.BigInteger(), nullable=False),
        *(sa.Column(status, sa.Integer(), server_default=sa.text("0"), nullable=False) for status in STATUSES),
        sa.ForeignKeyConstraint(["scope_id"], ["scope.id"], name=op.f("fk_task_count_scope_id")),
        sa.ForeignKeyConstraint(
            ["transformation_id"],
            ["transformation.id"],
            name=op.f("fk_task_count_transformation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_count")),
    )
    op.create_index("ix_task_count_transformation_id", "task_count", ["transformation_id"])
    # room on each page for the next versions of its rows, so that the indexes stay as they are
    op.execute("alter table task_count set (fillfactor = 50)")
    schema = op.get_bind().execute(sa.text("select quote_ident(current_schema())")).scalar_one()
    # the triggers first: making them keeps every writer out until this is committed
    for name, (event, tables, changes, changed) in TRIGGERS.items():
        op.execute(
            FUNCTION.format(
                name=name,
                schema=schema,
                changes=changes,
                sums=each("cast(coalesce(sum(n) filter (where status = '{status}'), 0) as int) as {status}"),
                changed=changed,
                counted=each("sum(n) filter (where status = '{status}') <> 0", " or "),
                added=each("{status} = task_count.{status} + placed.{status}"),
                columns=each("{status}"),
            )
        )
        op.execute(
            f"create trigger {name} after {event} on task referencing {tables} "
            f"for each statement execute function {name}()"
        )
    op.execute(RECOUNT)
