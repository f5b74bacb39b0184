"""ChemicalSystems: finding them."""

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services.networks import scoped
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import chemicalsystems, members, scopes
from alchemiscale_prefect.store.queries.patterns import check_text


def query(database: Database, principal: Principal, scope: Scope, name: str | None) -> list[str]:
    """Those with exactly this name (``None``: any) in what of `scope` the principal sees, by scope and key."""
    check_text(name, "name")
    with database.transaction() as connection:
        scope_ids = scopes.covered(connection, principal.visible(scope))
        return members.query(connection, "chemical_system", scope_ids, name)


def of_network(database: Database, principal: Principal, network: ScopedKey) -> list[str]:
    """Those of a network; none if there is no such network."""
    principal.require(network.scope)
    with database.transaction() as connection:
        return scoped(members.of_network(connection, "chemical_system", network), network.scope)


def of_transformation(database: Database, principal: Principal, transformation: ScopedKey) -> list[str]:
    """stateA and stateB, in this order; the one system of a NonTransformation."""
    principal.require(transformation.scope)
    with database.transaction() as connection:
        return scoped(chemicalsystems.of_transformation(connection, transformation), transformation.scope)
