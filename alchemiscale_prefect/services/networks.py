"""AlchemicalNetworks: finding them, their state, their weight. `services.submission` takes them in.

Listings here and in the other areas give ScopedKeys as strings, which is what crosses the wire.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from alchemiscale_prefect.domain.access import Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput, NotFound
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.network_content import NETWORK
from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.tasks import check_weight
from alchemiscale_prefect.services import audit, stopping
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import networks, objects, scopes
from alchemiscale_prefect.store.queries.patterns import matching

Value = TypeVar("Value")

MOST_VALUES = 10
"""States or weights that the audit tells of one call."""


def check_network_key(key: ScopedKey) -> None:
    """Raise `InvalidInput`, with alchemiscale's text, unless `key` is of an AlchemicalNetwork."""
    if key.qualname != NETWORK:
        raise InvalidInput("`network` ScopedKey does not correspond to an `AlchemicalNetwork`", field="network")


def require_network(connection: Connection, key: ScopedKey, field: str = "network") -> int:
    """The id of a network; `NotFound` if there is none of this name."""
    network_id = objects.ids_of(connection, "network", [key]).get(str(key))
    if network_id is None:
        raise NotFound("No such object in database", field=field)
    return network_id


def check_readable(principal: Principal, keys: Sequence[ScopedKey]) -> None:
    """Raise unless `keys` are all of AlchemicalNetworks, in scopes that the principal may read."""
    for key in keys:
        check_network_key(key)
    principal.require_all(key.scope for key in keys)


def require_networks(connection: Connection, keys: Sequence[ScopedKey], field: str = "network") -> list[int]:
    """The ids of networks, in this order; `NotFound` if one is not there, which of several it names."""
    ids = objects.ids_of(connection, "network", list(dict.fromkeys(keys)))
    for key in keys:
        if str(key) not in ids:
            raise NotFound("No such object in database" + (f": {key}" if len(keys) > 1 else ""), field=field)
    return [ids[str(key)] for key in keys]


def query(database: Database, principal: Principal, scope: Scope, name: str | None, state: str | None) -> list[str]:
    """Networks in what of `scope` the principal sees.

    Parameters
    ----------
    name, state
        Regular expressions that must match the whole of the name and of the state; ``None`` for any.
    """
    with database.transaction() as connection:
        scope_ids = scopes.covered(connection, principal.visible(scope))
        with matching(connection, {"name": name, "state": state}) as patterns:
            return networks.query(connection, scope_ids, patterns["name"], patterns["state"])


def of_transformation(database: Database, principal: Principal, transformation: ScopedKey) -> list[str]:
    """The networks that have a Transformation, whatever their state."""
    principal.require(transformation.scope)
    with database.transaction() as connection:
        return scoped(networks.of_transformation(connection, transformation), transformation.scope)


def of_chemical_system(database: Database, principal: Principal, chemical_system: ScopedKey) -> list[str]:
    """The networks that have a ChemicalSystem, whatever their state."""
    principal.require(chemical_system.scope)
    with database.transaction() as connection:
        return scoped(networks.of_chemical_system(connection, chemical_system), chemical_system.scope)


def of_task(database: Database, principal: Principal, task: ScopedKey) -> list[str]:
    """The networks that have the Task's Transformation."""
    principal.require(task.scope)
    with database.transaction() as connection:
        return scoped(networks.of_task(connection, task), task.scope)


def ancestors(database: Database, principal: Principal, network: ScopedKey) -> list[str]:
    """The networks that this one was extended from: the nearest first; `NotFound` if there is no such network."""
    check_network_key(network)
    principal.require(network.scope)
    with database.transaction() as connection:
        return scoped(networks.ancestors(connection, require_network(connection, network)), network.scope)


def get_states(database: Database, principal: Principal, keys: Sequence[ScopedKey]) -> list[str | None]:
    """The state of each network, in this order; ``None`` for one that is not there."""
    return _get(database, principal, keys, networks.states)


