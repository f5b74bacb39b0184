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
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import networks, objects, scopes
from alchemiscale_prefect.store.queries.objects import NewObject

MAX_NAME = 512

_GUFE_VERSION = re.compile(r"v?(\d{1,3})(\.[A-Za-z0-9.+_-]{0,59})?")


def create_network(
    database: Database,
    principal: Principal,
    document: object,
    scope: Scope,
    state: str = NetworkState.active,
    gufe_version: str | None = None,
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
        Of a new network.
    gufe_version
        Who wrote the chain; without it the chain tells the major line.

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
    """
    if not scope.specific():
        raise InvalidScope(f"`scope` '{scope}' contains wildcards ('*'); `scope` must be *specific*", field="scope")
    principal.require(scope, Permission.write)
    network_state = NetworkState.parse(state)
    chain = keyed_chains.parse(document)
    content = read_network(chain)
    line = _line(chain, gufe_version)
    new_objects = tuple(_prepared(chain, content))
    with database.transaction() as connection:
        scope_id = scopes.enter(connection, scope, line)
        ids = objects.store(connection, scope, scope_id, new_objects, gufe_version or line)
        in_order = {entry.key: ids[entry.key] for entry in chain.entries}
        networks.insert(connection, scope_id, content, in_order, network_state, principal.identifier)
    return ScopedKey.of(content.key, scope)


def _line(chain: KeyedChain, gufe_version: str | None) -> str:
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
        if entry.key in named:
            _check_key(entry)
        name = entry.name
        if name is not None and (len(name) > MAX_NAME or "\0" in name):
            if entry.key in named:
                raise InvalidKeyedChain(
                    f"`network`: the name of {entry.key} must have at most {MAX_NAME} characters and no NUL",
                    field="network",
                )
            name = None
        yield NewObject(entry.key, entry.qualname, entry.module, name, entry.text, entry.digest, entry.references)


def _check_key(entry: Entry) -> None:
    try:
        check_gufe_key(entry.key)
    except InvalidGufeKey as error:
        raise InvalidKeyedChain(f"`network`: {error}", field="network") from error
