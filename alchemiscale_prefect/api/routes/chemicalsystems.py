"""ChemicalSystems."""

from fastapi import APIRouter, Response

from alchemiscale_prefect.api.auth import UserDatabase, UserPrincipal
from alchemiscale_prefect.api.dependencies import ChemicalSystem as ChemicalSystemKey
from alchemiscale_prefect.api.dependencies import Network, QueriedScope, Transformation
from alchemiscale_prefect.api.gufe_objects import KEYED_CHAIN, keyed_chain
from alchemiscale_prefect.services import chemicalsystems, objects
from alchemiscale_prefect.wire import paths

router = APIRouter(tags=["chemicalsystems"])


@router.get(paths.CHEMICAL_SYSTEMS)
def query_chemicalsystems(
    database: UserDatabase, principal: UserPrincipal, scope: QueriedScope, name: str | None = None
) -> list[str]:
    """ChemicalSystems by exact name."""
    return chemicalsystems.query(database, principal, scope, name)


@router.get(paths.CHEMICAL_SYSTEM, response_class=Response, responses=KEYED_CHAIN)
def get_chemicalsystem(
    database: UserDatabase, principal: UserPrincipal, chemical_system: ChemicalSystemKey
) -> Response:
    """The keyed chain of a ChemicalSystem."""
    return keyed_chain(objects.get_chain(database, principal, chemical_system))


@router.get(paths.NETWORK_CHEMICAL_SYSTEMS)
def get_network_chemicalsystems(database: UserDatabase, principal: UserPrincipal, network: Network) -> list[str]:
    """The ChemicalSystems of a network."""
    return chemicalsystems.of_network(database, principal, network)


@router.get(paths.TRANSFORMATION_CHEMICAL_SYSTEMS)
def get_transformation_chemicalsystems(
    database: UserDatabase, principal: UserPrincipal, transformation: Transformation
) -> list[str]:
    """stateA and stateB."""
    return chemicalsystems.of_transformation(database, principal, transformation)
