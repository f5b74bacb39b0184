"""Strategies of networks: which one a network has, what it may do, how far it has come.

`services.iterations` performs them.
"""

from alchemiscale_prefect.domain import keyed_chains
from alchemiscale_prefect.domain.access import Permission, Principal
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.strategies import StrategyState, check_strategy
from alchemiscale_prefect.services import audit
from alchemiscale_prefect.services.networks import check_network_key, require_network
from alchemiscale_prefect.services.submission import gufe_line, new_object
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import iterations, objects, scopes, strategies
from alchemiscale_prefect.store.queries.objects import Chain
from alchemiscale_prefect.wire.strategies import StrategyProposal

FIELD = "strategy"


def set_strategy(
    database: Database,
    principal: Principal,
    network: ScopedKey,
    document: object,
    state: StrategyState,
    gufe_version: str | None = None,
) -> ScopedKey:
    """Give a network a Strategy, in place of the one it has: what that one has come to is forgotten.

    Parameters
    ----------
    document
        The Strategy's keyed chain, decoded from JSON; never turned into objects.
    state
        What it begins with.
    gufe_version
        Who wrote the chain; without it the chain tells the major line.

    Returns
    -------
    ScopedKey
        The Strategy's, by the key that the client sent, in the network's scope.

    Raises
    ------
    InvalidInput, InvalidKeyedChain
        The key is of no network, or the chain of no Strategy.
    NotFound
        There is no such network.
    ContentConflict, GufeVersionConflict
        The chain does not go with what the scope holds.
    """
    check_network_key(network)
    principal.require(network.scope, Permission.write)
    chain = keyed_chains.parse(document, FIELD)
    check_strategy(chain, FIELD)
    line = gufe_line(chain, gufe_version)
    new_objects = [new_object(entry, named=entry is chain.root, field=FIELD) for entry in chain.entries]
    with database.transaction() as connection:
        network_id = require_network(connection, network)
        scope_id = scopes.enter(connection, network.scope, line)
        ids = objects.store(connection, network.scope, scope_id, new_objects, gufe_version or line, field=FIELD)
        strategies.set_strategy(connection, network_id, ids[chain.root.key], state, principal.identifier)
        details = {"strategy": chain.root.key, "mode": state.mode.value}
        audit.record(connection, principal, "strategy.set", network.scope, network, details)
    return ScopedKey.of(chain.root.key, network.scope)


def remove(database: Database, principal: Principal, network: ScopedKey) -> None:
    """Take a network's Strategy, if it has one; what it made of the Tasks stays. `NotFound` without such a network."""
    check_network_key(network)
    principal.require(network.scope, Permission.write)
    with database.transaction() as connection:
        if strategies.remove(connection, require_network(connection, network)):
            audit.record(connection, principal, "strategy.remove", network.scope, network)


def get_chain(database: Database, principal: Principal, network: ScopedKey) -> Chain | None:
    """The keyed chain of a network's Strategy, as it was sent; ``None`` without Strategy or network."""
    principal.require(network.scope)
    with database.transaction() as connection:
        network_id = objects.ids_of(connection, "network", [network]).get(str(network))
        strategy_id = None if network_id is None else strategies.object_of(connection, network_id)
        return None if strategy_id is None else objects.read(connection, strategy_id)


def get_state(database: Database, principal: Principal, network: ScopedKey) -> StrategyState | None:
    """The state of a network's Strategy; ``None`` without Strategy or network."""
    principal.require(network.scope)
    with database.transaction() as connection:
        network_id = objects.ids_of(connection, "network", [network]).get(str(network))
        return None if network_id is None else strategies.state_of(connection, network_id)


def get_proposal(database: Database, principal: Principal, network: ScopedKey) -> StrategyProposal | None:
    """What the last iteration of a network's Strategy has done; ``None`` before it, without Strategy or network."""
    principal.require(network.scope)
    with database.transaction() as connection:
        network_id = objects.ids_of(connection, "network", [network]).get(str(network))
        kept = None if network_id is None else iterations.proposal(connection, network_id)
    return None if kept is None else StrategyProposal.model_validate(kept)


def set_awake(database: Database, principal: Principal, network: ScopedKey) -> ScopedKey | None:
    """Have a network's Strategy go on, whether it was dormant or failed; it is performed with the next strategy run.

    Returns
    -------
    ScopedKey or None
        The network's; ``None`` without Strategy or network.
    """
    principal.require(network.scope, Permission.write)
    with database.transaction() as connection:
        network_id = objects.ids_of(connection, "network", [network]).get(str(network))
        if network_id is None or not strategies.wake(connection, network_id):
            return None
        audit.record(connection, principal, "strategy.awake", network.scope, network)
    return network
