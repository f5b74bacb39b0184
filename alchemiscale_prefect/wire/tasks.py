"""Bodies about Tasks and their actioning."""

from pydantic import BaseModel, ConfigDict, Field

from alchemiscale_prefect.wire.fields import ScopedKeyField

MAX_TASKS_PER_CALL = 100_000


class CreateTasks(BaseModel):
    """``POST /transformations/{transformation}/tasks``."""

    count: int = Field(ge=1, le=MAX_TASKS_PER_CALL)
    extends: ScopedKeyField | None = None


class CreateTransformationsTasks(BaseModel):
    """``POST /bulk/transformations/tasks/create``."""

    transformations: list[str] = Field(max_length=MAX_TASKS_PER_CALL)
    extends: list[str | None] | None = None


class ActionTasks(BaseModel):
    """``POST /networks/{network}/tasks/action``."""

    # JSON has one number type; `1` is a weight like `1.0`
    model_config = ConfigDict(strict=False)

    tasks: list[ScopedKeyField]
    weight: float | list[float] | None = None


class Tasks(BaseModel):
    """A list of Tasks, for the bulk getters and for cancelling."""

    tasks: list[ScopedKeyField]


class TaskWeights(BaseModel):
    """Whether a listing of actions carries their weights."""

    task_weights: bool


class SetTasksStatus(BaseModel):
    """``POST /bulk/tasks/status/set``."""

    tasks: list[ScopedKeyField]
    status: str


class SetTasksPriority(BaseModel):
    """``POST /bulk/tasks/priority/set``."""

    tasks: list[ScopedKeyField]
    priority: int
