"""Restart patterns of networks, and what they make of Tasks that failed.

The patterns are users'. They are looked for before a transaction begins, so that a slow one holds no lock; what is left
for the transaction is what came in between.
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from alchemiscale_prefect.domain.access import Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.restarts import (
    MAX_PATTERNS,
    Enforced,
    check_allowed_restarts,
    check_patterns,
)
from alchemiscale_prefect.domain.restarts import resolve as plan_of
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.domain.transitions import Cause, Reason
from alchemiscale_prefect.services import audit
from alchemiscale_prefect.services.networks import check_network_key, check_readable, require_network, require_networks
from alchemiscale_prefect.services.pattern_search import Matches
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import restarts, tasks, transitions


def add(
    database: Database,
    principal: Principal,
    network: ScopedKey,
    patterns: Sequence[str],
    num_allowed_restarts: int,
) -> None:
    """Have Tasks of a network run again when their tracebacks match a pattern; those in error now too.

    Parameters
    ----------
    patterns
        Regular expressions of Python's `re`. One that the network has begins to count anew.
    num_allowed_restarts
        How often each of them may restart each Task.

    Raises
    ------
    InvalidInput
        A pattern is no regular expression or takes too long, the number is less than one, or the network would have
        too many patterns; nothing was changed.
    NotFound
        There is no such network.
    """
    check_network_key(network)
    principal.require(network.scope, Permission.write)
    given = check_patterns(patterns)
    check_allowed_restarts(num_allowed_restarts)
    _check_number(len(given))
    with database.transaction() as connection:
        network_id = require_network(connection, network)
        texts = restarts.tracebacks(connection, restarts.actioned(connection, network_id))
        others = restarts.patterns_of_tasks(connection, {task_id for task_id, _ in texts})
    matches = Matches()
    # with an empty text, so that a pattern is tried even where no Task has failed
    matches.look_for([*given, *others], {"", *(text for found in texts.values() for text in found)})
    for pattern in given:
        _check_searched(pattern, matches)
    with database.transaction() as connection:
        # all, so that one that runs now either fails before, and is seen here, or sees the patterns when it fails
        task_ids = restarts.actioned(connection, network_id)
        queue.lock(connection, task_ids)
        restarts.enter(connection, network_id)
        restarts.add(connection, network_id, given, num_allowed_restarts)
        _check_number(len(restarts.of_networks(connection, [network_id])[network_id]))
        details = {"patterns": len(given), "num_allowed_restarts": num_allowed_restarts}
        audit.record(connection, principal, "restart_patterns.add", network.scope, network, details)
        resolve(connection, task_ids, matches, texts)


def of_networks(database: Database, principal: Principal, networks: Sequence[ScopedKey]) -> list[dict[str, int]]:
    """The patterns of each network with how often they may restart each Task, in this order.

    Raises
    ------
    InvalidInput
        A key is of no network.
    NotFound
        A network is not there.
    """
    check_readable(principal, networks)
    with database.transaction() as connection:
        ids = require_networks(connection, networks, "networks")
        found = restarts.of_networks(connection, list(dict.fromkeys(ids)))
    return [found[network_id] for network_id in ids]


def set_allowed_restarts(
    database: Database,
    principal: Principal,
    network: ScopedKey,
    patterns: Sequence[str],
    num_allowed_restarts: int,
    field: str = "num_allowed_restarts",
) -> None:
    """Change how often patterns may restart each Task, from its next failure on; the network's others are left out.

    Parameters
    ----------
    field
        What the caller calls the number.

    Raises
    ------
    InvalidInput
        The number is less than one; nothing was changed.
    NotFound
        There is no such network.
    """
    check_network_key(network)
    principal.require(network.scope, Permission.write)
    given = check_patterns(patterns)
    check_allowed_restarts(num_allowed_restarts, field)
    with database.transaction() as connection:
        network_id = require_network(connection, network)
        restarts.enter(connection, network_id)
        restarts.set_max_retries(connection, network_id, given, num_allowed_restarts)
        details = {"patterns": len(given), "num_allowed_restarts": num_allowed_restarts}
        audit.record(connection, principal, "restart_patterns.set", network.scope, network, details)


def remove(database: Database, principal: Principal, network: ScopedKey, patterns: Sequence[str] | None = None) -> None:
    """Take patterns, or with ``None`` all of them, from a network; those that it has not are left out.

    Raises
    ------
    NotFound
        There is no such network.
    """
    check_network_key(network)
    principal.require(network.scope, Permission.write)
    given = None if patterns is None else check_patterns(patterns)
    with database.transaction() as connection:
        network_id = require_network(connection, network)
        restarts.enter(connection, network_id)
        if removed := restarts.remove(connection, network_id, given):
            details = {"patterns": removed}
            audit.record(connection, principal, "restart_patterns.remove", network.scope, network, details)


def look_ahead(database: Database, task: ScopedKey, texts: Collection[str]) -> Matches:
    """Look for the patterns of a Task's networks in the tracebacks that it is about to fail with."""
    matches = Matches()
    with database.transaction() as connection:
        found = tasks.find(connection, [task])
        patterns = restarts.patterns_of_tasks(connection, [row.id for row in found.values()])
    matches.look_for(patterns, texts)
    return matches


def resolve(
    connection: Connection,
    task_ids: Collection[int],
    matches: Matches,
    known: Mapping[tuple[int, int], Sequence[str]] = MappingProxyType({}),
) -> None:
    """Restart, or give up, those of these Tasks that are in error, as their networks' patterns say.

    A Task whose last attempt left no result (its ProtocolDAG could not be made, or it was lost too often) is left
    alone: there is no traceback of a ProtocolUnit to look at.

    Parameters
    ----------
    task_ids
        Locked by the caller.
    matches
        What was looked for before; the rest is looked for now.
    known
        Texts that were read before, by Task id and number of the attempt.
    """
    rows = restarts.enforced(connection, task_ids)
    if not rows:
        return
    unread = {row.task_id for row in rows if (row.task_id, row.n) not in known}
    texts = {**known, **restarts.tracebacks(connection, unread)}
    searched = {text for row in rows for text in texts.get((row.task_id, row.n), ())}
    matches.look_for((row.pattern for row in rows), searched)
    plan = plan_of(
        Enforced(
            row.task_id,
            row.network_id,
            row.pattern_id,
            row.max_retries,
            row.num_retries,
            matches.found(row.pattern, texts.get((row.task_id, row.n), ())),
        )
        for row in rows
    )
    restarts.count(connection, plan.counted)
    restarts.give_up(connection, plan.given_up)
    transitions.move(connection, plan.restarted, TaskStatus.waiting, Reason(Cause.restart))
    queue.refresh(connection, plan.restarted)


def _check_number(patterns: int) -> None:
    if patterns > MAX_PATTERNS:
        raise InvalidInput(
            f"`patterns`: a network has at most {MAX_PATTERNS} restart patterns; remove some, or join them by '|'",
            field="patterns",
        )


def _check_searched(pattern: str, matches: Matches) -> None:
    if pattern in matches.errors:
        raise InvalidInput(
            f"`patterns`: {pattern!r} is not a valid regular expression: {matches.errors[pattern]}", field="patterns"
        )
    if pattern in matches.too_slow:
        raise InvalidInput(
            f"`patterns`: {pattern!r} takes too long to look for in tracebacks; use a simpler one", field="patterns"
        )
