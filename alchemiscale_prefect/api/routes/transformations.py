"""Transformations."""

from fastapi import APIRouter, Response

from alchemiscale_prefect.api.auth import UserDatabase, UserPrincipal
from alchemiscale_prefect.api.dependencies import ChemicalSystem, Network, QueriedScope, Task
from alchemiscale_prefect.api.dependencies import Transformation as TransformationKey
from alchemiscale_prefect.api.gufe_objects import KEYED_CHAIN, keyed_chain
from alchemiscale_prefect.services import objects, status_counts, transformations
from alchemiscale_prefect.wire import paths

router = APIRouter(tags=["transformations"])


@router.get(paths.TRANSFORMATIONS)
def query_transformations(
    database: UserDatabase, principal: UserPrincipal, scope: QueriedScope, name: str | None = None
) -> list[str]:
    """Transformations by exact name."""
    return transformations.query(database, principal, scope, name)


@router.get(paths.TRANSFORMATION, response_class=Response, responses=KEYED_CHAIN)
def get_transformation(database: UserDatabase, principal: UserPrincipal, transformation: TransformationKey) -> Response:
    """The keyed chain of a Transformation."""
    return keyed_chain(objects.get_chain(database, principal, transformation))


@router.get(paths.TRANSFORMATION_STATUS)
def get_transformation_status(
    database: UserDatabase, principal: UserPrincipal, transformation: TransformationKey
) -> dict[str, int]:
    """Tasks by status."""
    return status_counts.of_transformation(database, principal, transformation)


@router.get(paths.NETWORK_TRANSFORMATIONS)
def get_network_transformations(database: UserDatabase, principal: UserPrincipal, network: Network) -> list[str]:
    """The Transformations of a network."""
    return transformations.of_network(database, principal, network)


@router.get(paths.CHEMICAL_SYSTEM_TRANSFORMATIONS)
def get_chemicalsystem_transformations(
    database: UserDatabase, principal: UserPrincipal, chemical_system: ChemicalSystem
) -> list[str]:
    """The Transformations that start or end at a ChemicalSystem."""
    return transformations.of_chemical_system(database, principal, chemical_system)


@router.get(paths.TASK_TRANSFORMATION)
def get_task_transformation(database: UserDatabase, principal: UserPrincipal, task: Task) -> str:
    """The Transformation a Task performs."""
    return transformations.of_task(database, principal, task)
