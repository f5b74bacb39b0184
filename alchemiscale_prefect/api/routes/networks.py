"""AlchemicalNetworks, their Tasks, and what is actioned on them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from alchemiscale_prefect.api.auth import UserDatabase, UserPrincipal
from alchemiscale_prefect.api.body import documented, json_body
from alchemiscale_prefect.api.dependencies import ChemicalSystem, Network, QueriedScope, Task
from alchemiscale_prefect.api.dependencies import Transformation as TransformationKey
from alchemiscale_prefect.api.gufe_objects import KEYED_CHAIN, keyed_chain
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services import (
    actions,
    networks,
    objects,
    progress,
    results,
    status_counts,
    submission,
    tasks,
)
from alchemiscale_prefect.wire import networks as wire
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.fields import ScopedKeyField
from alchemiscale_prefect.wire.networks import Progress, TransformationEstimate
from alchemiscale_prefect.wire.tasks import ActionTasks, CancelTasks, TaskWeights

router = APIRouter(tags=["networks"])


@router.post(paths.NETWORKS, openapi_extra=documented(wire.CreateNetwork))
def create_network(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.CreateNetwork, Depends(json_body(wire.CreateNetwork))],
) -> ScopedKeyField:
    """Keep a network."""
    return submission.create_network(
        database, principal, body.network, body.scope, body.state, body.gufe_version, body.ancestor
    )


@router.get(paths.NETWORKS)
def query_networks(
    database: UserDatabase,
    principal: UserPrincipal,
    scope: QueriedScope,
    name: str | None = None,
    state: str | None = None,
) -> list[str]:
    """Networks by name and state, regular expressions both."""
    return networks.query(database, principal, scope, name, state)


@router.post(paths.NETWORKS_STATE_SET, openapi_extra=documented(wire.SetNetworksState))
def set_networks_state(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.SetNetworksState, Depends(json_body(wire.SetNetworksState))],
) -> list[str | None]:
    """Give each network its state."""
    return networks.set_states(database, principal, _keys(body.networks), body.states, stop_tasks=body.stop_tasks)


@router.post(paths.NETWORKS_STATE_GET, openapi_extra=documented(wire.Networks))
def get_networks_state(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.Networks, Depends(json_body(wire.Networks))],
) -> list[str | None]:
    """The state of each network."""
    return networks.get_states(database, principal, _keys(body.networks))


@router.post(paths.NETWORKS_STATUS, openapi_extra=documented(wire.Networks))
def get_networks_status(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.Networks, Depends(json_body(wire.Networks))],
) -> list[dict[str, int]]:
    """Tasks by status, of each network."""
    return status_counts.of_networks(database, principal, _keys(body.networks))


@router.post(paths.NETWORKS_WEIGHT_GET, openapi_extra=documented(wire.Networks))
def get_networks_weight(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.Networks, Depends(json_body(wire.Networks))],
) -> list[float | None]:
    """The weight of each network."""
    return networks.get_weights(database, principal, _keys(body.networks))


@router.post(paths.NETWORKS_WEIGHT_SET, openapi_extra=documented(wire.SetNetworksWeight))
def set_networks_weight(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.SetNetworksWeight, Depends(json_body(wire.SetNetworksWeight))],
) -> list[str | None]:
    """Give each network its weight."""
    return networks.set_weights(database, principal, _keys(body.networks), body.weights)


@router.post(paths.NETWORKS_TASKS_ACTIONED, openapi_extra=documented(wire.NetworksTaskWeights))
def get_networks_actioned_tasks(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.NetworksTaskWeights, Depends(json_body(wire.NetworksTaskWeights))],
) -> list[dict[str, float] | list[str]]:
    """The Tasks actioned on each network."""
    found = actions.of_networks(database, principal, _keys(body.networks))
    return [weights if body.task_weights else list(weights) for weights in found]


@router.get(paths.NETWORK, response_class=Response, responses=KEYED_CHAIN)
def get_network(database: UserDatabase, principal: UserPrincipal, network: Network) -> Response:
    """The keyed chain of a network, as it was sent."""
    return keyed_chain(objects.get_chain(database, principal, network))


@router.get(paths.NETWORK_TASKS)
def get_network_tasks(
    database: UserDatabase, principal: UserPrincipal, network: Network, status: str | None = None
) -> list[str]:
    """The Tasks on a network's Transformations."""
    return tasks.of_network(database, principal, network, status)


