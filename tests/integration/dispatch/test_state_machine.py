"""Random histories of Tasks, through the services and on a real Postgres, against a model of a few lines."""

import shutil
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from alchemiscale_prefect.domain.errors import AttemptVoid, InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.tasks import ACTIONABLE, TRANSITIONS, UNACTIONED_BY, TaskStatus
from alchemiscale_prefect.services import dispatch
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import attempts
from tests.integration.dispatch.world import FlowRun, World, pool

MAX_LOSSES = 3


@dataclass
class Model:
    """A Task as a person would keep it on paper."""

    parent: "Model | None" = None
    status: TaskStatus = TaskStatus.waiting
    attempts: int = 0
    live: "ModelRun | None" = None
    weights: dict[int, float] = field(default_factory=dict)
    losses: int = 0
    results: int = 0

    def claimable(self) -> bool:
        return (
            self.status is TaskStatus.waiting
            and self.live is None
            and (self.parent is None or self.parent.status is TaskStatus.complete)
            and any(weight > 0 for weight in self.weights.values())
        )

    def become(self, status: TaskStatus) -> None:
        """Take a status; the table of transitions has the say."""
        assert status in TRANSITIONS[self.status], (self.status, status)
        self.status = status
        if status in UNACTIONED_BY:
            self.weights.clear()


@dataclass
class ModelRun:
    """An attempt."""

    task: Model
    run: FlowRun
    begun: bool = False
    expired: bool = False

    def is_live(self) -> bool:
        return self.task.live is self


