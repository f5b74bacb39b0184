"""Bodies about Tasks and their actioning. What became of them is in `wire.history`."""

from pydantic import BaseModel, ConfigDict, Field

from alchemiscale_prefect.wire.fields import ScopedKeyField, ScopedKeyText

MAX_TASKS_PER_CALL = 100_000
MAX_REASON = 10_000
"""Characters."""


class CreateTasks(BaseModel):
    """``POST /transformations/{transformation}/tasks``."""

    count: int = Field(ge=1, le=MAX_TASKS_PER_CALL)
    extends: ScopedKeyField | None = None


class CreateTransformationsTasks(BaseModel):
    """``POST /bulk/transformations/tasks/create``."""

    transformations: list[str] = Field(max_length=MAX_TASKS_PER_CALL)
    extends: list[str | None] | None = None


class SetTransformationsTasks(BaseModel):
    """``POST /bulk/transformations/tasks/set``: of these Transformations, or of all of a network's."""

    transformations: list[ScopedKeyField] | None = Field(default=None, max_length=MAX_TASKS_PER_CALL)
    network: ScopedKeyField | None = None
    count: int = Field(ge=1, le=MAX_TASKS_PER_CALL)


class SetTasks(BaseModel):
    """The Tasks that a Transformation has after ``POST /bulk/transformations/tasks/set``.

    Attributes
    ----------
    existing
        Those that were there, oldest first.
    created
        Those that were missing.
    """

    model_config = ConfigDict(frozen=True)

    existing: list[ScopedKeyText]
    created: list[ScopedKeyText]


class ActionTasks(BaseModel):
    """``POST /networks/{network}/tasks/action``."""

    # JSON has one number type; `1` is a weight like `1.0`
    model_config = ConfigDict(strict=False)

    tasks: list[ScopedKeyField]
    weight: float | list[float] | None = None


class Tasks(BaseModel):
    """A list of Tasks, for the bulk getters and for cancelling."""

    tasks: list[ScopedKeyField]


class CancelTasks(Tasks):
    """``POST /networks/{network}/tasks/cancel``; without `stop_tasks`, which is ours, those that run go on."""

    stop_tasks: bool = True


class TaskWeights(BaseModel):
    """Whether a listing of actions carries their weights."""

    task_weights: bool


class SetTasksStatus(BaseModel):
    """``POST /bulk/tasks/status/set``."""

    tasks: list[ScopedKeyField]
    status: str
    # ours
    reason: str | None = Field(default=None, max_length=MAX_REASON, pattern=r"^[^\x00]*$")


class SetTasksPriority(BaseModel):
    """``POST /bulk/tasks/priority/set``."""

    tasks: list[ScopedKeyField]
    priority: int