@router.get(paths.NETWORK_STATUS)
def get_network_status(database: UserDatabase, principal: UserPrincipal, network: Network) -> dict[str, int]:
    """Tasks by status."""
    return status_counts.of_networks(database, principal, [network])[0]


@router.get(paths.NETWORK_PROGRESS)
def get_network_progress(database: UserDatabase, principal: UserPrincipal, network: Network) -> Progress:
    """Tasks by status, and how far the running ones are."""
    return progress.of_network(database, principal, network)


@router.get(paths.NETWORK_ANCESTORS)
def get_network_ancestors(database: UserDatabase, principal: UserPrincipal, network: Network) -> list[str]:
    """The networks that this one was extended from, the nearest first."""
    return networks.ancestors(database, principal, network)


@router.get(paths.TRANSFORMATIONS_ESTIMATES)
def get_transformations_estimates(
    database: UserDatabase, principal: UserPrincipal, network: Network
) -> list[TransformationEstimate]:
    """The estimates of every Transformation, without its results."""
    return results.estimates(database, principal, network)


@router.get(paths.NETWORK_WEIGHT)
def get_network_weight(database: UserDatabase, principal: UserPrincipal, network: Network) -> float | None:
    """The network's share of the computing."""
    return networks.get_weights(database, principal, [network])[0]


@router.post(paths.NETWORK_WEIGHT, openapi_extra=documented(float))
def set_network_weight(
    database: UserDatabase,
    principal: UserPrincipal,
    network: Network,
    weight: Annotated[float, Depends(json_body(float, "weight"))],
) -> str | None:
    """Give the network its share of the computing."""
    return networks.set_weights(database, principal, [network], [weight])[0]


@router.post(paths.NETWORK_TASKS_ACTIONED, openapi_extra=documented(TaskWeights))
def get_network_actioned_tasks(
    database: UserDatabase,
    principal: UserPrincipal,
    network: Network,
    body: Annotated[TaskWeights, Depends(json_body(TaskWeights))],
) -> dict[str, float] | list[str]:
    """The Tasks actioned on a network."""
    weights = actions.of_network(database, principal, network)
    return weights if body.task_weights else list(weights)


@router.post(paths.NETWORK_TASKS_ACTION, openapi_extra=documented(ActionTasks))
def action_tasks(
    database: UserDatabase,
    principal: UserPrincipal,
    network: Network,
    body: Annotated[ActionTasks, Depends(json_body(ActionTasks))],
) -> list[str | None]:
    """Have Tasks run for a network."""
    return actions.action(database, principal, network, body.tasks, body.weight)


@router.post(paths.NETWORK_TASKS_CANCEL, openapi_extra=documented(CancelTasks))
def cancel_tasks(
    database: UserDatabase,
    principal: UserPrincipal,
    network: Network,
    body: Annotated[CancelTasks, Depends(json_body(CancelTasks))],
) -> list[str | None]:
    """Take Tasks off a network."""
    return actions.cancel(database, principal, network, body.tasks, stop_tasks=body.stop_tasks)


@router.get(paths.TRANSFORMATION_NETWORKS)
def get_transformation_networks(
    database: UserDatabase, principal: UserPrincipal, transformation: TransformationKey
) -> list[str]:
    """The networks that have a Transformation."""
    return networks.of_transformation(database, principal, transformation)


@router.get(paths.CHEMICAL_SYSTEM_NETWORKS)
def get_chemicalsystem_networks(
    database: UserDatabase, principal: UserPrincipal, chemical_system: ChemicalSystem
) -> list[str]:
    """The networks that have a ChemicalSystem."""
    return networks.of_chemical_system(database, principal, chemical_system)


@router.get(paths.TASK_NETWORKS)
def get_task_networks(database: UserDatabase, principal: UserPrincipal, task: Task) -> list[str]:
    """The networks that have the Task's Transformation."""
    return networks.of_task(database, principal, task)


def _keys(names: list[str]) -> list[ScopedKey]:
    return [ScopedKey.from_str(name) for name in names]
