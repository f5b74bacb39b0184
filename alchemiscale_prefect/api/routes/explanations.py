"""Why a Task runs, or does not run yet. Ours."""

from fastapi import APIRouter

from alchemiscale_prefect.api.auth import UserDatabase, UserPrincipal
from alchemiscale_prefect.api.dependencies import CurrentSystem, Task
from alchemiscale_prefect.services import explanations
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.explanations import TaskExplanation

router = APIRouter(tags=["history"])


@router.get(paths.TASK_EXPLANATION)
def explain_task(
    database: UserDatabase, system: CurrentSystem, principal: UserPrincipal, task: Task
) -> TaskExplanation:
    """What stands before a Task to run."""
    standing = explanations.explain(database, system.database, principal, system.api.fair_share, task)
    return TaskExplanation.of(task, standing)
