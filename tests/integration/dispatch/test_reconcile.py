"""Tables, flow runs and objects held against each other: what differs is found and mended, nothing else touched."""

import os
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from alchemiscale_prefect.domain.attempts import AttemptId, Launch, RunState
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.reconcile import (
    CANCELLING_GRACE,
    FEW_ORPHANS,
    RUN_GRACE,
    UNLAUNCHED_GRACE,
    FlowRunUnderWay,
    Found,
    too_many,
)
from alchemiscale_prefect.services import dispatch, losses, reconcile
from alchemiscale_prefect.store.objects.local import LocalObjectStore
from tests.integration.dispatch.world import FlowRun, MemoryLauncher, Net, World, pool

WEEK = timedelta(days=7)


@dataclass
class MemoryFlowRuns:
    """`FlowRuns` of a `MemoryLauncher`."""

    launcher: MemoryLauncher
    shut: dict[str, str] = field(default_factory=dict)
    since: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    ended: list[uuid.UUID] = field(default_factory=list)

    def under_way(self) -> list[FlowRunUnderWay]:
        return [
            FlowRunUnderWay(run, AttemptId(task, int(n)), self.launcher.state[run], self.since)
            for (task, _, n), run in ((key.rpartition(":"), run) for key, run in self.launcher.runs.items())
            if self.launcher.state[run] is not RunState.ended
        ]

    def closed(self, pools: Collection[str]) -> Mapping[str, str]:
        return {name: why for name, why in self.shut.items() if name in pools}

    def end(self, flow_run_ids: Collection[uuid.UUID]) -> None:
        self.ended += flow_run_ids


@pytest.fixture
def flow_runs(launcher: MemoryLauncher) -> MemoryFlowRuns:
    return MemoryFlowRuns(launcher)


def _check(world: World, launcher: MemoryLauncher, flow_runs: MemoryFlowRuns) -> dict[str, tuple[int, str]]:
    """What is found, by a dry run first, which changes nothing; then mended; then nothing is left."""
    before = world.content()
    dry = reconcile.attempts_and_flow_runs(world.database, launcher, flow_runs, pool(), act=False)
    assert (world.content(), launcher.cancelled, flow_runs.ended) == (before, [], [])
    found = reconcile.attempts_and_flow_runs(world.database, launcher, flow_runs, pool())
    assert [(item.what, item.count, item.examples, "") for item in found] == [
        (item.what, item.count, item.examples, item.done) for item in dry
    ]
    world.check()
    for run in flow_runs.ended:
        launcher.state[run] = RunState.ended
    assert reconcile.attempts_and_flow_runs(world.database, launcher, flow_runs, pool()) == []
    return {item.what: (item.count, item.done) for item in found}


def _dispatched(world: World, launcher: MemoryLauncher, name: str = "pool") -> FlowRun:
    assert dispatch.dispatch(world.database, launcher, pool(name)).launched == 1
    attempt = launcher.launched[-1].attempt
    return world.run(attempt, launcher.of(attempt))


def test_where_all_is_well_nothing_is_done(
    world: World, launcher: MemoryLauncher, flow_runs: MemoryFlowRuns, net: Net
) -> None:
    world.tasks(net, 2)
    dispatch.dispatch(world.database, launcher, pool())
    first, _ = (launch.attempt for launch in launcher.launched)
    world.run(first, launcher.of(first)).begin()
    world.age(60)
    before = world.content()
    assert reconcile.attempts_and_flow_runs(world.database, launcher, flow_runs, pool()) == []
    assert (world.content(), launcher.cancelled) == (before, [])


def test_what_a_pool_without_a_dispatcher_left_behind_is_mended(
    world: World, launcher: MemoryLauncher, flow_runs: MemoryFlowRuns, net: Net
) -> None:
    world.tasks(net, 4)
    runs = {}
    for _ in range(3):
        dispatch.dispatch(world.database, launcher, pool("old", buffer=3))
    for launch in launcher.launched:
        runs[launch.attempt.task] = world.run(launch.attempt, launcher.of(launch.attempt))
    names = list(runs)
    runs[names[0]].begin()
    launcher.state[runs[names[1]].flow_run] = RunState.ended
    world.set_status([runs[names[2]].task], "deleted")
    world.claim(pool="older")
    world.age(UNLAUNCHED_GRACE.total_seconds() + 1)
    assert _check(world, launcher, flow_runs) == {
        "attempts whose lease ran out": (1, "given up"),
        "attempts whose flow runs ended before they began of work pool old": (1, "given up"),
        "flow runs of attempts that are over of work pool old": (1, "cancelled"),
        "attempts that no dispatcher launches of work pool older": (1, "given back"),
    }
    # all but the deleted one
    assert sum(world.queued().values()) == 3


