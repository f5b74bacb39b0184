"""task counts"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Once per statement, whatever it changed. `skip locked`: see the table. Runs as the owner of the table, since who
# changes a Task may be allowed less.
_FUNCTION = """
create function count_tasks() returns trigger
language plpgsql security definer set search_path = {schema}, pg_temp as $$
declare
    transformations bigint[];
    statuses text[];
    changes bigint[];
begin
    if tg_op = 'INSERT' then
        select array_agg(transformation_id), array_agg(status), array_agg(change)
        into transformations, statuses, changes
        from (select transformation_id, status, count(*) as change from new_task group by 1, 2) sums;
    elsif tg_op = 'DELETE' then
        select array_agg(transformation_id), array_agg(status), array_agg(change)
        into transformations, statuses, changes
        from (select transformation_id, status, -count(*) as change from old_task group by 1, 2) sums;
    else
        select array_agg(transformation_id), array_agg(status), array_agg(change)
        into transformations, statuses, changes
        from (
            select transformation_id, status, sum(change) as change
            from (
                select transformation_id, status, 1 as change from new_task
                union all
                select transformation_id, status, -1 from old_task) each
            group by 1, 2 having sum(change) <> 0) sums;
    end if;
    if transformations is null then
        return null;
    end if;
    with given as materialized (
        select * from unnest(transformations, statuses, changes) as given(transformation_id, status, change)),
    free as materialized (
        select given.*, count.id
        from given, lateral (
            select id from task_count
            where task_count.transformation_id = given.transformation_id and task_count.status = given.status
            limit 1 for update skip locked) count),
    counted as (
        update task_count set tasks = tasks + free.change from free where task_count.id = free.id)
    insert into task_count (scope_id, transformation_id, status, tasks)
    select transformation.scope_id, given.transformation_id, given.status, given.change
    from given join transformation on transformation.id = given.transformation_id
    where not exists (
        select 1 from free
        where free.transformation_id = given.transformation_id and free.status = given.status);
    return null;
end
$$
"""

_TRIGGERS = (
    "create trigger count_new after insert on task referencing new table as new_task "
    "for each statement execute function count_tasks()",
    "create trigger count_gone after delete on task referencing old table as old_task "
    "for each statement execute function count_tasks()",
    "create trigger count_changed after update on task referencing old table as old_task new table as new_task "
    "for each statement execute function count_tasks()",
)

_RECOUNT = """
insert into task_count (scope_id, transformation_id, status, tasks)
select scope_id, transformation_id, status, count(*) from task group by 1, 2, 3
"""


def upgrade() -> None:
    op.create_table(
        "task_count",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("scope_id", sa.Integer(), nullable=False),
        sa.Column("transformation_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("tasks", sa.BigInteger(), nullable=False, comment="may be negative in one of several rows"),
        sa.ForeignKeyConstraint(["scope_id"], ["scope.id"], name=op.f("fk_task_count_scope_id")),
        sa.ForeignKeyConstraint(
            ["transformation_id"],
            ["transformation.id"],
            name=op.f("fk_task_count_transformation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_count")),
    )
    op.create_index("ix_task_count_transformation_id_status", "task_count", ["transformation_id", "status"])
    # room on each page for the next versions of its rows, so that the indexes stay as they are
    op.execute("alter table task_count set (fillfactor = 50)")
    schema = op.get_bind().execute(sa.text("select quote_ident(current_schema())")).scalar_one()
    op.execute(_FUNCTION.format(schema=schema))
    # the triggers first: making them keeps every writer out until this is committed
    for trigger in _TRIGGERS:
        op.execute(trigger)
    op.execute(_RECOUNT)
