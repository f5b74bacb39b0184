"""What a network's Strategy may do, and how far it has come."""

from enum import StrEnum

DEFAULT_SLEEP_INTERVAL = 3600
"""Seconds between two iterations of a Strategy."""
DEFAULT_MAX_TASKS = 3
"""Tasks of one Transformation that a Strategy may have actioned at a time."""


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