class Histories(RuleBasedStateMachine):
    """Everything that users, dispatchers and flow runs do, one after the other."""

    database: Database
    tasks: Bundle = Bundle("tasks")
    runs: Bundle = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.database, self.folder)
        names = uuid.uuid4().hex
        # one machine after the other uses the database: each has Transformations of its own
        self.nets = [self.world.network(f"{names} {n}", 0.5, (f"{names} a", f"{names} b")) for n in range(2)]
        self.model: dict[ScopedKey, Model] = {}

    def teardown(self) -> None:
        self.world.set_status(list(self.model), "deleted")
        shutil.rmtree(self.folder)

    # --- users -------------------------------------------------------------------------------------------------------

    @rule(target=tasks, count=st.integers(1, 3))
    def create(self, count: int):
        keys = self.world.create(self.nets[0], count)
        self.model.update((key, Model()) for key in keys)
        return multiple(*keys)

    @rule(target=tasks, parent=tasks)
    def extend(self, parent: ScopedKey):
        model = self.model[parent]
        if model.status in (TaskStatus.invalid, TaskStatus.deleted):
            with pytest.raises(InvalidInput):
                self.world.create(self.nets[0], 1, extends=parent)
            return multiple()
        (key,) = self.world.create(self.nets[0], 1, extends=parent)
        self.model[key] = Model(model)
        return key

    @rule(task=tasks, net=st.integers(0, 1), weight=st.sampled_from([None, 0.0, 0.2, 1.0]))
    def action(self, task: ScopedKey, net: int, weight: float | None) -> None:
        model = self.model[task]
        (answer,) = self.world.action(self.nets[net], [task], weight)
        new = model.status in ACTIONABLE and net not in model.weights
        assert answer == (str(task) if new else None)
        if new or (weight is not None and model.status in ACTIONABLE):
            model.weights[net] = 0.5 if weight is None else weight

    @rule(task=tasks, net=st.integers(0, 1))
    def cancel(self, task: ScopedKey, net: int) -> None:
        model = self.model[task]
        (answer,) = self.world.cancel(self.nets[net], [task])
        assert answer == (str(task) if net in model.weights else None)
        if model.weights.pop(net, None) is not None and not model.weights and model.live and not model.live.begun:
            model.live = None

    @rule(task=tasks, status=st.sampled_from([TaskStatus.waiting, TaskStatus.invalid, TaskStatus.deleted]))
    def set_status(self, task: ScopedKey, status: TaskStatus) -> None:
        model = self.model[task]
        (answer,) = self.world.set_status([task], status)
        allowed = status in TRANSITIONS[model.status]
        assert answer == (str(task) if allowed else None)
        if not allowed:
            return
        family = [model] if status is TaskStatus.waiting else self._family(model)
        for member in family:
            if status in TRANSITIONS[member.status] and member.status is not status:
                member.become(status)
                member.live, member.losses = None, 0

    def _family(self, ancestor: Model) -> list[Model]:
        family = [ancestor]
        for member in family:
            family += [child for child in self.model.values() if child.parent is member]
        return family

    # --- dispatchers -------------------------------------------------------------------------------------------------

    @rule(target=runs, count=st.integers(1, 2))
    def claim(self, count: int):
        claimable = {key for key, model in self.model.items() if model.claimable()}
        claimed = self.world.claim(count)
        assert len(claimed) == min(count, len(claimable))
        made = []
        for attempt in claimed:
            key = ScopedKey.from_str(attempt.task)
            assert key in claimable
            model = self.model[key]
            model.attempts += 1
            assert attempt.n == model.attempts
            model.live = ModelRun(model, self.world.run(attempt))
            made.append(model.live)
        return multiple(*made)

    @rule(run=runs)
    def expire(self, run: ModelRun) -> None:
        """Its lease runs out, unnoticed as yet."""
        if run.is_live() and run.begun:
            run.expired = True
            self.world.execute(
                "update attempt a set lease_expires_at = now() - interval '1s' from task t "
                "where t.id = a.task_id and t.key = :key and a.n = :n",
                key=run.run.task.gufe_key,
                n=run.run.attempt.n,
            )

    @rule()
    def reap(self) -> None:
        lost = [model.live for model in self.model.values() if model.live and model.live.expired]
        assert dispatch.give_up_expired(self.database, pool(max_losses=MAX_LOSSES)) == len(lost)
        for run in lost:
            self._lose(run.task)

    @rule(run=runs)
    def give_up(self, run: ModelRun) -> None:
        """Prefect says that the flow run ended before it began."""
        (row,) = self.world.rows("select id from task where key = :key", key=run.run.task.gufe_key)
        with self.database.transaction() as connection:
            lost = attempts.lose(connection, [(row.id, run.run.attempt.n)], "gone", MAX_LOSSES, settled=True)
        if run.is_live() and (not run.begun or run.expired):
            assert lost == (row.id,)
            self._lose(run.task)
        else:
            assert lost == ()

    def _lose(self, model: Model) -> None:
        model.live = None
        model.losses += 1
        if model.losses >= MAX_LOSSES:
            # one that never began goes to error without having run
            model.status = TaskStatus.running
            model.become(TaskStatus.error)
        else:
            model.become(TaskStatus.waiting)

    # --- flow runs ---------------------------------------------------------------------------------------------------

    @rule(run=runs)
    def begin(self, run: ModelRun) -> None:
        if not run.is_live():
            with pytest.raises(AttemptVoid):
                run.run.begin()
            return
        run.run.begin()
        run.begun, run.expired = True, False
        run.task.become(TaskStatus.running)

    @rule(run=runs)
    def heartbeat(self, run: ModelRun) -> None:
        if run.is_live() and run.begun:
            run.run.heartbeat()
            run.expired = False
        elif not self._finished(run):
            with pytest.raises(AttemptVoid):
                run.run.heartbeat()

    @rule(run=runs, ok=st.booleans(), stored=st.booleans())
    def finish(self, run: ModelRun, ok: bool, stored: bool) -> None:
        if not (run.is_live() and run.begun):
            if not self._finished(run):
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
        run.task.become(TaskStatus.complete if ok else TaskStatus.error)

    @rule(run=consumes(runs))
    def release(self, run: ModelRun) -> None:
        if run.is_live() and run.begun:
            run.run.release(max_losses=MAX_LOSSES)
            self._lose(run.task)
        else:
            with pytest.raises(AttemptVoid):
                run.run.release(max_losses=MAX_LOSSES)

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
            max_examples=20,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
