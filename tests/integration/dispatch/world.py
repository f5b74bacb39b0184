"""What tests of dispatching are made of: networks with Tasks, an orchestrator in memory, and looks at the tables."""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.attempts import AttemptId, Capacity, Launch, Launched, RunEnd, RunState
from alchemiscale_prefect.domain.errors import AttemptVoid
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.domain.transitions import Cause, may_become
from alchemiscale_prefect.services import actions, networks, runs, submission, tasks
from alchemiscale_prefect.services.dispatch import Pool
from alchemiscale_prefect.services.runs import Run
from alchemiscale_prefect.store import queue, schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.objects.local import LocalObjectStore
from alchemiscale_prefect.store.queries import status_counts
from alchemiscale_prefect.wire import compute as wire
from tests.chains import keys_of, network_chain

SCOPE = Scope("test_org", "test_campaign", "test_project")
LEASE = timedelta(seconds=90)
PDR_KEY = "ProtocolDAGResult-0123456789abcdef"


@dataclass(frozen=True)
class Net:
    """A network and its Transformations; equal `systems` in two networks make them share these."""

    key: ScopedKey
    transformations: tuple[ScopedKey, ...]


class World:
    """A database with networks and Tasks in it, used through the services."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.store = LocalObjectStore(folder)
        self.user = Principal.writing("user", IdentityKind.user, (SCOPE,))
        self.compute = Principal.writing("compute", IdentityKind.compute, (Scope(),))

    # --- making ------------------------------------------------------------------------------------------------------

    def act_in(self, *scopes: Scope) -> None:
        """Let the user have these scopes instead."""
        self.user = Principal.writing("user", IdentityKind.user, scopes)

    def network(
        self, name: str = "one", weight: float = 0.5, systems: Sequence[str] = ("a", "b"), scope: Scope | None = None
    ) -> Net:
        """A network of one Transformation, in the user's first scope or in this one."""
        scope = scope or self.user.scopes[0]
        chain = network_chain(name, systems, [(0, 1)])
        key = submission.create_network(self.database, self.user, chain, scope)
        networks.set_weights(self.database, self.user, [key], [weight])
        return Net(key, tuple(ScopedKey.of(tf, scope) for tf in keys_of(chain, "Transformation")))

    def create(self, net: Net, count: int = 1, extends: ScopedKey | None = None) -> list[ScopedKey]:
        """Tasks that are not actioned."""
        made = tasks.create(self.database, self.user, [net.transformations[0]] * count, [extends] * count)
        return [ScopedKey.from_str(name) for name in made]

    def tasks(
        self, net: Net, count: int = 1, weight: float | None = None, priority: int | None = None
    ) -> list[ScopedKey]:
        """Tasks that are actioned on the network."""
        made = self.create(net, count)
        if priority is not None:
            tasks.set_priority(self.database, self.user, made, priority)
        self.action(net, made, weight)
        return made

    def action(self, net: Net, keys: Sequence[ScopedKey], weight: float | None = None) -> list[str | None]:
        return actions.action(self.database, self.user, net.key, keys, weight)

    def cancel(self, net: Net, keys: Sequence[ScopedKey], *, stop_tasks: bool = True) -> list[str | None]:
        return actions.cancel(self.database, self.user, net.key, keys, stop_tasks=stop_tasks)

    def stop(self, net: Net, state: str = "inactive") -> list[str | None]:
        """Set the network's state, and stop its Tasks."""
        return networks.set_states(self.database, self.user, [net.key], [state], stop_tasks=True)

    def set_status(self, keys: Sequence[ScopedKey], status: str) -> list[str | None]:
        return tasks.set_status(self.database, self.user, keys, status)

    # --- running -----------------------------------------------------------------------------------------------------

    def claim(self, count: int = 1, pool: str = "pool") -> list[AttemptId]:
        """Claim Tasks, committed."""
        with self.database.transaction() as connection:
            return [launch.attempt for launch in queue.claim(connection, pool, count)]

    def claim_all(self, pool: str = "pool") -> list[AttemptId]:
        """Claim until nothing is left."""
        claimed: list[AttemptId] = []
        while more := self.claim(200, pool):
            claimed += more
        return claimed

    def run(self, attempt: AttemptId, flow_run: uuid.UUID | None = None, process: str = "p") -> "FlowRun":
        """A flow run for an attempt, which has not called begin."""
        return FlowRun(self, attempt, flow_run or uuid.uuid4(), process)

    def started(self, count: int = 1) -> list["FlowRun"]:
        """Claimed, and begun."""
        begun = [self.run(attempt) for attempt in self.claim(count)]
        for run in begun:
            run.begin()
        return begun

    # --- looking -----------------------------------------------------------------------------------------------------

    def rows(self, statement: str, **parameters: Any) -> list[Any]:
        """What a query gives."""
        with self.database.transaction() as connection:
            return list(connection.execute(text(statement), parameters))

    def execute(self, statement: str, **parameters: Any) -> None:
        """Change something behind the services' back."""
        with self.database.transaction() as connection:
            connection.execute(text(statement), parameters)

    def status(self, key: ScopedKey) -> str | None:
        return tasks.get_statuses(self.database, self.user, [key])[0]

    def attempt(self, attempt: AttemptId) -> Any:
        """The row of an attempt."""
        return self.rows(
            "select a.* from attempt a join task t on t.id = a.task_id where t.key = :key and a.n = :n",
            key=ScopedKey.from_str(attempt.task).gufe_key,
            n=attempt.n,
        )[0]

    def attempts(self, key: ScopedKey) -> list[tuple[int, str]]:
        """Number and state of a Task's attempts."""
        found = self.rows(
            "select a.n, a.state from attempt a join task t on t.id = a.task_id where t.key = :key order by a.n",
            key=key.gufe_key,
        )
        return [tuple(row) for row in found]

    def queued(self) -> Counter[str]:
        """How often each Task's own key is in the queue."""
        return Counter(
            row.key for row in self.rows("select t.key from action a join task t on t.id = a.task_id where a.queued")
        )

    def age(self, seconds: float) -> None:
        """Make every attempt so much older."""
        past = ", ".join(
            f"{column} = {column} - make_interval(secs => :seconds)"
            for column in ("created_at", "launched_at", "pending_since", "started_at", "lease_expires_at", "ended_at")
        )
        self.execute(f"update attempt set {past}", seconds=seconds)

    def content(self) -> dict[str, list[str]]:
        """Every row of every table."""
        with self.database.transaction() as connection:
            return {table.name: _content(connection, table.name) for table in schema.metadata.sorted_tables}

    def check(self) -> None:
        """Assert what must hold between any two transactions."""
        # whether an action is queued is what the definition says, worked out again
        assert not self.rows(
            """
            select t.key, a.queued from action a
            join task t on t.id = a.task_id left join task parent on parent.id = t.extends_id
            where a.queued <> (
                t.status = 'waiting' and t.not_before is null and a.weight > 0
                and coalesce(parent.status = 'complete', true)
                and not exists (select 1 from attempt live where live.task_id = t.id
                                and live.state in ('dispatched', 'running')))
               or a.priority <> t.priority
            """
        )
        assert not self.rows(
            "select task_id from attempt where state in ('dispatched', 'running') group by task_id having count(*) > 1"
        )
        # running is what has a run under a lease
        assert not self.rows(
            """
            select t.key, t.status from task t
            left join attempt live on live.task_id = t.id and live.state in ('dispatched', 'running')
            where (t.status = 'running') <> coalesce(live.state = 'running', false)
               or (live.state = 'dispatched' and t.status <> 'waiting')
            """
        )
        assert not self.rows(
            "select 1 from action a join task t on t.id = a.task_id "
            "where t.status in ('complete', 'invalid', 'deleted')"
        )
        # each history goes on where it stopped, by the table of transitions, up to what the Task is now
        for row in self.rows(
            """
            select t.key, t.status, h.from_status, h.to_status, h.cause, h.attempt, t.attempts,
                   lead(h.from_status, 1, t.status) over history as next_status,
                   lag(h.to_status, 1, 'waiting') over history as last_status
            from task t left join task_history h on h.task_id = t.id
            where t.copied_from_id is null
            window history as (partition by t.id order by h.id)
            """
        ):
            if row.cause is None:
                assert row.status == "waiting", row
                continue
            assert may_become(TaskStatus(row.from_status), TaskStatus(row.to_status), Cause(row.cause)), row
            assert (row.last_status, row.next_status) == (row.from_status, row.to_status), row
            assert (row.attempt or 0) <= row.attempts, row
        # the counts are what a recount gives
        with self.database.transaction() as connection:
            assert status_counts.differences(connection) == []
        # every result is of an attempt that finished, at most one of each
        assert not self.rows(
            """
            select r.key from result r join attempt a on a.task_id = r.task_id and a.n = r.attempt
            where a.state <> case when r.ok then 'complete' else 'error' end
            """
        )


