"""What routes are given: the system, and the ScopedKeys of their paths.

Asynchronous, since FastAPI would send a plain function to another thread, for longer than these take.
"""

from typing import Annotated

from fastapi import Depends, Header, Request

from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.domain.errors import InvalidInput, InvalidScope
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.wire.headers import IDEMPOTENCY_KEY, MAX_IDEMPOTENCY_KEY_LENGTH


async def current_system(request: Request) -> System:
    """The system the app was made with."""
    system: System = request.app.state.system
    return system


async def _network(network: str) -> ScopedKey:
    return ScopedKey.from_str(network)


async def _transformation(transformation: str) -> ScopedKey:
    return ScopedKey.from_str(transformation)


async def _chemical_system(chemical_system: str) -> ScopedKey:
    return ScopedKey.from_str(chemical_system)


async def _task(task: str) -> ScopedKey:
    return ScopedKey.from_str(task)


async def _result(result: str) -> ScopedKey:
    return ScopedKey.from_str(result)


async def _queried_scope(org: str | None = None, campaign: str | None = None, project: str | None = None) -> Scope:
    try:
        return Scope(org, campaign, project)
    except InvalidScope as error:
        # 400 here, as alchemiscale has it; in a body it is 422
        raise InvalidInput(error.message, field=error.field) from error


CurrentSystem = Annotated[System, Depends(current_system)]
Network = Annotated[ScopedKey, Depends(_network)]
Transformation = Annotated[ScopedKey, Depends(_transformation)]
ChemicalSystem = Annotated[ScopedKey, Depends(_chemical_system)]
Task = Annotated[ScopedKey, Depends(_task)]
Result = Annotated[ScopedKey, Depends(_result)]
IdempotencyKey = Annotated[
    str | None, Header(alias=IDEMPOTENCY_KEY, min_length=1, max_length=MAX_IDEMPOTENCY_KEY_LENGTH)
]
QueriedScope = Annotated[Scope, Depends(_queried_scope)]
