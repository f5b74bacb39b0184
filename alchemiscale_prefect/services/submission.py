"""Taking an AlchemicalNetwork: from the client's keyed chain to rows, in one transaction."""

import re
from collections.abc import Iterator

from alchemiscale_prefect.domain import keyed_chains
from alchemiscale_prefect.domain.access import Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput, InvalidKeyedChain, InvalidScope
from alchemiscale_prefect.domain.keyed_chains import Entry, KeyedChain
from alchemiscale_prefect.domain.keys import InvalidGufeKey, ScopedKey, check_gufe_key
from alchemiscale_prefect.domain.network_content import NetworkContent, read_network
from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import audit
from alchemiscale_prefect.services.networks import require_network
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import networks, objects, scopes
from alchemiscale_prefect.store.queries.objects import NewObject

MAX_NAME = 512

_GUFE_VERSION = re.compile(r"v?([0-9]{1,3})(\.[A-Za-z0-9.+_-]{0,59})?")


def create_network(
    database: Database,
    principal: Principal,
    document: object,
    scope: Scope,
    state: str | None = None,
    gufe_version: str | None = None,
    ancestor: ScopedKey | None = None,
) -> ScopedKey:
    """Keep an AlchemicalNetwork in a scope.

    Sending the same one again gives the same key and changes nothing: its state, weight, Tasks and results stay.
    What it shares with other networks of the scope is stored once.

    Parameters
    ----------
    document
        Its keyed chain, decoded from JSON; never turned into objects.
    scope
        Specific.
    state
        Of a new network; by default its ancestor's, or ``active``.
    gufe_version
        Who wrote the chain; without it the chain tells the major line.
    ancestor
        The network of this scope that a new one was extended from, and takes its weight over from.

    Returns
    -------
    ScopedKey
        The network's, by the key that the client sent.

    Raises
    ------
    InvalidScope, NotAuthorized, UnknownState, InvalidKeyedChain, InvalidInput
        The call is wrong in itself.
    ContentConflict
        A key stands in the scope with other content.
    GufeVersionConflict
        The scope holds objects of another gufe major line.
    NotFound
        There is no such ancestor.
    """
    check_target(principal, scope)
    if state is None and ancestor is None:
        state = NetworkState.active
    network_state = None if state is None else NetworkState.parse(state)
    if ancestor is not None and ancestor.scope != scope:
        raise InvalidInput(f"`ancestor` {ancestor} must be in the scope of the network, {scope}", field="ancestor")
    chain = keyed_chains.parse(document)
    content = read_network(chain)
    line = gufe_line(chain, gufe_version)
    new_objects = tuple(_prepared(chain, content))
    with database.transaction() as connection:
        scope_id = scopes.enter(connection, scope, line)
        ids = objects.store(connection, scope, scope_id, new_objects, gufe_version or line)
        in_order = {entry.key: ids[entry.key] for entry in chain.entries}
        ancestor_id = None if ancestor is None else require_network(connection, ancestor, "ancestor")
        made = networks.insert(
            connection, scope_id, content, in_order, network_state, principal.identifier, ancestor_id
        )
        key = ScopedKey.of(content.key, scope)
        if made:
            details = {"transformations": len(content.transformations)}
            audit.record(connection, principal, "network.create", scope, key, details)
    return key


def check_target(principal: Principal, scope: Scope) -> None:
    """Raise unless `scope` is one that the principal may put networks in."""
    if not scope.specific():
        raise InvalidScope(f"`scope` '{scope}' contains wildcards ('*'); `scope` must be *specific*", field="scope")
    principal.require(scope, Permission.write)


def gufe_line(chain: KeyedChain, gufe_version: str | None) -> str:
    """The major line of the gufe that wrote `chain`: `gufe_version`'s, or what the chain tells.

    Raises
    ------
    InvalidInput
        `gufe_version` is none, or is not what the chain was written by.
    """
    if gufe_version is None:
        return chain.gufe_line
    match = _GUFE_VERSION.fullmatch(gufe_version)
    if match is None:
        raise InvalidInput(f"{gufe_version!r} is not a version of gufe, like '1.12.0'", field="gufe_version")
    line = str(int(match[1]))
    if (line == "0") != (chain.gufe_line == "0"):
        raise InvalidInput(
            f"`gufe_version` is {gufe_version} but the keyed chain was written by gufe {chain.gufe_line}.x",
            field="gufe_version",
        )
    return line


def _prepared(chain: KeyedChain, content: NetworkContent) -> Iterator[NewObject]:
    # these are found by key and by name, so both must be storable as they are
    named = {content.key, *content.chemical_systems, *(edge.key for edge in content.transformations)}
    for entry in chain.entries:
        yield new_object(entry, named=entry.key in named)


def new_object(entry: Entry, *, named: bool, field: str = "network") -> NewObject:
    """An entry as it is kept; `InvalidKeyedChain` if it is to be found by its name or key, and these will not do."""
    if named:
        _check_key(entry, field)
    name = entry.name
    if name is not None and (len(name) > MAX_NAME or "\0" in name):
        if named:
            raise InvalidKeyedChain(
                f"`{field}`: the name of {entry.key} must have at most {MAX_NAME} characters and no NUL",
                field=field,
            )
        name = None
    return NewObject(entry.key, entry.qualname, entry.module, name, entry.text, entry.digest, entry.references)


def _check_key(entry: Entry, field: str) -> None:
    try:
        check_gufe_key(entry.key)
    except InvalidGufeKey as error:
        raise InvalidKeyedChain(f"`{field}`: {error}", field=field) from error