class FlowRun:
    """A flow run at work on an attempt, as the API sees it."""

    def __init__(self, world: World, attempt: AttemptId, flow_run: uuid.UUID, process: str) -> None:
        self.world = world
        self.attempt = attempt
        self.flow_run = flow_run
        self.lease = LEASE
        self.run = Run(ScopedKey.from_str(attempt.task), attempt.n, f"{flow_run}/1/{process}")

    @property
    def task(self) -> ScopedKey:
        return self.run.task

    def begin(self) -> wire.Begun:
        body = wire.Begin(owner=self.run.owner, flow_run_id=str(self.flow_run), host="host")
        return runs.begin(self.world.database, self.world.compute, self.run, body, self.lease)

    def heartbeat(self, done: int = 0, total: int = 1, fraction: float | None = None) -> None:
        body = wire.Heartbeat(units_done=done, units_total=total, fraction=fraction)
        runs.heartbeat(self.world.database, self.world.compute, self.run, body, self.lease)

    def store_dag(self, shared_id: str = "shared", data: bytes = b"dag") -> None:
        runs.store_dag(self.world.database, self.world.store, self.world.compute, self.run, shared_id, data)

    def store_unit(self, key: str = "ProtocolUnitResult-1", unit: str = "ProtocolUnit-1", ok: bool = True) -> None:
        stored = wire.StoredUnit(key=key, unit_key=unit, ok=ok, directory="/shared/1")
        runs.store_unit(self.world.database, self.world.store, self.world.compute, self.run, stored, key.encode())

    def fetch_dag(self) -> bytes:
        return runs.fetch_dag(self.world.database, self.world.store, self.world.compute, self.run)

    def fetch_unit(self, key: str = "ProtocolUnitResult-1") -> bytes:
        return runs.fetch_unit(self.world.database, self.world.store, self.world.compute, self.run, key)

    def store_files(
        self,
        data: bytes,
        key: str = "ProtocolUnitResult-1",
        part: int = 0,
        *,
        last: bool = False,
        relocatable: bool = False,
    ) -> None:
        query = wire.StoreFiles(last=last, relocatable=relocatable)
        runs.store_files(self.world.database, self.world.store, self.world.compute, self.run, key, part, query, data)

    def fetch_files(self, key: str = "ProtocolUnitResult-1", part: int = 0) -> bytes:
        return runs.fetch_files(self.world.database, self.world.store, self.world.compute, self.run, key, part)

    def fetch_extends(self) -> bytes:
        return runs.fetch_extends(self.world.database, self.world.store, self.world.compute, self.run).data

    def store_result(self, ok: bool = True, key: str = PDR_KEY, data: bytes = b"pdr") -> None:
        runs.store_result(self.world.database, self.world.store, self.world.compute, self.run, key, ok, data)

    def finish(self, ok: bool = True, result: str | None = PDR_KEY, reason: str | None = None) -> wire.Finished:
        body = wire.Finish(ok=ok, result=result, estimate=-1.0 if ok else None, reason=reason)
        return runs.finish(self.world.database, self.world.store, self.world.compute, self.run, body)

    def release(self, reason: str = "told to stop", max_losses: int = 5, cause: Any = "failed") -> None:
        body = wire.Release(reason=reason, cause=cause)
        runs.release(self.world.database, self.world.compute, self.run, body, max_losses)

    def stop(self) -> None:
        """Cancelled, it has heard of it and says that it has stopped."""
        with pytest.raises(AttemptVoid):
            self.release()

    def complete(self, ok: bool = True) -> wire.Finished:
        """Store a result and finish."""
        self.store_result(ok)
        return self.finish(ok)


