"""What a compute flow run may do with its attempt: begin, checkpoint, heartbeat, finish.

The lease in Postgres is the authority. Every write names the attempt and its lease owner; a run whose attempt was
cancelled, given back or superseded is refused with `AttemptVoid`, and bytes it had stored before are orphans. One whose
lease ran out has it back as soon as it says anything, if no later attempt has begun: work is not thrown away.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import timedelta

from alchemiscale_prefect.domain.access import Permission, Principal
from alchemiscale_prefect.domain.attempts import AttemptId, AttemptState
from alchemiscale_prefect.domain.errors import AttemptVoid, InvalidInput, NotFound
from alchemiscale_prefect.domain.hosts import DEFAULT_POLICY, HostPolicy
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.losses import AT_ONCE, BackOff
from alchemiscale_prefect.domain.restarts import searched_text
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.domain.verdicts import loss_failure, unit_failure
from alchemiscale_prefect.services import hosts, restarts, run_results
from alchemiscale_prefect.services.results import StoredResult
from alchemiscale_prefect.services.run_results import Placed
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.objects.port import ObjectStore
from alchemiscale_prefect.store.queries import attempts, checkpoints, leases, losses, objects, results
from alchemiscale_prefect.store.queries.attempts import HeldAttempt
from alchemiscale_prefect.store.queries.checkpoints import UnitRecord
from alchemiscale_prefect.wire import compute as wire

_RESULT_KEY = re.compile(r"[A-Za-z0-9_.]+-[A-Za-z0-9]+")
# finishing may be said again
_FINISHING = (AttemptState.running, AttemptState.complete, AttemptState.error)
# of a lease that a run has back; its next heartbeat renews it
_REGAINED = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Run:
    """A compute flow run at work on an attempt.

    Attributes
    ----------
    task, n
        The attempt.
    owner
        The lease owner, ``<flow run id>/<run count>/<process>``.
    """

    task: ScopedKey
    n: int
    owner: str

    @property
    def attempt(self) -> AttemptId:
        """The attempt by the Task's own key."""
        return AttemptId(self.task.gufe_key, self.n)


def begin(
    database: Database,
    principal: Principal,
    run: Run,
    body: wire.Begin,
    lease: timedelta,
    *,
    everything: Database | None = None,
    policy: HostPolicy = DEFAULT_POLICY,
) -> wire.Begun:
    """Take the lease of an attempt and learn what to do.

    Parameters
    ----------
    everything
        The database without row-level security, where that of the principal has it: hosts run Tasks of all scopes.
    policy
        Which hosts are refused.

    Raises
    ------
    AttemptVoid
        The attempt was cancelled, superseded, or is held by another run: the caller ends quietly.
    HostRefused
        The host may not run it; the attempt is over.
    LeaseHeld
        A run of this Task that was cancelled, or this flow run's other process, may still be computing: ask again.
    NotAuthorized
        The Task's scope is not the identity's.
    """
    principal.require(run.task.scope, Permission.write)
    flow_run_id = _flow_run_id(body)
    hosts.admit(everything or database, run.task, run.n, flow_run_id, body.host, body.image, policy)
    with database.transaction() as connection:
        task_id = leases.begin(
            connection,
            run.attempt,
            who=principal.identifier,
            owner=run.owner,
            flow_run_id=flow_run_id,
            host=body.host,
            image=body.image,
            lease=lease,
        )
        if task_id is None:
            raise _void(run)
        held = _hold(connection, run)
        known = checkpoints.read(connection, task_id)
        transformation = objects.summary(connection, held.transformation_id)
        chain = objects.read(connection, held.transformation_id)
        return wire.Begun(
            transformation=str(ScopedKey.of(transformation.key, held.scope)),
            transformation_chain=chain.text.decode(),
            gufe_version=chain.gufe_version,
            extends=held.extends_id is not None,
            checkpoint=None
            if known is None
            else wire.Checkpoint(
                shared_id=known[0].shared_id,
                units=[_stored_unit(unit) for unit in known[1]],
            ),
            lease_seconds=lease.total_seconds(),
        )


def heartbeat(database: Database, principal: Principal, run: Run, body: wire.Heartbeat, lease: timedelta) -> None:
    """Renew the lease; `AttemptVoid` if it is no longer the run's, which then must stop."""
    principal.require(run.task.scope, Permission.write)
    units = (body.units_done, body.units_total, body.fraction)
    with database.transaction() as connection:
        if attempts.renew(connection, run.task, run.n, run.owner, lease, *units):
            return
    # in a transaction of its own: an attempt that changed while it was renewed stays locked, and the Task comes first
    with database.transaction() as connection:
        _hold_late(connection, run, (AttemptState.running,))
        attempts.renew(connection, run.task, run.n, run.owner, lease, *units)


def store_dag(
    database: Database, store: ObjectStore, principal: Principal, run: Run, shared_id: str, data: bytes
) -> None:
    """Keep the ProtocolDAG before its units run: unit keys are random, so a later attempt needs this very one."""
    principal.require(run.task.scope, Permission.write)
    location = f"{_folder(run.task)}/dag-{run.n}.zst"
    _require_held(database, run)
    store.put(location, data)
    with database.transaction() as connection:
        held = _hold(connection, run)
        replaced = checkpoints.start(connection, held.task_id, location, shared_id)
    store.delete(stale for stale in replaced if stale != location)


