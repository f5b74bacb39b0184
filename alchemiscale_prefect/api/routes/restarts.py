"""Restart patterns of networks. ``clear`` changes something and yet is a GET, as alchemiscale's client sends it."""

from typing import Annotated

from fastapi import APIRouter, Depends

from alchemiscale_prefect.api.auth import UserDatabase, UserPrincipal
from alchemiscale_prefect.api.body import documented, json_body
from alchemiscale_prefect.api.dependencies import Network
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services import restarts
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire import restarts as wire
from alchemiscale_prefect.wire.networks import Networks

router = APIRouter(tags=["restarts"])


@router.post(paths.NETWORK_RESTART_PATTERNS_ADD, openapi_extra=documented(wire.AddRestartPatterns))
def add_task_restart_patterns(
    database: UserDatabase,
    principal: UserPrincipal,
    network: Network,
    body: Annotated[wire.AddRestartPatterns, Depends(json_body(wire.AddRestartPatterns))],
) -> None:
    """Have Tasks run again when their tracebacks match a pattern."""
    restarts.add(database, principal, network, body.patterns, body.num_allowed_restarts)


@router.post(paths.NETWORK_RESTART_PATTERNS_REMOVE, openapi_extra=documented(wire.RestartPatterns))
def remove_task_restart_patterns(
    database: UserDatabase,
    principal: UserPrincipal,
    network: Network,
    body: Annotated[wire.RestartPatterns, Depends(json_body(wire.RestartPatterns))],
) -> None:
    """Take restart patterns from the network."""
    restarts.remove(database, principal, network, body.patterns)


@router.get(paths.NETWORK_RESTART_PATTERNS_CLEAR)
def clear_task_restart_patterns(database: UserDatabase, principal: UserPrincipal, network: Network) -> list[str]:
    """Take all restart patterns from the network."""
    restarts.remove(database, principal, network)
    return [str(network)]


@router.post(paths.NETWORK_RESTART_PATTERNS_MAX_RETRIES, openapi_extra=documented(wire.SetRestartPatternsMaxRetries))
def set_task_restart_patterns_max_retries(
    database: UserDatabase,
    principal: UserPrincipal,
    network: Network,
    body: Annotated[wire.SetRestartPatternsMaxRetries, Depends(json_body(wire.SetRestartPatternsMaxRetries))],
) -> None:
    """Change how often restart patterns may restart each Task."""
    restarts.set_allowed_restarts(database, principal, network, body.patterns, body.max_retries, "max_retries")


@router.post(paths.NETWORKS_RESTART_PATTERNS_GET, openapi_extra=documented(Networks))
def get_task_restart_patterns(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[Networks, Depends(json_body(Networks))],
) -> dict[str, list[tuple[str, int]]]:
    """The restart patterns of each network, with how often they may restart each Task."""
    keys = [ScopedKey.from_str(name) for name in body.networks]
    found = restarts.of_networks(database, principal, keys)
    return {str(key): list(patterns.items()) for key, patterns in zip(keys, found, strict=True)}
