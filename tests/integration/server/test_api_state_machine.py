"""Random histories of networks, Tasks, actions and statuses through the SDK: every answer is the model's.

``ALCHEMISCALE_TEST_HISTORIES=200`` makes so many of them.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import text

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, Scope, ScopedKey
from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.domain.transitions import Cause
from alchemiscale_prefect.services import identities
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.wire import paths
from tests.api_server import FOREIGN, KEY
from tests.chains import keys_of, network_chain
from tests.integration.dispatch.world import FlowRun, World
from tests.integration.server.histories import Net, Paper

EXAMPLES = int(os.environ.get("ALCHEMISCALE_TEST_HISTORIES", "8"))
PICKS = st.lists(st.integers(0, 999), max_size=5)
PICK = st.integers(0, 999)
WEIGHT = st.sampled_from([0.0, 0.25, 1.0])
OUT_OF_RANGE = st.sampled_from([-0.5, 1.5])
STATE = st.sampled_from([state.value for state in NetworkState])
NOWHERE = ScopedKey.of("Task-00000000000000000000000000000000", FOREIGN)


class Histories(RuleBasedStateMachine):
    """A user, and compute, one after the other; each history in Scopes of its own."""

    client: AlchemiscaleClient
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.database, self.folder)
        campaign = f"c{uuid.uuid4().hex}"
        self.scopes = [Scope("test_org", campaign, "one"), Scope("test_org", campaign, "two")]
        one, two = self.scopes
        # the first two share a Transformation; the third has the same ones elsewhere
        self.paper = Paper([_net(one, "ab", "a", "b"), _net(one, "abc", "a", "b", "c"), _net(two, "ab", "a", "b")])
        self.running: dict[ScopedKey, FlowRun] = {}

    def teardown(self) -> None:
        try:
            self.look()
        finally:
            # what is left must not be claimed by the next history
            self.client.set_tasks_status(list(self.paper.tasks), "deleted")
            shutil.rmtree(self.folder)

    # --- what rules pick ---------------------------------------------------------------------------------------------

    def _nets(self, picks: list[int]) -> list[ScopedKey]:
        """Of networks, submitted or not, some more than once, and of none."""
        all_ = [*self.paper.nets, ScopedKey.of("AlchemicalNetwork-missing", self.scopes[0])]
        return [all_[pick % len(all_)] for pick in picks]

    def _tasks(self, picks: list[int]) -> list[ScopedKey]:
        """Of Tasks, some more than once, of a missing one and of a foreign one."""
        all_ = [*self.paper.tasks, *self.paper.tasks, ScopedKey.of("Task-missing", self.scopes[0]), NOWHERE]
        return [all_[pick % len(all_)] for pick in picks]

    def _net(self, pick: int) -> Net:
        return self.paper.there[pick % len(self.paper.there)]

    def _let_stop(self) -> None:
        """Stopped runs hear of it and say that they have stopped: else the next one would have to wait."""
        for key in [key for key in self.running if self.paper.tasks[key].status is not TaskStatus.running]:
            self.running.pop(key).stop()

    # --- networks ----------------------------------------------------------------------------------------------------

    @initialize()
    def begin_with_some(self) -> None:
        self.submit(1, "active")
        self.create([0, 1, 0])
        self.action(0, [0, 1, 2], None)

    @rule(pick=PICK, state=STATE)
    def submit(self, pick: int, state: str) -> None:
        net = list(self.paper.nets.values())[pick % 3]
        body = {"network": net.chain, "scope": net.key.scope.to_dict(), "state": state}
        answer = self.client._transport.request("POST", paths.NETWORKS, json=body).json()
        assert ScopedKey.from_dict(answer) == self.paper.submit(net, state)

    @rule(picks=PICKS, states=st.lists(STATE, min_size=5, max_size=5))
    def set_states(self, picks: list[int], states: list[str]) -> None:
        keys = self._nets(picks)
        assert self.client.set_networks_state(keys, states[: len(keys)]) == self.paper.set_states(
            keys, states[: len(keys)]
        )

    @rule(picks=PICKS, weights=st.lists(WEIGHT, min_size=5, max_size=5), wrong=st.none() | OUT_OF_RANGE)
    def set_weights(self, picks: list[int], weights: list[float], wrong: float | None) -> None:
        keys = self._nets(picks)
        if wrong is not None and keys:
            with pytest.raises(AlchemiscaleClientError, match="all `weights` must be between"):
                self.client.set_networks_weight(keys, [*weights[: len(keys) - 1], wrong])
            return
        # one at a time, so that of a key that is there twice the last weight stays
        answer = self.client.set_networks_weight(keys, weights[: len(keys)], batch_size=100)
        assert answer == self.paper.set_weights(keys, weights[: len(keys)])

    # --- Tasks -------------------------------------------------------------------------------------------------------

    @rule(picks=PICKS)
    def create(self, picks: list[int]) -> None:
        every = [key for net in self.paper.nets.values() for key in net.transformations]
        asked = [every[pick % len(every)] for pick in picks]
        known = {key for net in self.paper.there for key in net.transformations}
        if set(asked) <= known:
            self.paper.created(self.client.create_transformations_tasks(asked), asked, [None] * len(asked))
        else:
            with pytest.raises(AlchemiscaleClientError, match="No such object in database"):
                self.client.create_transformations_tasks(asked)

    @precondition(lambda self: self.paper.tasks)
    @rule(pick=PICK, count=st.integers(1, 2))
    def extend(self, pick: int, count: int) -> None:
        parent = list(self.paper.tasks)[pick % len(self.paper.tasks)]
        task = self.paper.tasks[parent]
        if task.status in (TaskStatus.invalid, TaskStatus.deleted):
            with pytest.raises(AlchemiscaleClientError, match="Cannot extend a `deleted` or `invalid` Task"):
                self.client.create_tasks(task.transformation, parent, count)
            return
        made = self.client.create_tasks(task.transformation, parent, count)
        self.paper.created(made, [task.transformation] * count, [parent] * count)

    @rule(pick=PICK, picks=PICKS, weight=st.none() | WEIGHT | st.lists(WEIGHT, min_size=5, max_size=5) | OUT_OF_RANGE)
    def action(self, pick: int, picks: list[int], weight: float | list[float] | None) -> None:
        net, keys = self._net(pick), self._tasks(picks)
        if isinstance(weight, list):
            weight = weight[: len(keys)]
        elif weight is not None and not 0 <= weight <= 1:
            with pytest.raises(AlchemiscaleClientError, match="Status Code 400"):
                self.client.action_tasks(keys, net.key, weight)
            return
        assert self.client.action_tasks(keys, net.key, weight) == self.paper.action(net, keys, weight)

    @rule(pick=PICK, picks=PICKS)
    def cancel(self, pick: int, picks: list[int]) -> None:
        net, keys = self._net(pick), self._tasks(picks)
        assert self.client.cancel_tasks(keys, net.key) == self.paper.cancel(net, keys)
        self._let_stop()

    @rule(picks=PICKS, status=st.sampled_from(["waiting", "waiting", "invalid", "deleted"]).map(TaskStatus))
    def set_status(self, picks: list[int], status: TaskStatus) -> None:
        keys = self._tasks(picks)
        assert self.client.set_tasks_status(keys, status, batch_size=10) == self.paper.set_status(keys, status)
        self._let_stop()

    @rule(picks=PICKS, priority=st.integers(1, 5), batch_size=st.integers(1, 3))
    def set_priority(self, picks: list[int], priority: int, batch_size: int) -> None:
        keys = self._tasks(picks)
        assert self.client.set_tasks_priority(keys, priority, batch_size) == self.paper.set_priority(keys, priority)

    # --- compute -----------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        claimable = self.paper.claimable()
        claimed = self.world.claim(count)
        assert len(claimed) == min(count, len(claimable))
        for attempt in claimed:
            run = self.world.run(attempt)
            assert run.task in claimable
            run.begin()
            self.paper.tasks[run.task].become(TaskStatus.running, Cause.begin)
            self.running[run.task] = run

    # no precondition: which Tasks were claimed is chance, and hypothesis must find the same rules when it repeats
    @rule(pick=PICK, ok=st.booleans())
    def finish(self, pick: int, ok: bool) -> None:
        if not self.running:
            return
        key = list(self.running)[pick % len(self.running)]
        self.running.pop(key).complete(ok)
        self.paper.tasks[key].become(TaskStatus.complete if ok else TaskStatus.error, Cause.outcome)

    # --- what the API shows ------------------------------------------------------------------------------------------

    @rule()
    def look(self) -> None:
        self._look_at_networks()
        self._look_at_tasks()

    def _look_at_networks(self) -> None:
        client, there = self.client, self.paper.there
        keys = self._nets(list(range(4)))
        known = [
            self.paper.nets[key] if key in self.paper.nets and self.paper.nets[key].there else None for key in keys
        ]
        assert client.get_networks_state(keys) == [net and net.state for net in known]
        assert client.get_networks_weight(keys) == [None if net is None else net.weight for net in known]
        assert client.get_networks_status(keys) == [
            self.paper.counts(net.transformations) if net else {} for net in known
        ]
        weights = [
            {key: task.weights[net.key] for key, task in self.paper.tasks.items() if net.key in task.weights}
            for net in there
        ]
        assert client.get_networks_actioned_tasks([net.key for net in there], task_weights=True) == weights
        for scope in self.scopes:
            its = [net for net in there if net.key.scope == scope]
            assert set(client.query_networks(scope=scope, state=None)) == {net.key for net in its}
            active = [net for net in its if net.state == "active"]
            assert set(client.query_networks(scope=scope)) == {net.key for net in active}
            seen = list({key for net in active for key in net.transformations})
            assert client.get_scope_status(scope, visualize=False) == self.paper.counts(seen)

    def _look_at_tasks(self) -> None:
        client, tasks = self.client, self.paper.tasks
        keys = [*tasks, NOWHERE]
        assert client.get_tasks_status(keys, batch_size=7) == [*(task.status.value for task in tasks.values()), None]
        assert client.get_tasks_priority(keys) == [*(task.priority for task in tasks.values()), None]
        for scope in self.scopes:
            assert set(client.query_tasks(scope)) == {key for key in tasks if key.scope == scope}
        for net in self.paper.there:
            its = {key for key, task in tasks.items() if task.transformation in net.transformations}
            assert set(client.get_network_tasks(net.key)) == its
        for key, task in list(tasks.items())[:2]:
            assert client.get_task_transformation(key) == task.transformation
            assert set(client.get_task_networks(key)) == self.paper.networks_of(task)
            assert client.get_task_actioned_networks(key, task_weights=True) == task.weights


def _net(scope: Scope, name: str, *systems: str) -> Net:
    chain = network_chain(name, systems, [(n, n + 1) for n in range(len(systems) - 1)])
    (network,) = keys_of(chain, "AlchemicalNetwork")
    transformations = tuple(ScopedKey.of(key, scope) for key in keys_of(chain, "Transformation"))
    return Net(ScopedKey.of(network, scope), chain, transformations)


@pytest.fixture
def user(api_url: str, database: Database) -> Iterator[AlchemiscaleClient]:
    identities.create(database, Principal.operating(), IdentityKind.user, "user", KEY, [Scope("test_org")])
    with database.transaction() as connection:
        cheap = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1).hash(KEY)
        connection.execute(text("update identity_key set hash = :cheap"), {"cheap": cheap})
    with AlchemiscaleClient(api_url, "user", KEY, use_local_cache=False, max_retries=0) as client:
        yield client


def test_histories(user: AlchemiscaleClient, database: Database) -> None:
    machine = type("HistoriesHere", (Histories,), {"client": user, "database": database})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            # the first failure leaves what others would trip over
            report_multiple_bugs=False,
            # over HTTP every step costs: shrinking takes longer than a test may
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