@dataclass
class MemoryLauncher:
    """An orchestrator in memory that makes one flow run per attempt.

    Attributes
    ----------
    launched, cancelled
        What was asked for, in order, with repetitions.
    runs
        ``<Task>:<n>`` → flow run.
    state, ended
        Of each flow run, and how it ended if that is known.
    refuse
        Tasks for which it makes no flow run.
    fail_before, fail_after
        Raise before, or after, the flow runs of the next launch are made.
    free
        What there is room for; ``None`` raises.
    """

    launched: list[Launch] = field(default_factory=list)
    cancelled: list[uuid.UUID] = field(default_factory=list)
    runs: dict[str, uuid.UUID] = field(default_factory=dict)
    state: dict[uuid.UUID, RunState] = field(default_factory=dict)
    ended: dict[uuid.UUID, RunEnd] = field(default_factory=dict)
    refuse: set[str] = field(default_factory=set)
    fail_before: bool = False
    fail_after: bool = False
    deaf: bool = False
    free: Capacity | None = field(default_factory=Capacity)

    def launch(self, launches: Sequence[Launch]) -> tuple[Launched, ...]:
        if self.fail_before:
            raise ConnectionError("the orchestrator is out of reach")
        self.launched += launches
        answers = tuple(self._launch(launch) for launch in launches)
        if self.fail_after:
            raise ConnectionError("the orchestrator's answer was lost")
        return answers

    def _launch(self, launch: Launch) -> Launched:
        if launch.attempt.task in self.refuse:
            return Launched(launch.attempt, None, "no")
        flow_run = self.runs.setdefault(_key(launch.attempt), uuid.uuid4())
        self.state.setdefault(flow_run, RunState.scheduled)
        return Launched(launch.attempt, flow_run)

    def cancel(self, flow_run_ids: Collection[uuid.UUID]) -> frozenset[uuid.UUID]:
        self.cancelled += flow_run_ids
        if self.deaf:
            return frozenset()
        for flow_run in flow_run_ids:
            self.state[flow_run] = RunState.ended
        return frozenset(flow_run_ids)

    def states(self, flow_run_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, RunState]:
        return {flow_run: self.state.get(flow_run, RunState.missing) for flow_run in flow_run_ids}

    def ends(self, flow_run_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, RunEnd]:
        return {flow_run: self.ended[flow_run] for flow_run in flow_run_ids if flow_run in self.ended}

    def capacity(self) -> Capacity:
        if self.free is None:
            raise ConnectionError("the orchestrator is out of reach")
        return self.free

    def of(self, attempt: AttemptId) -> uuid.UUID:
        """The flow run of an attempt."""
        return self.runs[_key(attempt)]


def _key(attempt: AttemptId) -> str:
    # not the idempotency key: `World.age` makes another one of that
    return f"{attempt.task}:{attempt.n}"


def pool(name: str = "pool", **changes: Any) -> Pool:
    """A pool large enough for everything, unless changed."""
    return Pool(**{"name": name, "buffer": 50, "max_in_flight": 50, **changes})


def own_keys(attempts: Iterable[AttemptId]) -> list[str]:
    """The Tasks' own keys."""
    return [ScopedKey.from_str(attempt.task).gufe_key for attempt in attempts]


def _content(connection: Connection, table: str) -> list[str]:
    return sorted(map(str, connection.execute(text(f"select * from {table}")).mappings()))