def set_states(
    database: Database,
    principal: Principal,
    keys: Sequence[ScopedKey],
    states: Sequence[str],
    *,
    stop_tasks: bool = False,
) -> list[str | None]:
    """Give each network its state; the keys in this order, ``None`` for a network that is not there.

    Parameters
    ----------
    stop_tasks
        Also take every Task off these networks, and stop those that no other network has actioned, with what they have
        done kept for the next time.

    Raises
    ------
    InvalidInput
        The lists differ in length, a key is of no network, a state does not exist, or `stop_tasks` is given for
        ``active``; nothing was changed.
    """
    if len(keys) != len(states):
        raise InvalidInput("networks and states must have the same length", field="states")
    members = [NetworkState.parse(state).value for state in states]
    if stop_tasks and NetworkState.active in members:
        raise InvalidInput(
            "`stop_tasks` goes with 'inactive', 'invalid' and 'deleted'; leave it out for 'active'", field="stop_tasks"
        )

    def write(connection: Connection, by_id: Mapping[int, str]) -> None:
        networks.set_states(connection, by_id)
        if stop_tasks:
            stopping.stop_networks(connection, list(by_id), principal.identifier, "its network was stopped")

    return _set(database, principal, keys, members, write, "network.set_state", {"stop_tasks": stop_tasks})


def get_weights(database: Database, principal: Principal, keys: Sequence[ScopedKey]) -> list[float | None]:
    """The weight of each network, in this order; ``None`` for one that is not there."""
    return _get(database, principal, keys, networks.weights)


def set_weights(
    database: Database, principal: Principal, keys: Sequence[ScopedKey], weights: Sequence[float]
) -> list[str | None]:
    """Give each network its weight, its share of the computing; 0 stops new Tasks.

    Returns
    -------
    list
        The keys in this order, ``None`` for a network that is not there.

    Raises
    ------
    InvalidInput
        The lists differ in length, a key is of no network, or a weight is outside [0, 1]; nothing was changed.
    """
    for weight in weights:
        check_weight(weight, "all `weights` must be between 0 and 1 (inclusive)")
    if len(keys) != len(weights):
        raise InvalidInput("length of `networks` and `weights` must be the same", field="weights")

    def write(connection: Connection, by_id: Mapping[int, float]) -> None:
        networks.set_weights(connection, by_id)
        queue.notify(connection)

    return _set(database, principal, keys, weights, write, "network.set_weight", {})


def scoped(keys: Sequence[str], scope: Scope) -> list[str]:
    """Keys of one scope as ScopedKeys."""
    return [f"{key}-{scope}" for key in keys]


def _get(
    database: Database,
    principal: Principal,
    keys: Sequence[ScopedKey],
    read: Callable[[Connection, Sequence[int]], Mapping[int, Value]],
) -> list[Value | None]:
    principal.require_all(key.scope for key in keys)
    with database.transaction() as connection:
        ids = objects.ids_of(connection, "network", keys)
        values = read(connection, list(ids.values()))
    return [values.get(ids[name]) if name in ids else None for name in map(str, keys)]


def _set(
    database: Database,
    principal: Principal,
    keys: Sequence[ScopedKey],
    values: Sequence[Value],
    write: Callable[[Connection, Mapping[int, Value]], None],
    audited_as: str,
    details: Mapping[str, object],
) -> list[str | None]:
    for key in keys:
        check_network_key(key)
    principal.require_all((key.scope for key in keys), Permission.write)
    with database.transaction() as connection:
        ids = objects.ids_of(connection, "network", keys)
        given = {ids[str(key)]: value for key, value in zip(keys, values, strict=True) if str(key) in ids}
        write(connection, given)
        changed = [key for key in keys if str(key) in ids]
        said = {"values": sorted(set(map(str, given.values())))[:MOST_VALUES], **details}
        audit.record_keys(connection, principal, audited_as, changed, said)
    return [name if name in ids else None for name in map(str, keys)]
