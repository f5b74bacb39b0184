"""An orchestrator that keeps no promise but the port's: it loses, delays and doubles flow runs, and its calls fail.

It lies in a table of the database, so that dispatchers and executors may be threads or processes.
"""

import random
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from alchemiscale_prefect.domain.attempts import AttemptId, Capacity, Fate, Launch, Launched, RunEnd, RunState
from alchemiscale_prefect.store.database import Database

_TABLE = """
create table if not exists rough_run (
    id uuid primary key, key text unique not null, task text not null, n int not null, state text not null,
    copies int not null, visible_at timestamptz not null)
"""
_IDS = bindparam("ids", type_=ARRAY(Uuid))


def install(database: Database) -> None:
    """Make its table."""
    with database.transaction() as connection:
        connection.execute(text(_TABLE))


@dataclass
class RoughOrchestrator:
    """A `Launcher`, and what takes the flow runs from it.

    Parameters
    ----------
    database
        Where its table is.
    chance
        Decides about what goes wrong.
    rough
        Whether anything does.
    """

    database: Database
    chance: random.Random
    rough: bool = True

    def launch(self, launches: Sequence[Launch]) -> tuple[Launched, ...]:
        self._fail()
        answers = tuple(self._launch(launch) for launch in launches)
        self._fail()
        return answers

    def _launch(self, launch: Launch) -> Launched:
        if self._happens(0.05):
            return Launched(launch.attempt, None, "no")
        parameters = {
            "id": uuid.uuid4(),
            "key": launch.idempotency_key,
            "task": launch.attempt.task,
            "n": launch.attempt.n,
            # Prefect was seen to run one flow run in two processes at once
            "copies": 2 if self._happens(0.15) else 1,
            "delay": self.chance.random() * 1.0 if self._happens(0.1) else 0.0,
        }
        with self.database.transaction() as connection:
            connection.execute(
                text(
                    "insert into rough_run values (:id, :key, :task, :n, 'scheduled', :copies, "
                    "now() + make_interval(secs => :delay)) on conflict (key) do nothing"
                ),
                parameters,
            )
            found = connection.execute(
                text("select id from rough_run where key = :key"), {"key": parameters["key"]}
            ).scalar_one()
        return Launched(launch.attempt, found)

    def take(self) -> tuple[uuid.UUID, AttemptId] | None:
        """A flow run to execute, as a worker gets it; ``None`` if none is due."""
        with self.database.transaction() as connection:
            row = connection.execute(
                text(
                    """
                    update rough_run set copies = copies - 1,
                           state = case when copies > 1 then 'scheduled' else 'pending' end
                    where id = (select id from rough_run where state = 'scheduled' and visible_at <= now()
                                limit 1 for update skip locked)
                    returning id, task, n
                    """
                )
            ).one_or_none()
        return None if row is None else (row.id, AttemptId(row.task, row.n))

    def become(self, flow_run: uuid.UUID, state: RunState) -> None:
        """Its process says what it does; a cancellation stands until it has ended."""
        with self.database.transaction() as connection:
            connection.execute(
                text(
                    "update rough_run set state = :state where id = :id and state <> 'ended' "
                    "and (state <> 'cancelling' or :state = 'ended')"
                ),
                {"id": flow_run, "state": state.value},
            )

    def is_cancelling(self, flow_run: uuid.UUID) -> bool:
        return self.states([flow_run])[flow_run] is RunState.cancelling

    def cancel(self, flow_run_ids: Collection[uuid.UUID]) -> frozenset[uuid.UUID]:
        self._fail()
        heard = [flow_run for flow_run in flow_run_ids if not self._happens(0.2)]
        with self.database.transaction() as connection:
            connection.execute(
                text(
                    "update rough_run set state = case when state = 'running' then 'cancelling' else 'ended' end "
                    "where id = any(:ids) and state not in ('ended', 'cancelling')"
                ).bindparams(_IDS),
                {"ids": heard},
            )
        return frozenset(heard)

    def states(self, flow_run_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, RunState]:
        self._fail()
        with self.database.transaction() as connection:
            rows = connection.execute(
                text("select id, state from rough_run where id = any(:ids)").bindparams(_IDS),
                {"ids": list(flow_run_ids)},
            )
            found = {row.id: RunState(row.state) for row in rows}
        return {flow_run: found.get(flow_run, RunState.missing) for flow_run in flow_run_ids}

    def ends(self, flow_run_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, RunEnd]:
        return {
            flow_run: RunEnd(Fate.lost, "it crashed")
            for flow_run, state in self.states(flow_run_ids).items()
            if state is RunState.ended
        }

    def capacity(self) -> Capacity:
        self._fail()
        return Capacity()

    def _happens(self, probability: float) -> bool:
        return self.rough and self.chance.random() < probability

    def _fail(self) -> None:
        if self._happens(0.02):
            raise ConnectionError("the orchestrator is out of reach")
