"""Tasks."""

from typing import Annotated

from fastapi import APIRouter, Depends

from alchemiscale_prefect.api.auth import UserDatabase, UserPrincipal
from alchemiscale_prefect.api.body import documented, json_body
from alchemiscale_prefect.api.dependencies import IdempotencyKey, QueriedScope, Transformation
from alchemiscale_prefect.api.dependencies import Task as TaskKey
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services import actions, repeats, tasks
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire import tasks as wire

router = APIRouter(tags=["tasks"])


@router.post(paths.TRANSFORMATION_TASKS, openapi_extra=documented(wire.CreateTasks))
def create_tasks(
    database: UserDatabase,
    principal: UserPrincipal,
    transformation: Transformation,
    body: Annotated[wire.CreateTasks, Depends(json_body(wire.CreateTasks))],
    request: IdempotencyKey = None,
) -> list[str]:
    """New Tasks of one Transformation."""
    return tasks.create(
        database, principal, [transformation] * body.count, [body.extends] * body.count, request=request
    )


@router.post(paths.TRANSFORMATIONS_TASKS_CREATE, openapi_extra=documented(wire.CreateTransformationsTasks))
def create_transformations_tasks(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.CreateTransformationsTasks, Depends(json_body(wire.CreateTransformationsTasks))],
    request: IdempotencyKey = None,
) -> list[str]:
    """One new Task for each entry."""
    extends = [ScopedKey.from_str(name) if name else None for name in body.extends or ()]
    keys = [ScopedKey.from_str(name) for name in body.transformations]
    return tasks.create(database, principal, keys, extends, request=request)


@router.post(paths.TRANSFORMATIONS_TASKS_SET, openapi_extra=documented(wire.SetTransformationsTasks))
def set_tasks(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.SetTransformationsTasks, Depends(json_body(wire.SetTransformationsTasks))],
) -> dict[str, wire.SetTasks]:
    """Make the Tasks that Transformations lack."""
    if (body.transformations is None) == (body.network is None):
        raise InvalidInput("give either `transformations` or `network`", field="transformations")
    of = body.transformations if body.network is None else body.network
    return repeats.set_tasks(database, principal, of or [], body.count)


@router.get(paths.TASKS)
def query_tasks(
    database: UserDatabase, principal: UserPrincipal, scope: QueriedScope, status: str | None = None
) -> list[str]:
    """Tasks by status."""
    return tasks.query(database, principal, scope, status)


@router.get(paths.TRANSFORMATION_TASKS)
def get_transformation_tasks(
    database: UserDatabase,
    principal: UserPrincipal,
    transformation: Transformation,
    extends: str | None = None,
    return_as: str = "list",
    status: str | None = None,
) -> list[str] | dict[str, str | None]:
    """The Tasks of a Transformation, as a list or as a mapping to the Tasks they extend."""
    if return_as not in ("list", "graph"):
        raise InvalidInput(f"`return_as` takes 'list' or 'graph', not '{return_as}'", field="return_as")
    after = ScopedKey.from_str(extends) if extends else None
    found = tasks.of_transformation(database, principal, transformation, status, after)
    return found if return_as == "graph" else list(found)


@router.get(paths.TASK_STATUS)
def get_task_status(database: UserDatabase, principal: UserPrincipal, task: TaskKey) -> str | None:
    """The status of a Task."""
    principal.require(task.scope)
    return tasks.get_statuses(database, principal, [task])[0]


@router.post(paths.TASK_STATUS, openapi_extra=documented(str))
def set_task_status(
    database: UserDatabase,
    principal: UserPrincipal,
    task: TaskKey,
    status: Annotated[str, Depends(json_body(str, "status"))],
) -> str | None:
    """Set a Task waiting, invalid or deleted."""
    principal.require(task.scope)
    return tasks.set_status(database, principal, [task], status)[0]


@router.post(paths.TASKS_STATUS_GET, openapi_extra=documented(wire.Tasks))
def get_tasks_status(
    database: UserDatabase, principal: UserPrincipal, body: Annotated[wire.Tasks, Depends(json_body(wire.Tasks))]
) -> list[str | None]:
    """The status of each Task."""
    return tasks.get_statuses(database, principal, body.tasks)


@router.post(paths.TASKS_STATUS_SET, openapi_extra=documented(wire.SetTasksStatus))
def set_tasks_status(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.SetTasksStatus, Depends(json_body(wire.SetTasksStatus))],
) -> list[str | None]:
    """Set Tasks waiting, invalid or deleted."""
    return tasks.set_status(database, principal, body.tasks, body.status, body.reason)


@router.post(paths.TASKS_PRIORITY_GET, openapi_extra=documented(wire.Tasks))
def get_tasks_priority(
    database: UserDatabase, principal: UserPrincipal, body: Annotated[wire.Tasks, Depends(json_body(wire.Tasks))]
) -> list[int | None]:
    """The priority of each Task."""
    return tasks.get_priorities(database, principal, body.tasks)


@router.post(paths.TASKS_PRIORITY_SET, openapi_extra=documented(wire.SetTasksPriority))
def set_tasks_priority(
    database: UserDatabase,
    principal: UserPrincipal,
    body: Annotated[wire.SetTasksPriority, Depends(json_body(wire.SetTasksPriority))],
) -> list[str | None]:
    """Give Tasks a priority."""
    return tasks.set_priority(database, principal, body.tasks, body.priority)


@router.post(paths.TASK_NETWORKS_ACTIONED, openapi_extra=documented(wire.TaskWeights))
def get_task_actioned_networks(
    database: UserDatabase,
    principal: UserPrincipal,
    task: TaskKey,
    body: Annotated[wire.TaskWeights, Depends(json_body(wire.TaskWeights))],
) -> dict[str, float] | list[str]:
    """The networks a Task is actioned on."""
    weights = actions.of_task(database, principal, task)
    return weights if body.task_weights else list(weights)