def test_what_waits_in_a_closed_pool_is_given_back(
    world: World, launcher: MemoryLauncher, flow_runs: MemoryFlowRuns, net: Net
) -> None:
    (key,) = world.tasks(net)
    run = _dispatched(world, launcher, "gone")
    flow_runs.shut = {"gone": "its work pool was deleted", "other": "its work pool is paused"}
    world.age(losses.GIVE_BACK_AFTER.total_seconds() + 1)
    assert _check(world, launcher, flow_runs) == {
        "attempts that wait in vain (its work pool was deleted) of work pool gone": (1, "given back")
    }
    assert launcher.cancelled == [run.flow_run]
    assert world.attempts(key) == [(1, "cancelled")]
    assert world.queued() == {key.gufe_key: 1}


def test_flow_runs_that_no_attempt_has_are_cancelled_but_not_those_of_others(
    world: World, launcher: MemoryLauncher, flow_runs: MemoryFlowRuns, net: Net
) -> None:
    (key,) = world.tasks(net)
    run = _dispatched(world, launcher)
    run.begin()
    run.complete()
    # of another installation on the same Prefect server; and one of ours that the tables never heard of (a restore)
    launcher.launch([Launch(AttemptId(f"Task-{uuid.uuid4().hex}-org-campaign-project", 1), ())])
    launcher.launch([Launch(AttemptId("made by hand", 1), ()), Launch(AttemptId(str(key), 7), ())])
    unknown = launcher.of(AttemptId(str(key), 7))
    world.age(RUN_GRACE.total_seconds() / 2)
    assert _check(world, launcher, flow_runs) == {"flow runs that no attempt has": (1, "cancelled")}
    assert launcher.cancelled == [unknown]
    world.age(RUN_GRACE.total_seconds() / 2 + 1)
    launcher.cancelled.clear()
    assert _check(world, launcher, flow_runs) == {"flow runs that no attempt has": (1, "cancelled")}
    assert launcher.cancelled == [run.flow_run]


def test_a_second_flow_run_of_an_attempt_is_cancelled(
    world: World, launcher: MemoryLauncher, flow_runs: MemoryFlowRuns, net: Net
) -> None:
    world.tasks(net)
    run = _dispatched(world, launcher)
    double = uuid.uuid4()
    world.execute("update attempt set flow_run_id = :double", double=double)
    assert _check(world, launcher, flow_runs) == {"flow runs that no attempt has": (1, "cancelled")}
    assert launcher.cancelled == [run.flow_run]


def test_a_flow_run_that_hangs_in_cancelling_is_ended(
    world: World, launcher: MemoryLauncher, flow_runs: MemoryFlowRuns, net: Net
) -> None:
    (key,) = world.tasks(net)
    run = _dispatched(world, launcher)
    world.set_status([key], "deleted")
    dispatch.dispatch(world.database, launcher, pool())
    launcher.cancelled.clear()
    launcher.state[run.flow_run] = RunState.cancelling
    world.age(RUN_GRACE.total_seconds() + 1)
    flow_runs.since = datetime.now(UTC) - CANCELLING_GRACE + timedelta(minutes=1)
    assert reconcile.attempts_and_flow_runs(world.database, launcher, flow_runs, pool()) == []
    flow_runs.since -= timedelta(minutes=2)
    assert _check(world, launcher, flow_runs) == {"flow runs that hang in Cancelling": (1, "ended")}
    assert flow_runs.ended == [run.flow_run]


# --- checkpoints and bytes -------------------------------------------------------------------------------------------


def _locations(world: World) -> set[str]:
    return {
        item.location
        for prefix in ("checkpoint", "protocoldagresult")
        for batch in world.store.list(prefix)
        for item in batch
    }


def _make_older(world: World, age: timedelta = WEEK) -> None:
    past = time.time() - age.total_seconds() - 60
    for location in _locations(world):
        os.utime(world.store.folder / location, (past, past))


