"""Random histories of Tasks, through the services and on a real Postgres, against a model of a few lines.

``ALCHEMISCALE_TEST_HISTORIES`` (`make soak`) is how many of them there are.
"""

import os
import shutil
import tempfile
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from alchemiscale_prefect.domain.errors import AttemptVoid, InvalidInput, LeaseHeld
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.losses import AT_ONCE, BackOff
from alchemiscale_prefect.domain.tasks import ACTIONABLE, TaskStatus
from alchemiscale_prefect.domain.transitions import Cause, may_become
from alchemiscale_prefect.services import dispatch
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import losses
from tests.integration.dispatch.model import Model, ModelRun
from tests.integration.dispatch.world import World, pool

EXAMPLES = int(os.environ.get("ALCHEMISCALE_TEST_HISTORIES", "25"))
MAX_LOSSES = 3
HOURS = BackOff(timedelta(hours=2), timedelta(hours=5))
PICK = st.integers(0, 99)


class Histories(RuleBasedStateMachine):
    """Everything that users, dispatchers and flow runs do, one after the other."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.database, self.folder)
        names = uuid.uuid4().hex
        # one machine after the other uses the database: each has Transformations of its own
        self.nets = [self.world.network(f"{names} {n}", 0.5, (f"{names} a", f"{names} b")) for n in range(2)]
        self.model: dict[ScopedKey, Model] = {}
        self.runs: list[ModelRun] = []

    def _task(self, pick: int) -> ScopedKey:
        """Mostly one that something can still become of."""
        open_ = [key for key, model in self.model.items() if model.status in ACTIONABLE]
        some = open_ if open_ and pick % 4 else list(self.model)
        return some[pick % len(some)]

    def _run(self, pick: int) -> ModelRun:
        """Mostly one whose attempt is live, or may be again, or that has not stopped."""
        live = [run for run in self.runs if run.is_live() or run.lost or run.computing]
        some = live if live and pick % 4 else self.runs
        return some[pick % len(some)]

    def teardown(self) -> None:
        self.world.set_status(list(self.model), "deleted")
        shutil.rmtree(self.folder)

    # --- users -------------------------------------------------------------------------------------------------------

    @initialize()
    def begin_with_some(self) -> None:
        # hypothesis leaves rules out, other ones in each history: `create` too
        self.create(3, (0,))
        self.create(1, (0, 1))
        for pick in (1, 2, 3):  # a child of each, and a grandchild
            self.extend(pick, (0,))
        self.extend(5, (1,))

    @rule(count=st.integers(1, 2), nets=st.sampled_from([(), (0,), (0, 1)]))
    def create(self, count: int, nets: tuple[int, ...]) -> None:
        self._created(self.world.create(self.nets[0], count), None, nets)

    @precondition(lambda self: self.model)
    @rule(pick=PICK, nets=st.sampled_from([(), (0,), (0, 1)]))
    def extend(self, pick: int, nets: tuple[int, ...]) -> None:
        parent = self._task(pick)
        model = self.model[parent]
        if model.status in (TaskStatus.invalid, TaskStatus.deleted):
            with pytest.raises(InvalidInput):
                self.world.create(self.nets[0], 1, extends=parent)
            return
        self._created(self.world.create(self.nets[0], 1, extends=parent), model, nets)

    def _created(self, keys: list[ScopedKey], parent: Model | None, nets: tuple[int, ...]) -> None:
        for net in nets:
            self.world.action(self.nets[net], keys)
        self.model.update((key, Model(parent, weights=dict.fromkeys(nets, 0.5))) for key in keys)

    @precondition(lambda self: self.model)
    @rule(pick=PICK, net=st.integers(0, 1), weight=st.sampled_from([None, 0.0, 0.2, 1.0]))
    def action(self, pick: int, net: int, weight: float | None) -> None:
        task = self._task(pick)
        model = self.model[task]
        (answer,) = self.world.action(self.nets[net], [task], weight)
        new = model.status in ACTIONABLE and net not in model.weights
        assert answer == (str(task) if new else None)
        if new or (weight is not None and model.status in ACTIONABLE):
            model.weights[net] = 0.5 if weight is None else weight

    @precondition(lambda self: self.model)
    @rule(pick=PICK, net=st.integers(0, 1), stop=st.booleans())
    def cancel(self, pick: int, net: int, stop: bool) -> None:
        task = self._task(pick)
        model = self.model[task]
        (answer,) = self.world.cancel(self.nets[net], [task], stop_tasks=stop)
        assert answer == (str(task) if net in model.weights else None)
        removed = model.weights.pop(net, None) is not None
        if stop:
            self._stop_if_unwanted(model)
        elif removed and not model.weights and model.live and not model.live.begun:
            model.live = None

    @rule(net=st.integers(0, 1), state=st.sampled_from(["inactive", "deleted"]))
    def stop_network(self, net: int, state: str) -> None:
        self.world.stop(self.nets[net], state)
        for model in self.model.values():
            model.weights.pop(net, None)
            self._stop_if_unwanted(model)

    def _stop_if_unwanted(self, model: Model) -> None:
        if model.weights or model.live is None:
            return
        if model.live.begun:
            model.become(TaskStatus.waiting, Cause.stop)
            model.losses = 0
        model.stop()

    @precondition(lambda self: self.model)
    @rule(pick=PICK, status=st.sampled_from(["waiting", "waiting", "invalid", "deleted"]).map(TaskStatus))
    def set_status(self, pick: int, status: TaskStatus) -> None:
        task = self._task(pick)
        model = self.model[task]
        (answer,) = self.world.set_status([task], status)
        allowed = may_become(model.status, status)
        assert answer == (str(task) if allowed else None)
        if not allowed:
            return
        family = [model] if status is TaskStatus.waiting else self._family(model)
        for member in family:
            if may_become(member.status, status) and member.status is not status:
                member.become(status, Cause.user)
                member.stop()
                member.losses = 0

    def _family(self, ancestor: Model) -> list[Model]:
        family = [ancestor]
        for member in family:
            family += [child for child in self.model.values() if child.parent is member]
        return family

    # --- dispatchers -------------------------------------------------------------------------------------------------

    @rule(ok=st.booleans())
    def work(self, ok: bool) -> None:
        """All of it in one step, so that histories get somewhere."""
        for run in self._claim(1, begin=True):
            self._finish(run, ok, stored=True)

    @rule(count=st.integers(1, 2), begin=st.booleans())
    def claim(self, count: int, begin: bool) -> None:
        self._claim(count, begin)

    def _claim(self, count: int, begin: bool) -> list[ModelRun]:
        claimable = {key for key, model in self.model.items() if model.claimable()}
        claimed = self.world.claim(count)
        assert len(claimed) == min(count, len(claimable))
        for attempt in claimed:
            key = ScopedKey.from_str(attempt.task)
            assert key in claimable
            model = self.model[key]
            model.attempts += 1
            assert attempt.n == model.attempts
            model.live = ModelRun(model, self.world.run(attempt))
            self.runs.append(model.live)
            if begin:
                self._begin(model.live)
        return self.runs[len(self.runs) - len(claimed) :]

    @precondition(lambda self: self.runs)
    @rule(pick=PICK)
    def expire(self, pick: int) -> None:
        """A lease runs out, unnoticed as yet."""
        run = self._run(pick)
        if (run.is_live() and run.begun) or run.computing:
            run.expired, run.computing = run.is_live(), False
            self.world.execute(
                "update attempt a set lease_expires_at = now() - interval '1s' from task t "
                "where t.id = a.task_id and t.key = :key and a.n = :n",
                key=run.run.task.gufe_key,
                n=run.run.attempt.n,
            )

    @rule(rest=st.booleans())
    def reap(self, rest: bool) -> None:
        lost = [model.live for model in self.model.values() if model.live and model.live.expired]
        limits = pool(max_losses=MAX_LOSSES, back_off=HOURS if rest else AT_ONCE)
        assert dispatch.give_up_expired(self.database, limits) == len(lost)
        for run in lost:
            self._lose(run.task)
            run.task.resting = rest and run.task.status is TaskStatus.waiting

    @rule()
    def wake(self) -> None:
        """The rests after losses are over."""
        resting = [model for model in self.model.values() if model.resting]
        assert dispatch.end_rest(self.database) == 0
        self.world.execute("update task set not_before = now() where not_before is not null")
        assert dispatch.end_rest(self.database) == len(resting)
        for model in resting:
            model.resting = False

    @precondition(lambda self: self.runs)
    @rule(pick=PICK)
    def give_up(self, pick: int) -> None:
        """Prefect says that a flow run ended before it began."""
        run = self._run(pick)
        (row,) = self.world.rows("select id from task where key = :key", key=run.run.task.gufe_key)
        with self.database.transaction() as connection:
            lost = losses.lose(connection, [(row.id, run.run.attempt.n)], "gone", MAX_LOSSES, settled=True)
        if run.is_live() and (not run.begun or run.expired):
            assert lost == (row.id,)
            self._lose(run.task)
        else:
            assert lost == ()

    def _lose(self, model: Model) -> None:
        if model.live:
            model.live.lost = model.live.expired
        model.live = None
        model.losses += 1
        if model.losses >= MAX_LOSSES:
            model.become(TaskStatus.error, Cause.loss)
        else:
            model.become(TaskStatus.waiting, Cause.loss)

    # --- flow runs ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.runs)
    @rule(pick=PICK)
    def begin(self, pick: int) -> None:
        self._begin(self._run(pick))

    def _begin(self, run: ModelRun) -> None:
        if not run.is_live():
            with pytest.raises(AttemptVoid):
                run.run.begin()
            return
        if run.task.is_computed():
            with pytest.raises(LeaseHeld):
                run.run.begin()
            return
        run.run.begin()
        run.begun, run.expired = True, False
        run.task.become(TaskStatus.running, Cause.begin)

    @precondition(lambda self: self.runs)
    @rule(pick=PICK)
    def heartbeat(self, pick: int) -> None:
        run = self._run(pick)
        if run.is_live() and run.begun:
            run.run.heartbeat()
            run.expired = False
        elif run.regainable(self.runs, unwanted_too=False):
            run.run.heartbeat()
            run.regain()
        elif not self._finished(run):
            with pytest.raises(AttemptVoid):
                run.run.heartbeat()

    @precondition(lambda self: self.runs)
    @rule(pick=PICK, ok=st.booleans(), stored=st.integers(0, 3).map(bool))
    def finish(self, pick: int, ok: bool, stored: bool) -> None:
        self._finish(self._run(pick), ok, stored)

    def _finish(self, run: ModelRun, ok: bool, stored: bool) -> None:
        if run.regainable(self.runs, unwanted_too=True) and (stored or not ok):
            run.regain()
        if not (run.is_live() and run.begun):
            if run.lost and ok and not stored:
                with pytest.raises((InvalidInput, AttemptVoid)):
                    run.run.finish(True, None)
            elif not self._finished(run):
                with pytest.raises(AttemptVoid):
                    run.run.complete(ok)
            return
        if stored:
            run.run.complete(ok)
        elif ok:
            with pytest.raises(InvalidInput):
                run.run.finish(True, None)
            return
        else:
            run.run.finish(False, None, "no DAG")
        run.task.results += stored
        run.task.live, run.task.losses = None, 0
        run.task.become(TaskStatus.complete if ok else TaskStatus.error, Cause.outcome)

    @precondition(lambda self: self.runs)
    @rule(pick=PICK)
    def release(self, pick: int) -> None:
        run = self._run(pick)
        if run.is_live() and run.begun:
            run.run.release(max_losses=MAX_LOSSES)
            self._lose(run.task)
        else:
            with pytest.raises(AttemptVoid):
                run.run.release(max_losses=MAX_LOSSES)
            run.computing = False

    def _finished(self, run: ModelRun) -> bool:
        """It ended by itself: it may say so again."""
        return (run.run.attempt.n, "complete") in self.world.attempts(run.run.task) or (
            run.run.attempt.n,
            "error",
        ) in self.world.attempts(run.run.task)

    # --- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def is_as_the_model_says(self) -> None:
        rows = self.world.rows(
            """
            select t.key, t.status, t.attempts, t.losses,
                   (select count(*) from result r where r.task_id = t.id) as results,
                   (select a.state from attempt a
                    where a.task_id = t.id and a.state in ('dispatched', 'running')) as live,
                   (select count(*) from attempt a
                    where a.task_id = t.id and a.state in ('complete', 'error')) as finished,
                   (select count(*) from action a where a.task_id = t.id) as actions,
                   (select count(*) from action a where a.task_id = t.id and a.queued) as queued
            from task t where t.key = any(:keys)
            """,
            keys=[key.gufe_key for key in self.model],
        )
        found = {row.key: row for row in rows}
        for key, model in self.model.items():
            row = found[key.gufe_key]
            live = None if model.live is None else "running" if model.live.begun else "dispatched"
            assert (row.status, row.attempts, row.losses, row.results, row.live, row.actions) == (
                (model.status, model.attempts, model.losses, model.results, live, len(model.weights))
            )
            queued = sum(weight > 0 for weight in model.weights.values()) if model.claimable() else 0
            assert row.queued == queued
            assert row.finished >= row.results
        self.world.check()


def test_histories(database: Database) -> None:
    machine = type("HistoriesHere", (Histories,), {"database": database})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            # on a database every step costs: shrinking takes longer than a test may
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
