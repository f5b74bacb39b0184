"""What a flow run may do with its attempt, and that one whose attempt is not its any more changes nothing."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.attempts import AttemptId
from alchemiscale_prefect.domain.errors import (
    AttemptVoid,
    InvalidInput,
    LeaseHeld,
    NotAuthorized,
)
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import dispatch, runs
from alchemiscale_prefect.services.runs import Run
from alchemiscale_prefect.wire import compute as wire
from tests.integration.dispatch.world import LEASE, FlowRun, MemoryLauncher, Net, World, pool

WRITES: dict[str, Callable[[FlowRun], object]] = {
    "heartbeat": lambda run: run.heartbeat(1, 2),
    "store_dag": lambda run: run.store_dag("other", b"other dag"),
    "store_unit": lambda run: run.store_unit("ProtocolUnitResult-9", "ProtocolUnit-9"),
    "store_result": lambda run: run.store_result(key="ProtocolDAGResult-9"),
    "finish": FlowRun.finish,
    "finish_badly": lambda run: run.finish(False, None, "it failed"),
    "release": FlowRun.release,
}
READS: dict[str, Callable[[FlowRun], object]] = {
    "fetch_dag": FlowRun.fetch_dag,
    "fetch_unit": FlowRun.fetch_unit,
    "fetch_extends": FlowRun.fetch_extends,
}


def _cancelled(run: FlowRun) -> FlowRun:
    run.world.set_status([run.task], "deleted")
    return run


def _reset(run: FlowRun) -> FlowRun:
    run.world.set_status([run.task], "waiting")
    return run


def _lost(run: FlowRun) -> FlowRun:
    run.world.age(100)
    assert dispatch.give_up_expired(run.world.database, pool()) == 1
    return run


def _released(run: FlowRun) -> FlowRun:
    run.release()
    return run


def _superseded(run: FlowRun) -> FlowRun:
    _lost(run)
    (successor,) = run.world.started()
    assert successor.attempt.n == run.attempt.n + 1
    return run


def _taken_over(run: FlowRun) -> FlowRun:
    """Prefect started the same flow run in another process."""
    run.world.age(100)
    run.world.run(run.attempt, run.flow_run, "another process").begin()
    return run


def _stranger(run: FlowRun) -> FlowRun:
    return run.world.run(run.attempt)


def _another_number(run: FlowRun) -> FlowRun:
    return run.world.run(AttemptId(run.attempt.task, run.attempt.n + 1), run.flow_run)


def _another_scope(run: FlowRun) -> FlowRun:
    elsewhere = ScopedKey.of(run.task.gufe_key, Scope("test_org", "test_campaign", "elsewhere"))
    return run.world.run(AttemptId(str(elsewhere), run.attempt.n), run.flow_run)


def _unknown_task(run: FlowRun) -> FlowRun:
    unknown = ScopedKey.of(f"Task-{uuid.uuid4().hex}", run.task.scope)
    return run.world.run(AttemptId(str(unknown), 1), run.flow_run)


FENCES = [
    _cancelled,
    _reset,
    _released,
    _superseded,
    _taken_over,
    _stranger,
    _another_number,
    _another_scope,
    _unknown_task,
]


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("fence", FENCES)
def test_a_run_whose_attempt_is_not_its_any_more_changes_nothing(
    world: World, run: FlowRun, tmp_path: Path, fence: Callable[[FlowRun], FlowRun]
) -> None:
    fenced = fence(run)
    # that a cancelled run has stopped, it may say: see below
    with pytest.raises(AttemptVoid):
        fenced.release()
    rows, files = world.content(), _files(tmp_path)
    assert files
    for name, call in {**WRITES, **READS}.items():
        with pytest.raises(AttemptVoid, match="not \\(or no longer\\) this run's"):
            call(fenced)
        assert world.content() == rows, name
        assert _files(tmp_path) == files, name
    world.check()


@pytest.mark.parametrize("fence", [f for f in FENCES if f is not _taken_over])
def test_a_run_whose_attempt_is_not_its_any_more_does_not_begin(
    world: World, run: FlowRun, fence: Callable[[FlowRun], FlowRun]
) -> None:
    fenced = fence(run)
    rows = world.content()
    with pytest.raises(AttemptVoid):
        fenced.begin()
    assert world.content() == rows


@pytest.mark.parametrize("ok", [True, False])
def test_a_finished_run_may_only_hear_again_how_it_finished(
    world: World, run: FlowRun, tmp_path: Path, ok: bool
) -> None:
    answer = run.complete(ok)
    rows, files = world.content(), _files(tmp_path)
    assert run.finish(ok) == answer
    assert run.finish(not ok) == answer
    assert run.finish(ok, None) == answer
    for name in ("store_dag", "store_unit", "store_result", "release"):
        with pytest.raises(AttemptVoid):
            WRITES[name](run)
    with pytest.raises(AttemptVoid):
        run.begin()
    assert world.content() == rows
    assert _files(tmp_path) == files


def test_a_heartbeat_that_crosses_the_finish_is_no_reason_to_end_the_process(world: World, run: FlowRun) -> None:
    run.complete()
    run.heartbeat(1, 1)
    assert world.attempts(run.task) == [(1, "complete")]
    world.age(1000)
    assert dispatch.give_up_expired(world.database, pool()) == 0


def test_a_finish_said_again_by_its_successors_time_gives_its_own_answer(world: World, run: FlowRun) -> None:
    answer = run.complete(ok=False)
    world.set_status([run.task], "waiting")
    (second,) = world.started()
    assert run.finish(ok=False) == answer
    assert answer.status == "error"
    done = second.complete()
    assert done.status == "complete"
    assert done.result != answer.result
    assert run.finish(ok=False) == answer
    assert len(world.rows("select 1 from result")) == 2


def test_who_may_not_see_the_scope_may_do_nothing(world: World, run: FlowRun) -> None:
    rows = world.content()
    world.compute = Principal.writing("stranger", IdentityKind.compute, (Scope("foreign_org"),))
    for call in (FlowRun.begin, *WRITES.values(), *READS.values()):
        with pytest.raises(NotAuthorized):
            call(run)
    assert world.content() == rows


# --- begin -----------------------------------------------------------------------------------------------------------


def test_begin_gives_what_the_run_needs(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    (attempt,) = world.claim()
    begun = world.run(attempt).begin()
    assert begun.transformation == str(net.transformations[0])
    assert f'"{net.transformations[0].gufe_key}"' in begun.transformation_chain
    assert (begun.extends, begun.checkpoint, begun.lease_seconds) == (False, None, LEASE.total_seconds())
    assert world.status(key) == "running"
    row = world.attempt(attempt)
    assert (row.state, row.host) == ("running", "host")
    assert row.lease_expires_at - row.started_at == LEASE


def test_begin_said_again_by_the_same_process_renews_and_gives_the_same(world: World, net: Net) -> None:
    """Its first answer was lost: the attempt is not, nor is the worker's start."""
    (key,) = world.tasks(net)
    (attempt,) = world.claim()
    run = world.run(attempt)
    first = run.begin()
    world.age(60)
    assert run.begin() == first
    world.age(60)
    assert dispatch.give_up_expired(world.database, pool()) == 0
    assert world.attempts(key) == [(1, "running")]


