"""What our tables say of flow runs, checkpoints and bytes that are held against them."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Integer, Text, Uuid

from alchemiscale_prefect.domain.tasks import TaskStatus

_FINAL = (TaskStatus.complete, TaskStatus.invalid, TaskStatus.deleted)
_PART = re.compile(r"\.files-\d+$")


def pools(connection: Connection) -> list[str]:
    """The work pools that have attempts under way, or flow runs to be stopped."""
    rows = connection.execute(
        text(
            "select pool from attempt where state in ('dispatched', 'running') union "
            "select pool from attempt where state in ('cancelled', 'lost') and flow_run_id is not null "
            "and not flow_run_settled order by pool"
        )
    )
    return list(rows.scalars())


def unwanted(
    connection: Connection, flow_runs: Mapping[UUID, tuple[str, int]], grace: timedelta
) -> Sequence[tuple[UUID, str]]:
    """Those of these flow runs (a Task's own key, number of the attempt) whose attempt is over, or has another one.

    Not those that ended less than `grace` ago, nor those that are to be cancelled anyway (`attempts.unsettled`); nor
    those of Tasks that are not ours: another installation may use the same orchestrator.

    Returns
    -------
    list of tuple
        The flow run and its Task's own key.
    """
    if not flow_runs:
        return []
    given = list(flow_runs.items())
    rows = connection.execute(
        text(
            """
            select given.run, given.task
            from unnest(:runs, :tasks, :ns) as given(run, task, n)
            join task t on t.key = given.task
            left join attempt a on a.task_id = t.id and a.n = given.n
            where a.task_id is null
               or (a.state in ('dispatched', 'running') and a.flow_run_id <> given.run)
               or (a.state not in ('dispatched', 'running') and a.ended_at < now() - :grace
                   and (a.flow_run_settled or a.flow_run_id is distinct from given.run))
            """
        ).bindparams(
            bindparam("runs", type_=ARRAY(Uuid)),
            bindparam("tasks", type_=ARRAY(Text)),
            bindparam("ns", type_=ARRAY(Integer)),
        ),
        {
            "runs": [run for run, _ in given],
            "tasks": [task for _, (task, _) in given],
            "ns": [n for _, (_, n) in given],
            "grace": grace,
        },
    )
    return [(row.run, row.task) for row in rows]


def never_launched(connection: Connection, pool: str, older_than: timedelta) -> Sequence[tuple[int, int]]:
    """Attempts (Task id, number) that were claimed so long ago and have no flow run."""
    rows = connection.execute(
        text(
            "select task_id, n from attempt where pool = :pool and state = 'dispatched' and flow_run_id is null "
            "and created_at < now() - :age order by task_id"
        ),
        {"pool": pool, "age": older_than},
    )
    return [(row.task_id, row.n) for row in rows]


def keys(connection: Connection, task_ids: Collection[int]) -> list[str]:
    """The Tasks' own keys."""
    rows = connection.execute(text("select key from task where id = any(:tasks)"), {"tasks": list(task_ids)})
    return list(rows.scalars())


def stale_checkpoints(connection: Connection, limit: int) -> Mapping[int, str]:
    """Checkpoints of Tasks that will never run again: id and own key of up to `limit` Tasks, which are locked."""
    rows = connection.execute(
        text(
            """
            select t.id, t.key from task t
            where t.id in (select c.task_id from checkpoint c join task on task.id = c.task_id
                           where task.status = any(:final) order by c.task_id limit :limit)
              and not exists (select 1 from attempt a
                              where a.task_id = t.id and a.state in ('dispatched', 'running'))
            order by t.id for no key update of t skip locked
            """
        ),
        {"final": [status.value for status in _FINAL], "limit": limit},
    )
    return {row.id: row.key for row in rows}


def drop_checkpoints(connection: Connection, task_ids: Collection[int]) -> list[str]:
    """Forget the checkpoints of Tasks that the caller has locked; where their bytes are."""
    parameters = {"tasks": list(task_ids)}
    units = connection.execute(
        text("select location, file_parts from unit_result where task_id = any(:tasks)"), parameters
    ).all()
    dags = connection.execute(
        text("delete from checkpoint where task_id = any(:tasks) returning dag_location"), parameters
    ).scalars()
    locations = list(dags)
    for location, parts in units:
        locations += [location, *(f"{location}.files-{part}" for part in range(parts))]
    return locations


def named_results(connection: Connection, locations: Collection[str]) -> frozenset[str]:
    """Those of these locations that a result is kept at, or may be soon: of a Transformation that is being computed.

    A location has the key of its Transformation, under which its results are, copies in other Scopes too.
    """
    transformations = {location.split("/")[4] for location in locations if location.count("/") > 4}
    rows = connection.execute(
        text(
            """
            with ids as materialized (
                select o.id, o.key from scope s join gufe_object o on o.scope_id = s.id and o.key = any(:keys))
            select r.location, null as busy from result r
            where r.transformation_id in (select id from ids) and r.location = any(:locations)
            union all
            select null, ids.key from ids join task t on t.transformation_id = ids.id
            join attempt a on a.task_id = t.id and a.state = 'running'
            """
        ),
        {"keys": sorted(transformations), "locations": list(locations)},
    ).all()
    named = {row.location for row in rows}
    busy = {row.busy for row in rows if row.busy is not None}
    return frozenset(at for at in locations if at in named or (at.count("/") > 4 and at.split("/")[4] in busy))


def named_checkpoints(connection: Connection, locations: Collection[str]) -> frozenset[str]:
    """Those of these locations that a checkpoint names, or may soon: of a Task that is being computed."""
    tasks = {location: location.split("/")[4] for location in locations if location.count("/") == 5}
    rows = connection.execute(
        text(
            """
            select t.key, c.dag_location, u.location,
                   exists (select 1 from attempt a where a.task_id = t.id and a.state = 'running') as busy
            from task t left join checkpoint c on c.task_id = t.id left join unit_result u on u.task_id = t.id
            where t.key = any(:keys)
            """
        ),
        {"keys": sorted(set(tasks.values()))},
    ).all()
    named = {row.dag_location for row in rows} | {row.location for row in rows}
    busy = {row.key for row in rows if row.busy}
    return frozenset(at for at in locations if _PART.sub("", at) in named or tasks.get(at) in busy)
