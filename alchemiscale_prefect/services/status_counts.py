"""Tasks counted by status; statuses that nothing has are left out."""

from collections.abc import Sequence

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import objects, scopes, status_counts
from alchemiscale_prefect.store.queries.patterns import matching


def of_networks(database: Database, principal: Principal, networks: Sequence[ScopedKey]) -> list[dict[str, int]]:
    """Of each network, in this order; empty for one that is not there."""
    principal.require_all(network.scope for network in networks)
    with database.transaction() as connection:
        ids = objects.ids_of(connection, "network", networks)
        counts = status_counts.of_networks(connection, list(ids.values()))
    return [counts[ids[name]] if name in ids else {} for name in map(str, networks)]


def of_transformation(database: Database, principal: Principal, transformation: ScopedKey) -> dict[str, int]:
    """Of a Transformation; empty if it is not there."""
    principal.require(transformation.scope)
    with database.transaction() as connection:
        return status_counts.of_transformation(connection, transformation)


def of_scope(database: Database, principal: Principal, scope: Scope, network_state: str | None) -> dict[str, int]:
    """Of what of `scope` the principal sees: each Task once that is on a network of this state.

    Parameters
    ----------
    network_state
        A regular expression that must match the whole state; ``None`` for any.
    """
    with database.transaction() as connection:
        scope_ids = scopes.covered(connection, principal.visible(scope))
        with matching(connection, {"network_state": network_state}) as patterns:
            return status_counts.of_scopes(connection, scope_ids, patterns["network_state"])
