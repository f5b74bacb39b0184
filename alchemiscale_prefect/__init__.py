"""Alchemical free-energy networks executed by Prefect and kept in Postgres, with alchemiscale's SDK and wire.

The names below are imported when they are first used: importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alchemiscale_prefect.domain.keys import ScopedKey
    from alchemiscale_prefect.domain.networks import NetworkState as NetworkStateEnum
    from alchemiscale_prefect.domain.scopes import Scope
    from alchemiscale_prefect.domain.strategies import StrategyMode as StrategyModeEnum
    from alchemiscale_prefect.domain.strategies import StrategyState
    from alchemiscale_prefect.domain.strategies import StrategyStatus as StrategyStatusEnum
    from alchemiscale_prefect.domain.strategies import StrategyTaskScaling as StrategyTaskScalingEnum
    from alchemiscale_prefect.domain.tasks import TaskStatus as TaskStatusEnum
    from alchemiscale_prefect.sdk.admin import AlchemiscaleAdminClient
    from alchemiscale_prefect.sdk.client import AlchemiscaleClient
    from alchemiscale_prefect.sdk.errors import AlchemiscaleClientError, AlchemiscaleConnectionError
    from alchemiscale_prefect.sdk.results import ResultFormat
    from alchemiscale_prefect.wire.explanations import TaskExplanation
    from alchemiscale_prefect.wire.history import (
        TaskAttempt,
        TaskDetails,
        TaskStatusChange,
        TaskTracebacks,
        TaskUnitTraceback,
    )
    from alchemiscale_prefect.wire.tasks import SetTasks

__all__ = [
    "AlchemiscaleAdminClient",
    "AlchemiscaleClient",
    "AlchemiscaleClientError",
    "AlchemiscaleConnectionError",
    "NetworkStateEnum",
    "ResultFormat",
    "Scope",
    "ScopedKey",
    "SetTasks",
    "StrategyModeEnum",
    "StrategyState",
    "StrategyStatusEnum",
    "StrategyTaskScalingEnum",
    "TaskAttempt",
    "TaskDetails",
    "TaskExplanation",
    "TaskStatusChange",
    "TaskStatusEnum",
    "TaskTracebacks",
    "TaskUnitTraceback",
]

_HOMES = {
    "AlchemiscaleAdminClient": ("sdk.admin", "AlchemiscaleAdminClient"),
    "AlchemiscaleClient": ("sdk.client", "AlchemiscaleClient"),
    "AlchemiscaleClientError": ("sdk.errors", "AlchemiscaleClientError"),
    "AlchemiscaleConnectionError": ("sdk.errors", "AlchemiscaleConnectionError"),
    "NetworkStateEnum": ("domain.networks", "NetworkState"),
    "ResultFormat": ("sdk.results", "ResultFormat"),
    "Scope": ("domain.scopes", "Scope"),
    "ScopedKey": ("domain.keys", "ScopedKey"),
    "StrategyModeEnum": ("domain.strategies", "StrategyMode"),
    "StrategyState": ("domain.strategies", "StrategyState"),
    "StrategyStatusEnum": ("domain.strategies", "StrategyStatus"),
    "StrategyTaskScalingEnum": ("domain.strategies", "StrategyTaskScaling"),
    "SetTasks": ("wire.tasks", "SetTasks"),
    "TaskAttempt": ("wire.history", "TaskAttempt"),
    "TaskDetails": ("wire.history", "TaskDetails"),
    "TaskExplanation": ("wire.explanations", "TaskExplanation"),
    "TaskStatusEnum": ("domain.tasks", "TaskStatus"),
    "TaskStatusChange": ("wire.history", "TaskStatusChange"),
    "TaskTracebacks": ("wire.history", "TaskTracebacks"),
    "TaskUnitTraceback": ("wire.history", "TaskUnitTraceback"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
