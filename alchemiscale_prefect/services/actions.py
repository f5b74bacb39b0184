"""Actions: which Tasks are to be run for which networks, and with what weight."""

from collections.abc import Mapping, Sequence

from alchemiscale_prefect.domain.access import Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.tasks import ACTIONABLE, DEFAULT_WEIGHT, check_weight
from alchemiscale_prefect.services import audit, stopping
from alchemiscale_prefect.services.networks import check_network_key, check_readable, require_network, require_networks
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import actions, attempts, tasks

CANCELLED = "its Task was cancelled"


def action(
    database: Database,
    principal: Principal,
    network: ScopedKey,
    task_keys: Sequence[ScopedKey],
    weight: float | Sequence[float] | None = None,
) -> list[str | None]:
    """Have Tasks run for a network.

    Parameters
    ----------
    weight
        Between 0 (never) and 1, one for all or one for each: among Tasks of one priority the chance to be next. Given,
        it also replaces the weight of Tasks already actioned; ``None`` is 0.5 for new ones.

    Returns
    -------
    list
        The keys in this order; ``None`` for a Task that is already actioned here, not on the network's
        Transformations, not there, or neither waiting, running nor in error.

    Raises
    ------
    InvalidInput, NotFound
        Nothing was actioned.
    """
    check_network_key(network)
    principal.require(network.scope, Permission.write)
    weights = _weights(task_keys, weight)
    with database.transaction() as connection:
        network_id = require_network(connection, network)
        found = tasks.find(connection, [key for key in task_keys if key.scope == network.scope])
        queue.lock(connection, [row.id for row in found.values()])
        candidates = actions.candidates(connection, network_id, [row.id for row in found.values()])
        actionable = {
            name: row.id
            for name, row in found.items()
            if row.id in candidates and candidates[row.id].status in ACTIONABLE
        }
        new = {name for name, task_id in actionable.items() if not candidates[task_id].actioned}
        chosen = actionable if weight is not None else {name: actionable[name] for name in new}
        queue.enqueue(connection, network_id, list(chosen.values()), [weights[name] for name in chosen])
        if chosen:
            details = {"new": len(new), "weighed": len(chosen) - len(new)}
            audit.record(connection, principal, "task.action", network.scope, network, details)
    return [name if name in new else None for name in map(str, task_keys)]


def cancel(
    database: Database,
    principal: Principal,
    network: ScopedKey,
    task_keys: Sequence[ScopedKey],
    *,
    stop_tasks: bool = True,
) -> list[str | None]:
    """Take Tasks off a network, and stop those that no other network has actioned.

    Parameters
    ----------
    stop_tasks
        Stop also those that run, whether they are taken off now or were before; what they have done is kept for the
        next time. Without it they go on, and only those on their way to a worker are stopped.

    Returns
    -------
    list
        The keys in this order; ``None`` for a Task that was not actioned here.
    """
    check_network_key(network)
    principal.require(network.scope, Permission.write)
    with database.transaction() as connection:
        network_id = require_network(connection, network)
        found = tasks.find(connection, [key for key in task_keys if key.scope == network.scope])
        ids = [row.id for row in found.values()]
        queue.lock(connection, ids)
        removed = actions.remove(connection, network_id, ids)
        stopped: list[int] = []
        if stop_tasks:
            on_network = actions.candidates(connection, network_id, ids)
            stopped = stopping.stop_unactioned(connection, list(on_network), principal.identifier, CANCELLED)
        else:
            unwanted = actions.unactioned(connection, removed)
            attempts.cancel_live(connection, unwanted, CANCELLED, dispatched_only=True)
        queue.refresh(connection, ids)
        if removed or stopped:
            details = {"count": len(removed), "stop_tasks": stop_tasks}
            audit.record(connection, principal, "task.cancel", network.scope, network, details)
    return [name if name in found and found[name].id in removed else None for name in map(str, task_keys)]


def of_network(database: Database, principal: Principal, network: ScopedKey) -> dict[str, float]:
    """The Tasks actioned on a network, with their weights."""
    return of_networks(database, principal, [network])[0]


def of_networks(database: Database, principal: Principal, networks: Sequence[ScopedKey]) -> list[dict[str, float]]:
    """The Tasks actioned on each network, with their weights, in this order.

    Raises
    ------
    InvalidInput
        A key is of no network.
    NotFound
        A network is not there.
    """
    check_readable(principal, networks)
    with database.transaction() as connection:
        ids = require_networks(connection, networks)
        weights = actions.of_networks(connection, list(dict.fromkeys(ids)))
    return [_scoped(weights[network_id], network) for network_id, network in zip(ids, networks, strict=True)]


def of_task(database: Database, principal: Principal, task: ScopedKey) -> dict[str, float]:
    """The networks a Task is actioned on, with its weight on each."""
    principal.require(task.scope)
    with database.transaction() as connection:
        return _scoped(actions.of_task(connection, task), task)


def _weights(task_keys: Sequence[ScopedKey], weight: float | Sequence[float] | None) -> dict[str, float]:
    names = list(map(str, task_keys))
    if weight is None:
        return dict.fromkeys(names, DEFAULT_WEIGHT)
    if isinstance(weight, Sequence):
        if len(weight) != len(names):
            raise InvalidInput("weight (when in a list) must have the same length as tasks", field="weight")
        for one in weight:
            check_weight(one, "weights must be between 0 and 1 (inclusive)")
        return dict(zip(names, weight, strict=True))
    check_weight(weight)
    return dict.fromkeys(names, weight)


def _scoped(weights: Mapping[str, float], beside: ScopedKey) -> dict[str, float]:
    return {f"{key}-{beside.scope}": weight for key, weight in weights.items()}