def store_unit(
    database: Database, store: ObjectStore, principal: Principal, run: Run, unit: wire.StoredUnit, data: bytes
) -> None:
    """Keep the result of one try of a ProtocolUnit, so that a lost worker costs one unit and not the whole DAG."""
    principal.require(run.task.scope, Permission.write)
    if _RESULT_KEY.fullmatch(unit.key) is None:
        raise InvalidInput(f"{unit.key!r} is not the key of a unit result", field="unit_result")
    location = f"{_folder(run.task)}/unit-{unit.key}.zst"
    _require_held(database, run)
    store.put(location, data)
    with database.transaction() as connection:
        held = _hold(connection, run)
        if checkpoints.read(connection, held.task_id) is None:
            raise InvalidInput("store the ProtocolDAG before its unit results", field="unit_result")
        record = UnitRecord(unit.key, unit.unit_key, unit.ok, location, unit.directory)
        checkpoints.add_unit(connection, held.task_id, run.n, record, len(data))


def store_files(
    database: Database,
    store: ObjectStore,
    principal: Principal,
    run: Run,
    key: str,
    part: int,
    query: wire.StoreFiles,
    data: bytes,
) -> None:
    """Keep a part of the files that a unit left in the shared directory, for an attempt on a host that has them not.

    Parts come in order; one may come again.
    """
    principal.require(run.task.scope, Permission.write)
    with database.transaction() as connection:
        unit = _unit(connection, run, key)
    if part > unit.file_parts:
        raise InvalidInput(f"part {part} of the files of {key} comes before part {unit.file_parts}", field="part")
    store.put(unit.part_location(part), data)
    with database.transaction() as connection:
        held = _hold(connection, run)
        checkpoints.add_part(connection, held.task_id, key, part, last=query.last, relocatable=query.relocatable)


def fetch_files(database: Database, store: ObjectStore, principal: Principal, run: Run, key: str, part: int) -> bytes:
    """A part of the files of a unit of the checkpoint; `NotFound` if it has no such."""
    principal.require(run.task.scope)
    with database.transaction() as connection:
        unit = _unit(connection, run, key)
    if part >= unit.file_parts:
        raise NotFound(f"the checkpoint of {run.task} has no part {part} of the files of {key}")
    return store.get(unit.part_location(part))


def fetch_dag(database: Database, store: ObjectStore, principal: Principal, run: Run) -> bytes:
    """The ProtocolDAG an earlier attempt kept; `NotFound` if there is none."""
    principal.require(run.task.scope)
    with database.transaction() as connection:
        known = checkpoints.read(connection, _hold(connection, run).task_id)
    if known is None:
        raise NotFound(f"Task {run.task} has no checkpoint")
    return store.get(known[0].dag_location)


def fetch_unit(database: Database, store: ObjectStore, principal: Principal, run: Run, key: str) -> bytes:
    """A unit result of the checkpoint; `NotFound` if it has no such."""
    principal.require(run.task.scope)
    with database.transaction() as connection:
        unit = _unit(connection, run, key)
    return store.get(unit.location)


def fetch_extends(database: Database, store: ObjectStore, principal: Principal, run: Run) -> StoredResult:
    """The latest ok ProtocolDAGResult of the Task this one extends; `NotFound` if there is none."""
    principal.require(run.task.scope)
    with database.transaction() as connection:
        parent = _hold(connection, run).extends_id
        stored = None if parent is None else results.latest_ok(connection, parent)
    if stored is None:
        raise NotFound(f"Task {run.task} extends no Task with an ok result")
    return StoredResult(store.get(stored.location), stored.gufe_version)


def store_result(
    database: Database, store: ObjectStore, principal: Principal, run: Run, key: str, ok: bool, data: bytes
) -> None:
    """Keep the bytes of a ProtocolDAGResult; `finish` makes them count."""
    principal.require(run.task.scope, Permission.write)
    location = _require_held(database, run, finishing=True).location(key, ok)
    store.put(location, data)


def finish(database: Database, store: ObjectStore, principal: Principal, run: Run, body: wire.Finish) -> wire.Finished:
    """Record the outcome, the Task's new status, and what restart patterns make of a failure, in one transaction.

    Saying it again, after the answer to the first time was lost, gives the same answer.

    Raises
    ------
    AttemptVoid
        The attempt is not the run's any more; the result does not count.
    InvalidInput
        The result it names was not stored, or ``ok`` without one.
    """
    principal.require(run.task.scope, Permission.write)
    size = _stored_size(database, store, run, body)
    texts = [searched_text(item.traceback, item.exception) for item in body.tracebacks]
    matches = None if body.ok or body.result is None else restarts.look_ahead(database, run.task, texts)
    stale: list[str] = []
    with database.transaction() as connection:
        held = _hold_late(connection, run, _FINISHING, finishing=True)
        if held.state != AttemptState.running:
            stored = attempts.result_of(connection, held)
            return _finished(run, held.state == AttemptState.complete, None if stored is None else stored[0])
        key = None
        if body.result is not None:
            key = run_results.record(connection, principal, held, body, size)
        elif body.ok:
            raise InvalidInput("`ok` without a `result`; store the ProtocolDAGResult first", field="result")
        state = AttemptState.complete if body.ok else AttemptState.error
        units = (body.units_done, body.units_total)
        attempts.end(connection, held, state, body.reason, units, failure=_failure(body))
        attempts.finish_task(connection, held, who=principal.identifier, ok=body.ok, reason=body.reason)
        if matches is not None:
            restarts.resolve(connection, [held.task_id], matches)
        stale = checkpoints.drop(connection, held.task_id)
    store.delete(stale)
    return _finished(run, body.ok, key)


