"""What became of Tasks: details, attempts, statuses, tracebacks, progress; what a scope has used. All of it is ours."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from alchemiscale_prefect.api.auth import UserDatabase, UserPrincipal
from alchemiscale_prefect.api.body import documented, json_body
from alchemiscale_prefect.api.dependencies import CurrentSystem, Task
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import history
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.history import TaskAttempt, TaskDetails, TaskStatusChange, TaskTracebacks
from alchemiscale_prefect.wire.tasks import Tasks

router = APIRouter(tags=["history"])

MAX_ATTEMPTS = 2**31 - 1
Limit = Annotated[int | None, Query(ge=1, le=MAX_ATTEMPTS)]


@router.post(paths.TASKS_DETAILS, openapi_extra=documented(Tasks))
def get_tasks_details(
    database: UserDatabase, principal: UserPrincipal, body: Annotated[Tasks, Depends(json_body(Tasks))]
) -> list[TaskDetails | None]:
    """Each Task as it stands."""
    return history.get_details(database, principal, body.tasks)


@router.post(paths.TASKS_PROGRESS, openapi_extra=documented(Tasks))
def get_tasks_progress(
    database: UserDatabase, principal: UserPrincipal, body: Annotated[Tasks, Depends(json_body(Tasks))]
) -> list[tuple[int, int] | None]:
    """ProtocolUnits done and in all, of each Task."""
    return history.get_units(database, principal, body.tasks)


@router.get(paths.TASK_HISTORY)
def get_task_history(
    database: UserDatabase, principal: UserPrincipal, task: Task, limit: Limit = None
) -> list[TaskAttempt]:
    """The attempts of a Task."""
    return history.get_attempts(database, principal, task, limit)


@router.get(paths.TASK_STATUS_HISTORY)
def get_task_status_history(
    database: UserDatabase, principal: UserPrincipal, task: Task, limit: Limit = None
) -> list[TaskStatusChange]:
    """The changes of a Task's status."""
    return history.get_status_changes(database, principal, task, limit)


@router.get(paths.TASK_TRACEBACKS)
def get_task_tracebacks(
    database: UserDatabase, principal: UserPrincipal, task: Task, limit: Limit = None
) -> list[TaskTracebacks]:
    """Why the attempts of a Task failed."""
    return history.get_tracebacks(database, principal, task, limit)


@router.get(paths.SCOPE_COMPUTE_SHARE)
def get_scope_compute_share(
    database: UserDatabase, system: CurrentSystem, principal: UserPrincipal, scope: str, hours: float = 24.0
) -> float:
    """Which part of the server's compute went to a scope."""
    return history.compute_share(database, system.database, principal, Scope.from_str(scope), hours)
