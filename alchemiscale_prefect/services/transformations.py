"""Transformations and NonTransformations: finding them."""

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.errors import NotFound
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services.networks import scoped
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import members, scopes, transformations
from alchemiscale_prefect.store.queries.patterns import check_text


def query(database: Database, principal: Principal, scope: Scope, name: str | None) -> list[str]:
    """Those with exactly this name (``None``: any) in what of `scope` the principal sees, by scope and key."""
    check_text(name, "name")
    with database.transaction() as connection:
        scope_ids = scopes.covered(connection, principal.visible(scope))
        return members.query(connection, "transformation", scope_ids, name)


def of_network(database: Database, principal: Principal, network: ScopedKey) -> list[str]:
    """Those of a network; none if there is no such network."""
    principal.require(network.scope)
    with database.transaction() as connection:
        return scoped(members.of_network(connection, "transformation", network), network.scope)


def of_chemical_system(database: Database, principal: Principal, chemical_system: ScopedKey) -> list[str]:
    """Those that start or end at a ChemicalSystem."""
    principal.require(chemical_system.scope)
    with database.transaction() as connection:
        return scoped(transformations.of_chemical_system(connection, chemical_system), chemical_system.scope)


def of_task(database: Database, principal: Principal, task: ScopedKey) -> str:
    """The one a Task performs; `NotFound` if there is no such Task."""
    principal.require(task.scope)
    with database.transaction() as connection:
        key = transformations.of_task(connection, task)
    if key is None:
        raise NotFound("No such object in database", field="task")
    return f"{key}-{task.scope}"
