"""What must be true of a system that was battered, by the traces that its work left."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from alchemiscale_prefect.chemistry.base import ProtocolDAGResult
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.database import Database
from tests.chaos.stamped_protocol import END, START, Stamp


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt, as the database has it."""

    task: str
    n: int
    state: str
    flow_run: str | None


def attempts_of(database: Database, tasks: Iterable[ScopedKey]) -> list[AttemptRow]:
    """The attempts of Tasks, in their order."""
    with database.transaction() as connection:
        rows = connection.execute(
            text(
                "select t.key, a.n, a.state, a.flow_run_id::text as flow_run from attempt a "
                "join task t on t.id = a.task_id where t.key = any(:keys) order by t.id, a.n"
            ),
            {"keys": [task.gufe_key for task in tasks]},
        )
        return [AttemptRow(*row) for row in rows]


def by_task(stamps: Sequence[Stamp], attempts: Iterable[AttemptRow]) -> Mapping[str, list[Stamp]]:
    """The stamps of each Task, in order."""
    owner = {attempt.flow_run: attempt.task for attempt in attempts}
    found: dict[str, list[Stamp]] = defaultdict(list)
    for stamp in stamps:
        found[owner[stamp.flow_run]].append(stamp)
    return found


def check_one_at_a_time(stamps: Sequence[Stamp]) -> None:
    """Assert of one Task's stamps: once another process has begun, the former one does nothing any more."""
    seen: list[tuple[str, int]] = []
    for stamp in stamps:
        who = (stamp.flow_run, stamp.pid)
        if not seen or seen[-1] != who:
            assert who not in seen, f"{who} worked on beside {seen[-1]}: {stamps}"
            seen.append(who)


def check_little_is_repeated(stamps: Sequence[Stamp], units: int) -> None:
    """Assert of one Task's stamps: each interrupted process cost the unit at most that it was at."""
    starts = Counter(stamp.unit for stamp in stamps if stamp.event == START)
    workers = len({(stamp.flow_run, stamp.pid) for stamp in stamps})
    assert starts.total() <= units + workers - 1, f"{starts} by {workers} processes"


def check_counted_once(stamps: Sequence[Stamp], result: ProtocolDAGResult, units: int) -> None:
    """Assert of one Task's stamps: what is in its result was done, once each."""
    accepted = {item.name: item.outputs["token"] for item in result.protocol_unit_results if item.ok()}
    assert len(accepted) == len(result.protocol_unit_results) == units
    done = Counter(stamp.token for stamp in stamps if stamp.event == END)
    assert all(done[token] == 1 for token in accepted.values()), (accepted, done)
    # one after the other, whoever did them
    order = [stamp.unit for stamp in stamps if stamp.event == END and stamp.token in accepted.values()]
    assert order == list(range(units))


def is_idle(database: Database) -> bool:
    """Whether nobody holds a lock or an open transaction in the database."""
    with database.transaction() as connection:
        held = connection.execute(
            text(
                "select a.state, a.query, l.locktype from pg_stat_activity a left join pg_locks l on l.pid = a.pid "
                "and (l.locktype in ('advisory', 'tuple') or not l.granted) "
                "where a.datname = current_database() and a.pid <> pg_backend_pid() "
                "and (l.pid is not null or a.state like 'idle in transaction%')"
            )
        ).all()
    return not held