def test_checkpoints_of_tasks_that_never_run_again_are_dropped(world: World, net: Net) -> None:
    deleted, kept = world.tasks(net, 2)
    for run in world.started(2):
        run.store_dag()
        run.store_unit()
        run.store_files(b"files")
        run.release()
    before = _locations(world)
    assert len(before) == 6
    world.set_status([deleted], "deleted")
    (dry,) = reconcile.checkpoints(world.database, world.store, act=False)
    assert (dry, _locations(world)) == (Found("checkpoints of finished Tasks", 1, (deleted.gufe_key,), ""), before)
    (found,) = reconcile.checkpoints(world.database, world.store)
    assert (found.count, found.done) == (1, "dropped")
    assert _locations(world) == {location for location in before if kept.gufe_key in location}
    assert reconcile.checkpoints(world.database, world.store) == []


def test_bytes_that_no_row_names_are_deleted_and_no_others(world: World, net: Net) -> None:
    superseded, complete, running, interrupted = world.tasks(net, 4)
    runs = {run.task: run for run in world.started(4)}
    runs[complete].complete()
    runs[interrupted].store_dag()
    runs[interrupted].store_unit()
    runs[interrupted].store_files(b"files")
    runs[interrupted].release()
    runs[superseded].store_result(key="ProtocolDAGResult-superseded")
    runs[superseded].release()
    runs[running].store_dag()
    runs[running].store_result(key="ProtocolDAGResult-finishing")
    for location in (
        f"checkpoint/o/c/p/{superseded.gufe_key}/dag-1.zst",
        f"checkpoint/o/c/p/{running.gufe_key}/dag-0.zst",
    ):
        world.store.put(location, b"left by a crash")
    before = _locations(world)

    def orphans(**arguments: bool) -> list[Found]:
        return reconcile.orphans(world.database, world.store, WEEK, **arguments)

    assert orphans() == [], "too young"
    _make_older(world)
    # what is being computed may be about to be named
    assert [(item.what, item.count) for item in orphans(act=False)] == [("parts of checkpoints that no row names", 1)]
    assert _locations(world) == before
    runs[running].complete()
    _make_older(world)
    assert sorted((item.what, item.count, item.done) for item in orphans()) == [
        ("parts of checkpoints that no row names", 2, "deleted"),
        ("results that no row names", 2, "deleted"),
    ]
    gone = before - _locations(world)
    assert all(
        "superseded" in at or "finishing" in at or "dag-0" in at or "/o/c/p/" in at or running.gufe_key in at
        for at in gone
    )
    assert orphans() == []
    # what is there is whole
    again = {run.task: run.begin().checkpoint for run in world.started(2)}
    assert {task for task, checkpoint in again.items() if checkpoint is not None} == {interrupted}


def test_a_store_of_another_database_is_left_alone(world: World, net: Net) -> None:
    world.tasks(net)
    (run,) = world.started()
    run.complete()
    for number in range(FEW_ORPHANS + 1):
        world.store.put(f"protocoldagresult/o/c/p/Transformation-1/results/R-{number}/obj.json.zst", b"x")
    _make_older(world)
    (found,) = reconcile.orphans(world.database, world.store, WEEK)
    assert (found.count, found.done) == (FEW_ORPHANS + 1, "")
    assert "is this store another database's?" in found.what
    assert len(_locations(world)) == FEW_ORPHANS + 2
    (found,) = reconcile.orphans(world.database, world.store, WEEK, however_many=True)
    assert found.done == "deleted"
    assert len(_locations(world)) == 1


def test_what_may_still_be_named_is_not_asked_for(world: World, tmp_path) -> None:
    with pytest.raises(InvalidInput, match="an hour"):
        reconcile.orphans(world.database, world.store, timedelta(minutes=59))
    assert reconcile.orphans(world.database, LocalObjectStore(tmp_path / "empty"), WEEK) == []


def test_few_orphans_or_a_small_share_are_no_matter() -> None:
    assert not too_many(FEW_ORPHANS, FEW_ORPHANS)
    assert too_many(FEW_ORPHANS + 1, FEW_ORPHANS + 1)
    assert not too_many(1000, 2000)
    assert too_many(1001, 2000)
