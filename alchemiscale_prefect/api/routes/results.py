"""Results and failures: which there are, and their bytes."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from alchemiscale_prefect.api.auth import UserDatabase, UserPrincipal
from alchemiscale_prefect.api.dependencies import CurrentSystem, Result, Task, Transformation
from alchemiscale_prefect.api.gufe_objects import JSON, written_by
from alchemiscale_prefect.services import results
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.results import ZSTD

router = APIRouter(tags=["results"])

_STORED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            JSON: {"schema": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1}},
            ZSTD: {"schema": {"type": "string", "format": "binary"}},
        }
    }
}


@router.get(paths.TRANSFORMATION_RESULTS)
def get_transformation_results(
    database: UserDatabase, principal: UserPrincipal, transformation: Transformation
) -> list[str]:
    """Refs of a Transformation's results."""
    return results.of_transformation(database, principal, transformation, ok=True)


@router.get(paths.TRANSFORMATION_FAILURES)
def get_transformation_failures(
    database: UserDatabase, principal: UserPrincipal, transformation: Transformation
) -> list[str]:
    """Refs of a Transformation's failures."""
    return results.of_transformation(database, principal, transformation, ok=False)


@router.get(paths.TASK_RESULTS)
def get_task_results(database: UserDatabase, principal: UserPrincipal, task: Task) -> list[str]:
    """Refs of a Task's results."""
    return results.of_task(database, principal, task, ok=True)


@router.get(paths.TASK_FAILURES)
def get_task_failures(database: UserDatabase, principal: UserPrincipal, task: Task) -> list[str]:
    """Refs of a Task's failures."""
    return results.of_task(database, principal, task, ok=False)


# its path takes every other one of three parts below /transformations, so it is mounted last
@router.get(paths.PROTOCOL_DAG_RESULT, response_class=Response, responses=_STORED)
def get_protocoldagresult(
    database: UserDatabase,
    system: CurrentSystem,
    principal: UserPrincipal,
    transformation: Transformation,
    route: str,
    result: Result,
    accept: Annotated[str, Header()] = "",
) -> Response:
    """A ProtocolDAGResult: its bytes for who accepts them, else a list of one string as alchemiscale sends it."""
    stored = results.get(database, system.objects, principal, transformation, route, result)
    headers = written_by(stored.gufe_version)
    if ZSTD in accept:
        return Response(stored.data, media_type=ZSTD, headers=headers)
    text = json.dumps([stored.data.decode("latin-1")], ensure_ascii=False)
    return Response(text.encode(), media_type=JSON, headers=headers)
