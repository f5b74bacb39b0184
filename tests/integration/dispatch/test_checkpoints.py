"""What a flow run stores, and what remains of it: checkpoints, the outcome, the attempt given back."""

from pathlib import Path

import pytest

from alchemiscale_prefect.domain.errors import AttemptVoid, InvalidInput, NotFound
from alchemiscale_prefect.services import tasks
from alchemiscale_prefect.store.queries import results
from alchemiscale_prefect.wire import compute as wire
from tests.integration.dispatch.world import PDR_KEY, FlowRun, Net, World


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _checkpoint(run: FlowRun) -> wire.Checkpoint:
    checkpoint = run.begin().checkpoint
    assert checkpoint is not None
    return checkpoint


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


def test_files_are_offered_once_they_are_whole(world: World, run: FlowRun, tmp_path: Path) -> None:
    run.store_files(b"first")
    unit = _checkpoint(run).units[0]
    assert (unit.directory, unit.files) == ("/shared/1", None)
    with pytest.raises(NotFound):
        run.fetch_files(part=1)
    run.store_files(b"second", part=1, last=True, relocatable=True)
    rows, files = world.content(), _files(tmp_path)
    run.store_files(b"first")  # a copy of the request that comes late
    assert (world.content(), _files(tmp_path)) == (rows, files)

    run.release()
    (second,) = world.started()
    assert _checkpoint(second).units[0].files == wire.StoredFiles(parts=2, relocatable=True)
    assert [second.fetch_files(part=part) for part in range(2)] == [b"first", b"second"]
    with pytest.raises(AttemptVoid):
        run.store_files(b"late", part=2, last=True)
    assert _checkpoint(second).units[0].files == wire.StoredFiles(parts=2, relocatable=True)


def test_files_without_a_unit_result_or_out_of_order_are_refused(run: FlowRun, tmp_path: Path) -> None:
    files = _files(tmp_path)
    with pytest.raises(NotFound):
        run.store_files(b"", "ProtocolUnitResult-9")
    with pytest.raises(InvalidInput) as refused:
        run.store_files(b"second", part=1)
    assert refused.value.field == "part"
    assert _files(tmp_path) == files


def test_nothing_is_left_of_the_checkpoint_of_a_finished_task(world: World, run: FlowRun, tmp_path: Path) -> None:
    run.store_files(b"first")
    run.store_files(b"second", part=1, last=True)
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
