"""ChemicalSystems."""

from fastapi import APIRouter, Response

from alchemiscale_prefect.api.auth import UserPrincipal
from alchemiscale_prefect.api.dependencies import ChemicalSystem as ChemicalSystemKey
from alchemiscale_prefect.api.dependencies import CurrentSystem, Network, QueriedScope, Transformation
from alchemiscale_prefect.services import chemicalsystems, objects
from alchemiscale_prefect.wire import paths

router = APIRouter(tags=["chemicalsystems"])

JSON = "application/json"


@router.get(paths.CHEMICAL_SYSTEMS)
def query_chemicalsystems(
    system: CurrentSystem, principal: UserPrincipal, scope: QueriedScope, name: str | None = None
) -> list[str]:
    """ChemicalSystems by exact name."""
    return chemicalsystems.query(system.database, principal, scope, name)


@router.get(paths.CHEMICAL_SYSTEM, response_class=Response)
def get_chemicalsystem(system: CurrentSystem, principal: UserPrincipal, chemical_system: ChemicalSystemKey) -> Response:
    """The keyed chain of a ChemicalSystem."""
    return Response(objects.get_chain(system.database, principal, chemical_system), media_type=JSON)


@router.get(paths.NETWORK_CHEMICAL_SYSTEMS)
def get_network_chemicalsystems(system: CurrentSystem, principal: UserPrincipal, network: Network) -> list[str]:
    """The ChemicalSystems of a network."""
    return chemicalsystems.of_network(system.database, principal, network)


@router.get(paths.TRANSFORMATION_CHEMICAL_SYSTEMS)
def get_transformation_chemicalsystems(
    system: CurrentSystem, principal: UserPrincipal, transformation: Transformation
) -> list[str]:
    """stateA and stateB."""
    return chemicalsystems.of_transformation(system.database, principal, transformation)
