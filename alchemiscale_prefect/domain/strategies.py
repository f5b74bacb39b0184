"""What a network's Strategy may do, and how far it has come."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from alchemiscale_prefect.domain.errors import InvalidInput, InvalidKeyedChain
from alchemiscale_prefect.domain.keyed_chains import KeyedChain

DEFAULT_SLEEP_INTERVAL = 3600
"""Seconds between two iterations of a Strategy."""
DEFAULT_MAX_TASKS = 3
"""Tasks of one Transformation that a Strategy may have actioned at a time."""
MAX_SETTING = 2**31 - 1


class StrategyMode(StrEnum):
    """What a Strategy may do to a network's Tasks."""

    full = "full"
    """Create, action and cancel them."""
    partial = "partial"
    """Create and action them; cancel none."""
    disabled = "disabled"
    """Nothing."""


class StrategyStatus(StrEnum):
    """Whether a Strategy goes on."""

    awake = "awake"
    dormant = "dormant"
    """It wants no more Tasks; new results wake it."""
    error = "error"
    """Its last iteration failed; it goes on once it is set awake."""


class StrategyTaskScaling(StrEnum):
    """How a Transformation's weight becomes a number of Tasks."""

    linear = "linear"
    exponential = "exponential"


class StrategyWeighting(StrEnum):
    """What a Strategy's weights are divided by before they become numbers of Tasks."""

    relative = "relative"
    """By the largest: it becomes 1, and its Transformation gets as many Tasks as any may have."""
    share = "share"
    """By their sum, as alchemiscale does: on a network of many Transformations each is near zero and gets one Task."""


@dataclass(frozen=True, slots=True)
class StrategyState:
    """What a network's Strategy is set to, and how far it has come.

    Attributes
    ----------
    iterations
        How often it was performed.
    sleep_interval
        Seconds from one iteration to the next, at least.
    last_iteration
        When it was last performed; ``None`` if it never was.
    last_iteration_result_count
        How many ok results the network had then.
    max_tasks_per_transformation
        How many Tasks of one Transformation it may have actioned at a time.
    task_scaling
        How a Transformation's weight becomes a number of Tasks.
    weighting
        What its weights are divided by before.
    exception
        Class and message of what the last iteration failed with, if it did.
    traceback
        Where that was.

    Raises
    ------
    InvalidInput
        Also a ValueError: a value is not one of its field's.
    """

    mode: StrategyMode = StrategyMode.partial
    status: StrategyStatus = StrategyStatus.awake
    iterations: int = 0
    sleep_interval: int = DEFAULT_SLEEP_INTERVAL
    last_iteration: datetime | None = None
    last_iteration_result_count: int = 0
    max_tasks_per_transformation: int = DEFAULT_MAX_TASKS
    task_scaling: StrategyTaskScaling = StrategyTaskScaling.exponential
    weighting: StrategyWeighting = StrategyWeighting.relative
    exception: tuple[str, str] | None = None
    traceback: str | None = None

    def __post_init__(self) -> None:
        for name, enumeration in _ENUMERATIONS.items():
            object.__setattr__(self, name, _member(enumeration, name, getattr(self, name)))
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_SETTING:
                raise InvalidInput(
                    f"`{name}` must be an integer between {least} and 2**31 - 1, inclusive; got {value!r}", field=name
                )

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, enumerations as their values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {name: values[name].value for name in _ENUMERATIONS}

    @classmethod
    def from_dict(cls, dct: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`, also after JSON. What it does not know is left out, what is missing is the default."""
        known = {field.name: dct[field.name] for field in fields(cls) if field.name in dct}
        if isinstance(known.get("last_iteration"), str):
            known["last_iteration"] = datetime.fromisoformat(known["last_iteration"])
        if known.get("exception") is not None:
            name, message = known["exception"]
            known["exception"] = (name, message)
        return cls(**known)


_ENUMERATIONS: Mapping[str, type[StrEnum]] = {
    "mode": StrategyMode,
    "status": StrategyStatus,
    "task_scaling": StrategyTaskScaling,
    "weighting": StrategyWeighting,
}
_LEAST = {"iterations": 0, "sleep_interval": 1, "last_iteration_result_count": 0, "max_tasks_per_transformation": 1}


def _member(enumeration: type[StrEnum], name: str, value: Any) -> StrEnum:
    try:
        return enumeration(value)
    except ValueError as error:
        valid = [member.value for member in enumeration]
        raise InvalidInput(f"`{name}` must be one of {valid}, not {value!r}", field=name) from error


def check_strategy(chain: KeyedChain, field: str = "strategy") -> None:
    """Refuse the chain of what is no Strategy for sure: gufe itself has none.

    Raises
    ------
    InvalidKeyedChain
        The last object is of gufe: a network, a Transformation, a Component.
    """
    root = chain.root
    if root.module.partition(".")[0] == "gufe":
        raise InvalidKeyedChain(
            f"`{field}` is the chain of a {root.qualname}, which is no Strategy; take one of stratocaster", field=field
        )
