"""Built-in Strategies: pure algorithms over a network and its results, with stratocaster's interface."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alchemiscale_prefect.strategies.base import Strategy, StrategyResult, StrategySettings
    from alchemiscale_prefect.strategies.budget import BudgetStrategy
    from alchemiscale_prefect.strategies.connectivity import ConnectivityStrategy
    from alchemiscale_prefect.strategies.critical_connectivity import CriticalConnectivityStrategy
    from alchemiscale_prefect.strategies.cycle_closure import CycleClosureStrategy
    from alchemiscale_prefect.strategies.mapping_score import MappingScoreStrategy
    from alchemiscale_prefect.strategies.radial_growth import RadialGrowthStrategy
    from alchemiscale_prefect.strategies.stacking import Confidence, StackedStrategy
    from alchemiscale_prefect.strategies.uncertainty import UncertaintyStrategy

_MODULES = {
    "BudgetStrategy": "budget",
    "Confidence": "stacking",
    "ConnectivityStrategy": "connectivity",
    "CriticalConnectivityStrategy": "critical_connectivity",
    "CycleClosureStrategy": "cycle_closure",
    "MappingScoreStrategy": "mapping_score",
    "RadialGrowthStrategy": "radial_growth",
    "StackedStrategy": "stacking",
    "Strategy": "base",
    "StrategyResult": "base",
    "StrategySettings": "base",
    "UncertaintyStrategy": "uncertainty",
}

__all__ = [
    "BudgetStrategy",
    "Confidence",
    "ConnectivityStrategy",
    "CriticalConnectivityStrategy",
    "CycleClosureStrategy",
    "MappingScoreStrategy",
    "RadialGrowthStrategy",
    "StackedStrategy",
    "Strategy",
    "StrategyResult",
    "StrategySettings",
    "UncertaintyStrategy",
]


def __getattr__(name: str) -> Any:
    # gufe is imported with the first of them, not with the room
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
