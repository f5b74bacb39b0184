"""Restart patterns in the database, and how often each has restarted a Task.

Counts change under the lock of their Task. Patterns of a network change under `enter`; they are locked in the order of
their ids, after Tasks.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Text

from alchemiscale_prefect.domain.restarts import MAX_TRACEBACK

_ADD = text(
    """
    insert into restart_pattern (network_id, pattern, max_retries)
    select :network, given.pattern, :max_retries
    from unnest(:patterns) with ordinality as given(pattern, n) order by given.n
    on conflict (network_id, pattern) do update set max_retries = excluded.max_retries
    returning id
    """
).bindparams(bindparam("patterns", type_=ARRAY(Text)))

# Only what the last attempt left: a Task whose last attempt could not make a ProtocolDAG, or was lost, is none of ours.
# Each `offset 0` is a fence, and sub-selects are looked up by their index: planners that saw the tables empty, as the
# queue often is, would hold each Task against each action.
_ENFORCED = text(
    """
    select t.id as task_id, t.attempts as n, p.network_id, p.id as pattern_id, p.pattern, p.max_retries,
           coalesce((select num_retries from restart_count count
                     where count.network_id = p.network_id and count.task_id = t.id and count.pattern_id = p.id), 0)
               as num_retries
    from (select id, attempts from task
          where id = any(:tasks) and status = 'error'
            and (select not ok from result where result.task_id = task.id and result.attempt = task.attempts)
          offset 0) t
    cross join lateral (select network_id from action where action.task_id = t.id offset 0) a
    join restart_pattern p on p.network_id = a.network_id
    order by p.id, t.id
    for key share of p
    """
).bindparams(bindparam("tasks", type_=ARRAY(BigInteger)))

_PATTERNS = text(
    "select distinct p.pattern from action a join restart_pattern p on p.network_id = a.network_id "
    "where a.task_id = any(:tasks) order by p.pattern"
).bindparams(bindparam("tasks", type_=ARRAY(BigInteger)))

_TRACEBACKS = text(
    """
    select r.task_id, r.attempt as n,
           right(coalesce(nullif(unit ->> 'traceback', ''), unit ->> 'exception'), :length) as searched
    from task t
    join result r on r.task_id = t.id and r.attempt = t.attempts and not r.ok
    cross join jsonb_array_elements(case jsonb_typeof(r.tracebacks) when 'array' then r.tracebacks else '[]' end) unit
    where t.id = any(:tasks) and t.status = 'error'
    """
).bindparams(bindparam("tasks", type_=ARRAY(BigInteger)))

_COUNT = text(
    """
    insert into restart_count (network_id, task_id, pattern_id, num_retries)
    select network_id, task_id, pattern_id, 1
    from unnest(:networks, :tasks, :patterns) as given(network_id, task_id, pattern_id)
    order by task_id, network_id, pattern_id
    on conflict (network_id, task_id, pattern_id) do update set num_retries = restart_count.num_retries + 1
    """
).bindparams(*(bindparam(name, type_=ARRAY(BigInteger)) for name in ("networks", "tasks", "patterns")))

_GIVE_UP = text(
    "delete from action a using unnest(:networks, :tasks) as given(network_id, task_id) "
    "where a.network_id = given.network_id and a.task_id = given.task_id"
).bindparams(*(bindparam(name, type_=ARRAY(BigInteger)) for name in ("networks", "tasks")))


@dataclass(frozen=True, slots=True)
class EnforcedRow:
    """A pattern of a network that a Task in error after attempt `n` is actioned on; how often it has restarted it."""

    task_id: int
    n: int
    network_id: int
    pattern_id: int
    pattern: str
    max_retries: int
    num_retries: int


def enter(connection: Connection, network_id: int) -> None:
    """Be the only one that changes a network's patterns, until the end of the transaction."""
    connection.execute(
        text("select pg_advisory_xact_lock(hashtextextended('restart patterns:' || :network, 0))"),
        {"network": str(network_id)},
    )