def release(
    database: Database, principal: Principal, run: Run, body: wire.Release, max_losses: int, back_off: BackOff = AT_ONCE
) -> None:
    """Give an attempt back at once, as `wire.Release` says; the checkpoint stays for the next one.

    One that was cancelled is void already; its Task may begin anew then without waiting for the end of the lease.
    """
    principal.require(run.task.scope, Permission.write)
    with database.transaction() as connection:
        leases.note_stopped(connection, run.task, run.n, run.owner)
    with database.transaction() as connection:
        held = _hold(connection, run)
        # unless it was us: a run that is heard of after we had its flow run cancelled may have its lease back
        if body.cause == "cancelled" and not held.flow_run_settled:
            losses.call_off(connection, [(held.task_id, held.n)], body.reason, by_itself=True)
            return
        counted = body.cause == "failed"
        failure = loss_failure(body.reason, held.host) if counted else None
        attempts.end(connection, held, AttemptState.lost, body.reason, failure=failure)
        losses.wait_again(connection, [held.task_id], body.reason, max_losses, back_off, counted=counted)


def _failure(body: wire.Finish) -> str | None:
    # a ProtocolDAG that cannot be made is no host's fault
    if body.ok or not body.tracebacks:
        return None
    last = body.tracebacks[-1]
    return unit_failure(last.source_key, last.exception)


def _stored_size(database: Database, store: ObjectStore, run: Run, body: wire.Finish) -> int | None:
    # outside of the transaction that finishes: nobody waits for a Task's lock while the object store answers
    if body.result is None:
        return None
    placed = _require_held(database, run, _FINISHING, finishing=True)
    return store.size(placed.location(body.result, body.ok))


def _folder(task: ScopedKey) -> str:
    return f"checkpoint/{task.org}/{task.campaign}/{task.project}/{task.gufe_key}"


def _hold(connection: Connection, run: Run, states: tuple[AttemptState, ...] = (AttemptState.running,)) -> HeldAttempt:
    held = attempts.hold(connection, run.attempt, run.owner)
    if held is None or held.scope != run.task.scope or held.state not in states:
        raise _void(run)
    return held


def _unit(connection: Connection, run: Run, key: str) -> UnitRecord:
    unit = checkpoints.read_unit(connection, _hold(connection, run).task_id, key)
    if unit is None:
        raise NotFound(f"the checkpoint of {run.task} has no unit result {key}")
    return unit


def _stored_unit(unit: UnitRecord) -> wire.StoredUnit:
    complete = unit.files_complete
    return wire.StoredUnit(
        key=unit.key,
        unit_key=unit.unit_key,
        ok=unit.ok,
        directory=unit.directory,
        files=wire.StoredFiles(parts=unit.file_parts, relocatable=unit.files_relocatable) if complete else None,
    )


def _hold_late(
    connection: Connection, run: Run, states: tuple[AttemptState, ...], *, finishing: bool = False
) -> HeldAttempt:
    """`_hold`, for what is worth having from a run that was given up for lost too."""
    held = attempts.hold(connection, run.attempt, run.owner)
    if held is not None and held.scope == run.task.scope and held.state == AttemptState.lost:
        losses.regain(connection, held.task_id, held.n, _REGAINED, finishing=finishing)
    return _hold(connection, run, states)


def _require_held(
    database: Database,
    run: Run,
    states: tuple[AttemptState, ...] = (AttemptState.running,),
    *,
    finishing: bool = False,
) -> Placed:
    # before the bytes are stored: a fenced writer leaves as little as can be
    with database.transaction() as connection:
        return Placed.of(connection, _hold_late(connection, run, states, finishing=finishing))


def _flow_run_id(body: wire.Begin) -> uuid.UUID:
    try:
        return uuid.UUID(body.flow_run_id)
    except ValueError as error:
        raise InvalidInput(f"{body.flow_run_id!r} is not a flow run id (a UUID)", field="flow_run_id") from error


def _void(run: Run) -> AttemptVoid:
    return AttemptVoid(
        f"attempt {run.n} of {run.task} is not (or no longer) this run's; it was cancelled, lost or superseded"
    )


def _finished(run: Run, ok: bool, key: str | None) -> wire.Finished:
    result = None if key is None else str(ScopedKey.of(key, run.task.scope))
    return wire.Finished(status=TaskStatus.complete if ok else TaskStatus.error, result=result)