def test_another_flow_run_does_not_begin_a_running_attempt_even_if_its_lease_ran_out(
    world: World, run: FlowRun
) -> None:
    world.age(1000)
    with pytest.raises(AttemptVoid):
        world.run(run.attempt).begin()
    run.heartbeat()


def test_the_same_flow_run_started_again_takes_over_with_the_checkpoint_once_the_lease_is_over(
    world: World, run: FlowRun
) -> None:
    """Prefect was seen to run one flow run in two processes at once: the first may still compute."""
    again = world.run(run.attempt, run.flow_run, "another process")
    with pytest.raises(LeaseHeld):
        again.begin()
    run.heartbeat()
    world.age(100)
    begun = again.begin()
    assert begun.checkpoint is not None
    assert [unit.key for unit in begun.checkpoint.units] == ["ProtocolUnitResult-1"]
    with pytest.raises(AttemptVoid):
        run.heartbeat()
    again.complete()
    world.check()


@pytest.mark.parametrize("stopped_by", ["release", "lease"])
def test_a_cancelled_run_stops_before_the_next_one_begins(world: World, net: Net, stopped_by: str) -> None:
    (key,) = world.tasks(net)
    (first,) = world.started()
    world.cancel(net, [key])
    world.action(net, [key])
    (attempt,) = world.claim()
    second = world.run(attempt)
    for _ in range(2):
        with pytest.raises(LeaseHeld):
            second.begin()
        with pytest.raises(AttemptVoid):
            first.heartbeat()
    with pytest.raises(AttemptVoid):
        world.run(first.attempt, first.flow_run, "another process").release()
    with pytest.raises(LeaseHeld):
        second.begin()
    assert world.attempts(key) == [(1, "cancelled"), (2, "dispatched")]
    if stopped_by == "lease":
        world.age(100)
    else:
        with pytest.raises(AttemptVoid):
            first.release()
    second.begin()
    second.complete()
    world.check()


def test_a_run_that_must_wait_learns_that_it_is_void_all_the_same(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    world.started()
    world.set_status([key], "waiting")
    (attempt,) = world.claim()
    world.cancel(net, [key])
    with pytest.raises(AttemptVoid):
        world.run(attempt).begin()


def test_the_flow_run_on_record_begins_and_no_other(world: World, launcher: MemoryLauncher, net: Net) -> None:
    world.tasks(net)
    dispatch.dispatch(world.database, launcher, pool())
    (launch,) = launcher.launched
    with pytest.raises(AttemptVoid):
        world.run(launch.attempt).begin()
    world.run(launch.attempt, launcher.of(launch.attempt)).begin()


def test_a_flow_run_id_that_is_none_is_refused(world: World, net: Net) -> None:
    world.tasks(net)
    (attempt,) = world.claim()
    body = wire.Begin(owner="me", flow_run_id="not a uuid", host="host")
    task = Run(ScopedKey.from_str(attempt.task), attempt.n, "me")
    with pytest.raises(InvalidInput) as refused:
        runs.begin(world.database, world.compute, task, body, LEASE)
    assert refused.value.field == "flow_run_id"


def test_what_a_run_says_of_itself_can_be_stored_and_leads_nowhere_else() -> None:
    assert wire.Begin(owner="me", flow_run_id="x", host="a\0b").host == r"a\x00b"
    assert wire.StoreUnit(unit_key="a\0b", ok=True).unit_key == r"a\x00b"
    reason = wire.Finish(ok=False, result=None, reason="Traceback" + 10**6 * "x" + "what").reason
    assert reason is not None
    assert len(reason) < 25_000
    assert (reason[:9], reason[-4:]) == ("Traceback", "what")
    for path in ("..", "a/b", "a\0b"):
        with pytest.raises(ValidationError):
            wire.StoreDag(shared_id=path)