def of_networks(connection: Connection, network_ids: Collection[int]) -> dict[int, dict[str, int]]:
    """Network id → pattern → how often it may restart each Task, in the order they were added."""
    rows = connection.execute(
        text(
            "select network_id, pattern, max_retries from restart_pattern where network_id = any(:networks) order by id"
        ),
        {"networks": list(network_ids)},
    )
    grouped: dict[int, dict[str, int]] = {network_id: {} for network_id in network_ids}
    for row in rows:
        grouped[row.network_id][row.pattern] = row.max_retries
    return grouped


def add(connection: Connection, network_id: int, patterns: Sequence[str], max_retries: int) -> None:
    """Give a network patterns; those it has get this many restarts, and begin to count anew."""
    rows = connection.execute(
        _ADD, {"network": network_id, "patterns": list(patterns), "max_retries": max_retries}
    ).scalars()
    connection.execute(text("delete from restart_count where pattern_id = any(:patterns)"), {"patterns": list(rows)})


def set_max_retries(connection: Connection, network_id: int, patterns: Sequence[str], max_retries: int) -> None:
    """Change how often patterns may restart each Task; those that the network has not are left out."""
    connection.execute(
        text(
            "update restart_pattern set max_retries = :max_retries "
            "where network_id = :network and pattern = any(:patterns)"
        ),
        {"network": network_id, "patterns": list(patterns), "max_retries": max_retries},
    )


def remove(connection: Connection, network_id: int, patterns: Sequence[str] | None = None) -> int:
    """Take patterns, or all of them, from a network, with their counts; how many it had of them."""
    rows = connection.execute(
        text(
            "select id from restart_pattern where network_id = :network "
            "and (cast(:patterns as text[]) is null or pattern = any(:patterns)) order by id for update"
        ).bindparams(bindparam("patterns", type_=ARRAY(Text))),
        {"network": network_id, "patterns": None if patterns is None else list(patterns)},
    )
    ids = list(rows.scalars())
    connection.execute(text("delete from restart_pattern where id = any(:ids)"), {"ids": ids})
    return len(ids)


def actioned(connection: Connection, network_id: int) -> list[int]:
    """Tasks actioned on a network."""
    rows = connection.execute(text("select task_id from action where network_id = :network"), {"network": network_id})
    return list(rows.scalars())


def patterns_of_tasks(connection: Connection, task_ids: Collection[int]) -> list[str]:
    """The patterns of all networks that Tasks are actioned on, each once."""
    return list(connection.execute(_PATTERNS, {"tasks": list(task_ids)}).scalars())


def tracebacks(connection: Connection, task_ids: Collection[int]) -> dict[tuple[int, int], list[str]]:
    """What patterns are looked for in: the ends of the tracebacks that Tasks in error have from their last attempt.

    Returns
    -------
    dict
        (Task id, number of the attempt) → texts.
    """
    found: dict[tuple[int, int], list[str]] = {}
    for row in connection.execute(_TRACEBACKS, {"tasks": list(task_ids), "length": MAX_TRACEBACK}):
        found.setdefault((row.task_id, row.n), []).append(row.searched)
    return found


def enforced(connection: Connection, task_ids: Collection[int]) -> list[EnforcedRow]:
    """Every pattern of every network that Tasks in error are actioned on; the patterns stay until the transaction ends.

    A Task whose last attempt left no result is not among them.
    """
    return [EnforcedRow(**row._mapping) for row in connection.execute(_ENFORCED, {"tasks": list(task_ids)})]


def count(connection: Connection, restarts: Sequence[tuple[int, int, int]]) -> None:
    """Count a restart for each (network, Task, pattern)."""
    networks, tasks, patterns = zip(*restarts, strict=True) if restarts else ((), (), ())
    connection.execute(_COUNT, {"networks": list(networks), "tasks": list(tasks), "patterns": list(patterns)})


def give_up(connection: Connection, pairs: Sequence[tuple[int, int]]) -> None:
    """Take each Task off its network, for (network, Task) pairs; the counts go too."""
    networks, tasks = zip(*pairs, strict=True) if pairs else ((), ())
    connection.execute(_GIVE_UP, {"networks": list(networks), "tasks": list(tasks)})
