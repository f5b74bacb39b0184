"""What a flow run may do with its attempt, and that one whose attempt is not its any more changes nothing."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.attempts import AttemptId
from alchemiscale_prefect.domain.errors import (
    AttemptVoid,
    InvalidInput,
    NotAuthorized,
    NotFound,
)
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import dispatch, runs, tasks
from alchemiscale_prefect.services.runs import Run
from alchemiscale_prefect.store.queries import results
from alchemiscale_prefect.wire import compute as wire
from tests.integration.dispatch.world import LEASE, PDR_KEY, FlowRun, MemoryLauncher, Net, World, pool

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
    _lost,
    _released,
    _superseded,
    _taken_over,
    _stranger,
    _another_number,
    _another_scope,
    _unknown_task,
]


@pytest.fixture
def net(world: World) -> Net:
    return world.network()


@pytest.fixture
def run(world: World, net: Net) -> FlowRun:
    """A flow run in the middle of its DAG, its result on the way."""
    world.tasks(net)
    (begun,) = world.started()
    begun.store_dag()
    begun.store_unit()
    begun.store_result()
    return begun


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("fence", FENCES)
def test_a_run_whose_attempt_is_not_its_any_more_changes_nothing(
    world: World, run: FlowRun, tmp_path: Path, fence: Callable[[FlowRun], FlowRun]
) -> None:
    fenced = fence(run)
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
    world.compute = Principal("stranger", IdentityKind.compute, (Scope("foreign_org"),))
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


def test_the_same_flow_run_started_again_takes_over_with_the_checkpoint(world: World, run: FlowRun) -> None:
    again = world.run(run.attempt, run.flow_run, "another process")
    begun = again.begin()
    assert begun.checkpoint is not None
    assert [unit.key for unit in begun.checkpoint.units] == ["ProtocolUnitResult-1"]
    with pytest.raises(AttemptVoid):
        run.heartbeat()
    again.complete()
    world.check()


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


# --- checkpoints -----------------------------------------------------------------------------------------------------


def test_a_later_attempt_finds_what_the_earlier_stored(world: World, run: FlowRun) -> None:
    run.store_unit("ProtocolUnitFailure-2", "ProtocolUnit-2", ok=False)
    run.store_unit("ProtocolUnitResult-3", "ProtocolUnit-2")
    run.release()
    (second,) = world.started()
    checkpoint = second.begin().checkpoint
    assert checkpoint is not None
    assert checkpoint.shared_id == "shared"
    assert [(unit.key, unit.unit_key, unit.ok) for unit in checkpoint.units] == [
        ("ProtocolUnitResult-1", "ProtocolUnit-1", True),
        ("ProtocolUnitFailure-2", "ProtocolUnit-2", False),
        ("ProtocolUnitResult-3", "ProtocolUnit-2", True),
    ]
    assert second.fetch_dag() == b"dag"
    assert second.fetch_unit("ProtocolUnitResult-3") == b"ProtocolUnitResult-3"
    with pytest.raises(NotFound):
        second.fetch_unit("ProtocolUnitResult-4")


def test_storing_twice_is_storing_once(world: World, run: FlowRun, tmp_path: Path) -> None:
    rows, files = world.content(), _files(tmp_path)
    run.store_unit()
    run.store_dag()  # a copy of the request that comes late must not take the unit results along
    run.store_result()
    assert world.content() == rows
    assert _files(tmp_path) == files


def test_a_new_dag_replaces_the_former_with_its_units(world: World, run: FlowRun, tmp_path: Path) -> None:
    run.release()
    (second,) = world.started()
    second.store_dag("anew", b"new dag")
    checkpoint = second.begin().checkpoint
    assert checkpoint == wire.Checkpoint(shared_id="anew", units=[])
    assert second.fetch_dag() == b"new dag"
    assert [Path(name).name for name in _files(tmp_path) if "checkpoint" in name] == ["dag-2.zst"]


def test_a_unit_without_a_dag_is_refused(world: World, net: Net) -> None:
    world.tasks(net)
    (run,) = world.started()
    with pytest.raises(InvalidInput) as refused:
        run.store_unit()
    assert refused.value.field == "unit_result"
    with pytest.raises(NotFound):
        run.fetch_dag()


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "a/b-1", "ProtocolUnitResult", "x-1/..", "x-" + "1" * 400])
def test_a_unit_result_with_a_forged_key_is_refused(run: FlowRun, tmp_path: Path, key: str) -> None:
    files = _files(tmp_path)
    with pytest.raises(InvalidInput):
        run.store_unit(key)
    assert _files(tmp_path) == files


def test_nothing_is_left_of_the_checkpoint_of_a_finished_task(world: World, run: FlowRun, tmp_path: Path) -> None:
    run.complete()
    assert world.rows("select 1 from checkpoint") == []
    assert world.rows("select 1 from unit_result") == []
    assert [Path(name).name for name in _files(tmp_path)] == ["obj.json.zst"]


# --- finish ----------------------------------------------------------------------------------------------------------


def test_finish_records_one_result_and_completes_the_task_everywhere(world: World, net: Net) -> None:
    second = world.network("two")
    (key,) = world.tasks(net)
    world.action(second, [key])
    (run,) = world.started()
    answer = run.complete()
    assert answer.status == "complete" == world.status(key)
    (row,) = world.rows("select * from result")
    assert answer.result == f"{row.key}-{key.scope}"
    assert (row.ok, row.attempt, row.estimate, row.size, row.creator) == (True, 1, -1.0, 3, "compute")
    assert row.protocol_dag_result_key == PDR_KEY
    assert world.store.get(row.location) == b"pdr"
    assert world.rows("select 1 from action") == []
    world.check()


def test_a_failure_leaves_the_task_actioned_with_its_reason(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    (run,) = world.started()
    run.store_result(ok=False)
    assert run.finish(ok=False, reason="unit 3: ValueError").status == "error"
    (row,) = world.rows("select status, reason from task")
    assert tuple(row) == ("error", "unit 3: ValueError")
    assert len(world.rows("select 1 from action where not queued")) == 1
    (result,) = world.rows("select ok, location from result")
    assert not result.ok
    assert "/failures/" in result.location
    assert world.claim() == []
    world.set_status([key], "waiting")
    assert len(world.claim()) == 1


def test_a_failure_without_a_result_is_recorded_without_one(world: World, run: FlowRun) -> None:
    answer = run.finish(False, None, "Protocol.create failed")
    assert (answer.status, answer.result) == ("error", None)
    assert world.rows("select 1 from result") == []
    assert run.finish(False, None) == answer


@pytest.mark.parametrize(("ok", "result"), [(True, None), (True, "ProtocolDAGResult-77"), (False, PDR_KEY)])
def test_finishing_without_what_was_stored_is_refused_and_changes_nothing(
    world: World, run: FlowRun, ok: bool, result: str | None
) -> None:
    rows = world.content()
    with pytest.raises(InvalidInput) as refused:
        run.finish(ok, result)
    assert refused.value.field == "result"
    assert world.content() == rows
    run.finish()


def test_a_child_gets_the_newest_ok_result_of_its_parent(world: World, net: Net) -> None:
    (parent,) = world.tasks(net)
    (run,) = world.started()
    run.store_result(ok=False, data=b"failed")
    run.finish(ok=False)
    world.set_status([parent], "waiting")
    (run,) = world.started()
    run.store_result(data=b"succeeded")
    run.finish()
    (child,) = world.create(net, extends=parent)
    world.action(net, [child])
    (run,) = world.started()
    assert run.begin().extends
    assert run.fetch_extends() == b"succeeded"
    run.complete()
    with world.database.transaction() as connection:
        assert len(results.of_transformation(connection, net.transformations[0], ok=True)) == 2


def test_heartbeats_tell_the_progress(world: World, run: FlowRun) -> None:
    run.heartbeat(3, 7)
    row = world.attempt(run.attempt)
    assert (row.units_done, row.units_total) == (3, 7)


def test_release_gives_the_task_back_at_once(world: World, run: FlowRun) -> None:
    run.release("walltime")
    assert world.status(run.task) == "waiting"
    (row,) = world.rows("select losses, reason from task")
    assert tuple(row) == (1, "walltime")
    assert world.attempt(run.attempt).flow_run_settled, "it ends by itself"
    (second,) = world.started()
    assert second.attempt.n == 2


def test_release_too_often_is_an_error(world: World, run: FlowRun) -> None:
    run.release("disk full", max_losses=1)
    assert world.status(run.task) == "error"
    assert tasks.get_statuses(world.database, world.user, [run.task]) == ["error"]
    (row,) = world.rows("select reason from task")
    assert row.reason == "lost 1 times in a row, the last time: disk full"
