"""What became of Tasks, and what a scope has used."""

from collections.abc import Sequence
from datetime import timedelta

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.attempts import LIVE, outcome_of
from alchemiscale_prefect.domain.errors import InvalidInput, NotFound
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.services.tasks import accessible
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import history, scopes, tasks, transitions
from alchemiscale_prefect.store.queries.history import AttemptRow, DetailsRow, TracebacksRow
from alchemiscale_prefect.store.queries.transitions import TransitionRow
from alchemiscale_prefect.wire.history import (
    TaskAttempt,
    TaskDetails,
    TaskStatusChange,
    TaskTracebacks,
    TaskUnitTraceback,
)

# every attempt that ended since is looked at
MAX_HOURS = 24.0 * 31


def get_details(database: Database, principal: Principal, keys: Sequence[ScopedKey]) -> list[TaskDetails | None]:
    """Each Task as it stands, in this order; ``None`` for one that is not there or not the principal's."""
    with database.transaction() as connection:
        found = {name: row.id for name, row in tasks.find(connection, accessible(principal, keys)).items()}
        rows = history.details(connection, list(found.values()))
        last = history.last_attempts(connection, list(found.values()))
    live = {row.task_id: row for row in last if row.state in LIVE}
    ended = {row.task_id: row for row in last if row.state not in LIVE}

    def details(key: ScopedKey) -> TaskDetails | None:
        task_id = found.get(str(key))
        if task_id is None:
            return None
        return _details(key, rows[task_id], live.get(task_id), ended.get(task_id))

    return [details(key) for key in keys]


def get_units(database: Database, principal: Principal, keys: Sequence[ScopedKey]) -> list[tuple[int, int] | None]:
    """ProtocolUnits done and in all of each Task, in this order; ``None`` for one of which nothing is known."""
    with database.transaction() as connection:
        found = {name: row.id for name, row in tasks.find(connection, accessible(principal, keys)).items()}
        units = history.units(connection, list(found.values()))
    return [units.get(found[name]) if name in found else None for name in map(str, keys)]


def get_attempts(database: Database, principal: Principal, task: ScopedKey, limit: int | None) -> list[TaskAttempt]:
    """A Task's attempts, the most recent first; `NotFound` if it is not there."""
    principal.require(task.scope)
    with database.transaction() as connection:
        rows = history.attempts(connection, _require_task(connection, task), limit)
    return [_attempt(row, task.scope) for row in rows]


def get_status_changes(
    database: Database, principal: Principal, task: ScopedKey, limit: int | None
) -> list[TaskStatusChange]:
    """The changes of a Task's status, the most recent first; `NotFound` if it is not there."""
    principal.require(task.scope)
    with database.transaction() as connection:
        rows = transitions.of_task(connection, _require_task(connection, task), limit)
    return [_change(row) for row in rows]


def get_tracebacks(
    database: Database, principal: Principal, task: ScopedKey, limit: int | None
) -> list[TaskTracebacks]:
    """Why a Task's attempts failed, the most recent first; `NotFound` if it is not there."""
    principal.require(task.scope)
    with database.transaction() as connection:
        rows = history.tracebacks(connection, _require_task(connection, task), limit)
    return [_tracebacks(row, task.scope) for row in rows]


def compute_share(database: Database, everything: Database, principal: Principal, scope: Scope, hours: float) -> float:
    """Which part of all the time that attempts ran in the last `hours` was spent on a scope.

    Parameters
    ----------
    database, everything
        As the principal sees it, and as it is: the whole is what all scopes used together, which is no secret.
    scope
        May have wildcards; of these counts what the principal sees.

    Returns
    -------
    float
        Between 0 and 1; 0 if nothing ran.
    """
    if not 0.0 < hours <= MAX_HOURS:
        raise InvalidInput(f"`hours` must be more than 0 and at most {MAX_HOURS:.0f}", field="hours")
    with database.transaction() as connection:
        scope_ids = scopes.covered(connection, principal.visible(scope))
    with everything.transaction() as connection:
        part, whole = history.seconds_run(connection, scope_ids, timedelta(hours=hours))
    return part / whole if whole > 0.0 else 0.0


def _require_task(connection: Connection, key: ScopedKey) -> int:
    row = tasks.find(connection, [key]).get(str(key))
    if row is None:
        raise NotFound("No such object in database", field="task")
    return row.id


def _details(key: ScopedKey, row: DetailsRow, live: AttemptRow | None, ended: AttemptRow | None) -> TaskDetails:
    return TaskDetails(
        task=key,
        status=TaskStatus(row.status),
        datetime_status_changed=row.status_changed_at,
        reason=row.reason,
        priority=row.priority,
        creator=row.creator,
        datetime_created=row.created_at,
        extends=None if row.extends is None else ScopedKey.of(row.extends, key.scope),
        not_before=row.not_before,
        num_claims=row.attempts,
        current_claim=None if live is None else _attempt(live, key.scope),
        most_recent_attempt=None if ended is None else _attempt(ended, key.scope),
    )


def _attempt(row: AttemptRow, scope: Scope) -> TaskAttempt:
    return TaskAttempt(
        n=row.n,
        pool=row.pool,
        flow_run_id=row.flow_run_id,
        hostname=row.host,
        datetime_claimed=row.created_at,
        datetime_started=row.started_at,
        datetime_end=row.ended_at,
        outcome=outcome_of(row.state, row.lease_expires_at, row.ended_at),
        units_completed=row.units_done,
        units_total=row.units_total,
        fraction=row.fraction,
        protocoldagresultref=None if row.result is None else ScopedKey.of(row.result, scope),
        reason=row.reason,
    )


def _change(row: TransitionRow) -> TaskStatusChange:
    return TaskStatusChange(
        datetime_changed=row.changed_at,
        from_status=TaskStatus(row.from_status),
        to_status=TaskStatus(row.to_status),
        cause=row.cause,
        who=row.who,
        why=row.why,
        attempt=row.attempt,
        hostname=row.host,
    )


def _tracebacks(row: TracebacksRow, scope: Scope) -> TaskTracebacks:
    if row.key is None:
        # the ProtocolDAG could not even be made; all there is to say is in the reason
        units = [
            TaskUnitTraceback(
                failure_key=None, source_key=None, name=None, exception=None, traceback=row.reason or "no reason given"
            )
        ]
    else:
        units = [TaskUnitTraceback.model_validate(item) for item in row.tracebacks or ()]
    return TaskTracebacks(
        protocoldagresultref=None if row.key is None else ScopedKey.of(row.key, scope),
        datetime_created=row.created_at,
        creator=row.creator,
        n=row.n,
        tracebacks=units,
    )
