"""Complete Tasks copied from scope to scope, with all their results; the bytes of these are shared.

The caller has entered the target scope (`scopes.enter`): nobody else copies into it meanwhile.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from alchemiscale_prefect.store.queries.copies import MAP, mapped, with_ids

# Copies of one Task, whatever way they took, are all of the same original: so the next copy finds them. The original,
# where a copy comes home to it, is there already.
_CANDIDATES = with_ids(
    f"""
    {MAP},
    edge as materialized (
        select distinct map.old, map.new
        from network_transformation link join map on map.old = link.transformation_id
        where link.network_id = any(:networks)),
    candidate as (
        select t.id, coalesce(t.copied_from_id, t.id) as original, edge.new as transformation_id
        from edge join task t on t.transformation_id = edge.old and t.status = 'complete'
        where exists (select 1 from result r where r.task_id = t.id and r.ok))
    select distinct on (original, transformation_id) id, original, transformation_id
    from candidate
    where not exists (
            select 1 from task there
            where there.copied_from_id = original and there.transformation_id = candidate.transformation_id)
      and not exists (
            select 1 from task there
            where there.id = original and there.transformation_id = candidate.transformation_id)
    order by original, transformation_id, id
    """,  # noqa: S608
    "olds",
    "news",
    "networks",
)

# the Task of the target scope that stands for the one which a copied Task extends
_PARENTS = """
    select source.id as source_id, parent.id, parent.status
    from unnest(:tasks, :transformations) as given(id, transformation_id)
    join task source on source.id = given.id
    join task extended on extended.id = source.extends_id
    join task parent on parent.transformation_id = given.transformation_id
     and coalesce(extended.copied_from_id, extended.id) in (parent.id, parent.copied_from_id)
"""

# in the one order that everybody uses; the new rows' foreign keys would lock them too, in an order of their own
_LOCK = with_ids(
    f"""
    select id from task
    where id = any(:originals) or id in (select id from ({_PARENTS}) parent)
    order by id for key share
    """,  # noqa: S608
    "originals",
    "tasks",
    "transformations",
)

_COPY_TASKS = with_ids(
    """
    insert into task (key, scope_id, transformation_id, status, status_changed_at, priority, creator, copied_from_id,
                      attempts, created_at)
    select 'Task-' || replace(cast(gen_random_uuid() as text), '-', ''), :scope, given.transformation_id,
           t.status, t.status_changed_at, t.priority, t.creator, given.original, t.attempts, t.created_at
    from unnest(:tasks, :originals, :transformations) with ordinality as given(id, original, transformation_id, n)
    join task t on t.id = given.id
    order by given.n
    returning id
    """,
    "tasks",
    "originals",
    "transformations",
)

_EXTEND = with_ids(
    f"""
    update task copy set extends_id = parent.id
    from unnest(:copies, :tasks) as made(id, source_id)
    join ({_PARENTS}) parent on parent.source_id = made.source_id and parent.status = 'complete'
    where copy.id = made.id
    """,  # noqa: S608
    "copies",
    "tasks",
    "transformations",
)

# nothing of a lease, and no tags: those name the networks of another scope
_COPY_ATTEMPTS = with_ids(
    """
    insert into attempt (task_id, n, pool, state, tags, flow_run_id, host, units_done, units_total, reason,
                         launched_at, started_at, ended_at, flow_run_settled, created_at)
    select made.id, a.n, a.pool, a.state, '[]', a.flow_run_id, a.host, a.units_done, a.units_total, a.reason,
           a.launched_at, a.started_at, a.ended_at, true, a.created_at
    from unnest(:copies, :tasks) as made(id, source_id)
    join attempt a on a.task_id = made.source_id
    where exists (select 1 from result r where r.task_id = a.task_id and r.attempt = a.n)
    """,
    "copies",
    "tasks",
)

_COPY_RESULTS = with_ids(
    """
    insert into result (key, scope_id, transformation_id, task_id, attempt, ok, protocol_dag_result_key, location,
                        size, estimate, uncertainty, units, tracebacks, creator, gufe_version, created_at)
    select 'ProtocolDAGResultRef-' || replace(cast(gen_random_uuid() as text), '-', ''), t.scope_id,
           t.transformation_id, t.id, r.attempt, r.ok, r.protocol_dag_result_key, r.location,
           r.size, r.estimate, r.uncertainty, r.units, r.tracebacks, r.creator, r.gufe_version, r.created_at
    from unnest(:copies, :tasks) as made(id, source_id)
    join task t on t.id = made.id
    join result r on r.task_id = made.source_id
    order by r.id
    """,
    "copies",
    "tasks",
)


def copy_complete(connection: Connection, network_ids: Sequence[int], ids: Mapping[int, int], scope_id: int) -> int:
    """Copy the complete Tasks of networks into a scope, with all their results; those copied before are left out.

    A copied Task extends the copy of the Task that the original extends, if that one is there and complete.

    Parameters
    ----------
    network_ids
        In other scopes.
    ids
        From `copy_objects`.

    Returns
    -------
    int
        How many are new.
    """
    rows = connection.execute(_CANDIDATES, {"networks": list(network_ids), **mapped(ids)}).all()
    if not rows:
        return 0
    tasks = [row.id for row in rows]
    given = {"tasks": tasks, "transformations": [row.transformation_id for row in rows]}
    originals = [row.original for row in rows]
    connection.execute(_LOCK, {"originals": originals, **given})
    copies = sorted(connection.execute(_COPY_TASKS, {"originals": originals, "scope": scope_id, **given}).scalars())
    connection.execute(_EXTEND, {"copies": copies, **given})
    connection.execute(_COPY_ATTEMPTS, {"copies": copies, "tasks": tasks})
    connection.execute(_COPY_RESULTS, {"copies": copies, "tasks": tasks})
    return len(copies)
