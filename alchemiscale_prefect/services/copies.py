"""Networks of other scopes: copied as they are, or merged into a new one, with their complete Tasks and results."""

from collections.abc import Iterable, Mapping, Sequence

from alchemiscale_prefect.domain import keyed_chains
from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.errors import GufeVersionConflict, InvalidInput, NotFound
from alchemiscale_prefect.domain.keyed_chains import Entry, KeyedChain
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.network_content import read_members
from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import audit
from alchemiscale_prefect.services.networks import check_network_key
from alchemiscale_prefect.services.submission import check_target, gufe_line, new_object
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import copies, networks, objects, scopes, task_copies
from alchemiscale_prefect.store.queries.copies import Source


def copy(
    database: Database,
    principal: Principal,
    keys: Sequence[ScopedKey],
    scope: Scope,
    state: str = NetworkState.active,
) -> list[ScopedKey]:
    """Copy networks into a scope: the same gufe objects under the same keys, the complete Tasks, all their results.

    A Task that was copied before is left out; so to copy again adds what was completed since. Bytes of results are
    shared, not copied. Strategies, restart patterns, weights and actions stay behind.

    Parameters
    ----------
    scope
        Specific. A network that is in it already keeps its state and weight.
    state
        Of new networks.

    Returns
    -------
    list
        The networks' keys in `scope`, in this order.

    Raises
    ------
    InvalidScope, InvalidInput, UnknownState, NotAuthorized, PermissionDenied
        Also if a network is not ``active``; nothing was changed (here and below).
    NotFound
        A network is not there.
    ContentConflict
        A key has other content in `scope`.
    GufeVersionConflict
        The scopes hold objects of different gufe major lines.
    """
    _check(principal, keys, scope)
    network_state = NetworkState.parse(state)
    with database.transaction() as connection:
        sources = _sources(connection, keys)
        if sources:
            scope_id = scopes.enter(connection, scope, _line(sources))
            away = _away(sources.values(), scope_id)
            ids = copies.copy_objects(connection, away, scope, scope_id, with_networks=True)
            made = copies.copy_networks(connection, away, ids, scope_id, network_state, principal.identifier)
            tasks = task_copies.copy_complete(connection, away, ids, scope_id)
            if made or tasks:
                audit.record(connection, principal, "network.copy", scope, details={"networks": made, "tasks": tasks})
    return [ScopedKey.of(key.gufe_key, scope) for key in keys]


def merge(
    database: Database,
    principal: Principal,
    keys: Sequence[ScopedKey],
    document: object,
    scope: Scope,
    state: str = NetworkState.active,
    gufe_version: str | None = None,
) -> ScopedKey:
    """Make one network of all nodes and edges of several, in a scope; Tasks and results come along as with `copy`.

    Parameters
    ----------
    document
        The new network alone, ``[key, keyed dict]``: with a key that gufe gave it, which is not ours to compute.
    gufe_version
        Who wrote that; without it the document tells the major line.

    Raises
    ------
    InvalidKeyedChain, InvalidInput
        The document is no network, or not one of these nodes and edges.
    others
        See `copy`.
    """
    _check(principal, keys, scope)
    network_state = NetworkState.parse(state)
    entry = keyed_chains.parse_entry(document)
    line = gufe_line(KeyedChain((entry,)), gufe_version)
    with database.transaction() as connection:
        sources = _sources(connection, keys)
        if _line(sources) != line:
            raise GufeVersionConflict(
                f"`network` was made by gufe {line}.x and those to merge by gufe {_line(sources)}.x; keys of the two "
                f"are not interchangeable: use gufe {_line(sources)}.x",
                field="network",
            )
        scope_id = scopes.enter(connection, scope, line)
        ids_of_sources = [source.id for source in sources.values()]
        ids = copies.copy_objects(connection, ids_of_sources, scope, scope_id, with_networks=False)
        systems, transformations = copies.members(connection, ids_of_sources, ids)
        _check_members(entry, systems, transformations)
        stored = objects.store(
            connection,
            scope,
            scope_id,
            [new_object(entry, named=True)],
            gufe_version or line,
            {**systems, **transformations},
        )
        chain = [*dict.fromkeys(ids.values()), stored[entry.key]]
        made = networks.link(
            connection,
            scope_id,
            chain,
            list(transformations.values()),
            list(systems.values()),
            network_state,
            principal.identifier,
        )
        tasks = task_copies.copy_complete(connection, _away(sources.values(), scope_id), ids, scope_id)
        merged = ScopedKey.of(entry.key, scope)
        if made or tasks:
            audit.record(
                connection, principal, "network.merge", scope, merged, {"networks": len(sources), "tasks": tasks}
            )
    return merged


def _check(principal: Principal, keys: Sequence[ScopedKey], scope: Scope) -> None:
    check_target(principal, scope)
    for key in keys:
        check_network_key(key)
    principal.require_all(key.scope for key in keys)


def _sources(connection: Connection, keys: Sequence[ScopedKey]) -> dict[str, Source]:
    """The networks in this order, each once."""
    found = copies.sources(connection, keys)
    sources: dict[str, Source] = {}
    for name in map(str, keys):
        if name not in found:
            raise NotFound(f"No such object in database: {name}", field="networks")
        if found[name].state != NetworkState.active:
            raise InvalidInput(
                f"{name} is {found[name].state}; only active networks are copied or merged: set its state to active, "
                "or leave it out",
                field="networks",
            )
        sources[name] = found[name]
    return sources


def _line(sources: Mapping[str, Source]) -> str:
    by_line = {source.gufe_line: name for name, source in sources.items()}
    if len(by_line) > 1:
        several = " and ".join(f"{name} of gufe {line}.x" for line, name in sorted(by_line.items()))
        raise GufeVersionConflict(
            f"{several} cannot go into one scope: keys of the two are not interchangeable", field="networks"
        )
    return next(iter(by_line))


def _away(sources: Iterable[Source], scope_id: int) -> list[int]:
    """What is not in the target scope already."""
    return [source.id for source in sources if source.scope_id != scope_id]


def _check_members(entry: Entry, systems: Mapping[str, int], transformations: Mapping[str, int]) -> None:
    nodes, edges = read_members(entry)
    for name, given, expected in (("nodes", nodes, systems), ("edges", edges, transformations)):
        different = sorted(set(given) ^ set(expected))
        if different:
            raise InvalidInput(
                f"`network`: its `{name}` must be those of `networks`, all of them and no other; {different[0]} "
                f"{'is missing' if different[0] in expected else 'is in none of them'}",
                field="network",
            )
    others = set(entry.references) - systems.keys() - transformations.keys()
    if others:
        raise InvalidInput(f"`network` refers to {min(others)}, which is neither node nor edge", field="network")
