"""Tasks: their statuses, what users may ask for. `domain.transitions` has which status may follow which."""

from enum import StrEnum

from alchemiscale_prefect.domain.errors import InvalidInput, UnknownState

DEFAULT_PRIORITY = 10
MAX_PRIORITY = 2**63 - 1
DEFAULT_WEIGHT = 0.5


class TaskStatus(StrEnum):
    """What a Task is doing. ``invalid`` and ``deleted`` are final."""

    complete = "complete"
    waiting = "waiting"
    running = "running"
    error = "error"
    invalid = "invalid"
    deleted = "deleted"

    @classmethod
    def parse(cls, value: "TaskStatus | str", field: str = "status") -> "TaskStatus":
        """The member `value` names.

        Raises
        ------
        UnknownState
            With alchemiscale's text, ``'x' is not a valid TaskStatusEnum``.
        """
        try:
            return cls(value)
        except ValueError as error:
            raise UnknownState(f"{value!r} is not a valid TaskStatusEnum", field=field) from error


USER_SETTABLE = (TaskStatus.waiting, TaskStatus.invalid, TaskStatus.deleted)
"""What a user may ask for; the others are the outcome of an attempt."""

ACTIONABLE = frozenset({TaskStatus.waiting, TaskStatus.running, TaskStatus.error})
"""A Task in another status cannot be actioned on a network."""

UNACTIONED_BY = frozenset({TaskStatus.complete, TaskStatus.invalid, TaskStatus.deleted})
"""Entering one of these takes the Task off every network it was actioned on."""


def check_user_settable(status: TaskStatus) -> None:
    """Raise `InvalidInput` unless a user may ask for `status`."""
    if status not in USER_SETTABLE:
        raise InvalidInput(
            f"Cannot set status to 'TaskStatusEnum.{status}', must be one of 'waiting', 'invalid', 'deleted'",
            field="status",
        )


def check_reason(status: TaskStatus, reason: str | None) -> None:
    """Raise `InvalidInput` if `reason` is given for a status that records none."""
    if reason is not None and status not in (TaskStatus.invalid, TaskStatus.deleted):
        raise InvalidInput(
            f"`reason` is recorded for 'invalid' and 'deleted' only; leave it out for '{status}'", field="reason"
        )


def check_priority(priority: int) -> None:
    """Raise `InvalidInput` unless ``1 <= priority <= 2**63 - 1``; lower runs sooner."""
    if isinstance(priority, bool) or not 1 <= priority <= MAX_PRIORITY:
        raise InvalidInput("priority must be between 1 and 2**63 - 1, inclusive", field="priority")


def check_weight(weight: float, message: str = "weight must be between 0 and 1 (inclusive)") -> None:
    """Raise `InvalidInput` unless ``0 <= weight <= 1``."""
    if not 0.0 <= weight <= 1.0:
        raise InvalidInput(message, field="weight")
