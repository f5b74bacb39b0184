"""Bodies about Strategies."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from alchemiscale_prefect.domain.strategies import (
    DEFAULT_MAX_TASKS,
    DEFAULT_SLEEP_INTERVAL,
    MAX_SETTING,
    StrategyMode,
    StrategyTaskScaling,
)

Setting = Annotated[int, Field(ge=1, le=MAX_SETTING)]


class SetStrategy(BaseModel):
    """``POST /networks/{network}/strategy``. `strategy` is a keyed chain, or ``None`` to remove the network's."""

    strategy: list[Any] | None
    max_tasks_per_transformation: Setting = DEFAULT_MAX_TASKS
    task_scaling: StrategyTaskScaling = StrategyTaskScaling.exponential
    mode: StrategyMode = StrategyMode.partial
    sleep_interval: Setting = DEFAULT_SLEEP_INTERVAL
    # ours: without it the chain itself tells the major line
    gufe_version: str | None = Field(default=None, max_length=64)
