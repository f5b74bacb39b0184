"""Strategies of networks."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from alchemiscale_prefect.api.auth import UserDatabase, UserPrincipal
from alchemiscale_prefect.api.body import documented, json_body
from alchemiscale_prefect.api.dependencies import Network
from alchemiscale_prefect.api.gufe_objects import JSON, keyed_chain
from alchemiscale_prefect.domain.strategies import StrategyState
from alchemiscale_prefect.services import strategies
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire import strategies as wire

router = APIRouter(tags=["strategies"])

_STRATEGY: dict[int | str, dict[str, Any]] = {
    200: {"content": {JSON: {"schema": {"anyOf": [{"type": "array", "items": {"type": "array"}}, {"type": "null"}]}}}}
}


@router.post(paths.NETWORK_STRATEGY, openapi_extra=documented(wire.SetStrategy))
def set_network_strategy(
    database: UserDatabase,
    principal: UserPrincipal,
    network: Network,
    body: Annotated[wire.SetStrategy, Depends(json_body(wire.SetStrategy))],
) -> str | None:
    """Give the network a Strategy, or take the one it has."""
    if body.strategy is None:
        strategies.remove(database, principal, network)
        return None
    state = StrategyState(
        mode=body.mode,
        sleep_interval=body.sleep_interval,
        max_tasks_per_transformation=body.max_tasks_per_transformation,
        task_scaling=body.task_scaling,
        weighting=body.weighting,
    )
    return str(strategies.set_strategy(database, principal, network, body.strategy, state, body.gufe_version))


@router.get(paths.NETWORK_STRATEGY, response_class=Response, responses=_STRATEGY)
def get_network_strategy(database: UserDatabase, principal: UserPrincipal, network: Network) -> Response:
    """The keyed chain of the network's Strategy, as it was sent."""
    chain = strategies.get_chain(database, principal, network)
    return Response("null", media_type=JSON) if chain is None else keyed_chain(chain)


@router.get(paths.NETWORK_STRATEGY_STATE)
def get_network_strategy_state(
    database: UserDatabase, principal: UserPrincipal, network: Network
) -> dict[str, Any] | None:
    """What the network's Strategy is set to, and how far it has come."""
    state = strategies.get_state(database, principal, network)
    return None if state is None else state.to_dict()


@router.get(paths.NETWORK_STRATEGY_STATUS)
def get_network_strategy_status(database: UserDatabase, principal: UserPrincipal, network: Network) -> str | None:
    """Whether the network's Strategy is awake, dormant or in error."""
    state = strategies.get_state(database, principal, network)
    return None if state is None else state.status.value


@router.get(paths.NETWORK_STRATEGY_PROPOSAL)
def get_network_strategy_proposal(
    database: UserDatabase, principal: UserPrincipal, network: Network
) -> wire.StrategyProposal | None:
    """What the last iteration of the network's Strategy has done, and why. Ours."""
    return strategies.get_proposal(database, principal, network)


@router.post(paths.NETWORK_STRATEGY_AWAKE)
def set_network_strategy_awake(database: UserDatabase, principal: UserPrincipal, network: Network) -> str | None:
    """Have the network's Strategy go on."""
    key = strategies.set_awake(database, principal, network)
    return None if key is None else str(key)
