"""From the weights that a Strategy proposes to numbers of Tasks.

A weight is ``None`` for a Transformation that wants no more Tasks, or a number of at least zero; what unit it has is
the Strategy's business. :func:`normalized` brings the weights of a network between 0 and 1, :func:`task_count` makes a
number of Tasks of each.
"""

import math
from collections.abc import Mapping

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.strategies import StrategyTaskScaling
from alchemiscale_prefect.domain.strategies import StrategyWeighting as StrategyWeighting

Weight = float | None

_ROUNDING = 1e-9
"""What is this near below a whole number is taken for it: 0.29 x 100 is 28.999999999999996 to a computer."""


def normalized(
    weights: Mapping[str, Weight], weighting: StrategyWeighting = StrategyWeighting.relative
) -> dict[str, Weight]:
    """Weights between 0 and 1; ``None`` and zero stay what they are.

    Parameters
    ----------
    weights
        By Transformation; of any unit, at least zero.
    weighting
        What they are divided by.

    Raises
    ------
    InvalidInput
        A weight is negative, infinite or not a number; all are named.
    """
    if wrong := sorted(key for key, weight in weights.items() if weight is not None and not _is_weight(weight)):
        named = ", ".join(f"{key}: {weights[key]!r}" for key in wrong)
        raise InvalidInput(f"a weight must be None or a finite number of at least 0; {named}", field="weights")
    largest = max((weight for weight in weights.values() if weight is not None), default=0.0)
    if largest == 0:
        return {key: None if weight is None else 0.0 for key, weight in weights.items()}
    # by the largest in any case: a sum of large numbers may be none any more
    relative = {key: None if weight is None else weight / largest for key, weight in weights.items()}
    if weighting is StrategyWeighting.relative:
        return relative
    total = math.fsum(weight for weight in relative.values() if weight is not None)
    return {key: None if weight is None else weight / total for key, weight in relative.items()}


def task_count(weight: Weight, max_tasks: int, scaling: StrategyTaskScaling) -> int:
    """How many Tasks of a Transformation are to wait or run.

    ::

        linear        floor(1 + weight x max_tasks)
        exponential   floor((1 + max_tasks) ^ weight)

    and never more than `max_tasks`; for ``None`` and 0 none. Within 1e-9 below a whole number counts as that number.

    Parameters
    ----------
    weight
        ``None``, or between 0 and 1: see :func:`normalized`.
    max_tasks
        Of one Transformation, at least 1.

    Raises
    ------
    InvalidInput
        `weight` is not between 0 and 1, or `max_tasks` is below 1.
    """
    if max_tasks < 1:
        raise InvalidInput(
            f"`max_tasks_per_transformation` must be at least 1, not {max_tasks}", field="max_tasks_per_transformation"
        )
    if weight is None or weight == 0:
        return 0
    if not 0 < weight <= 1:
        raise InvalidInput(f"a weight must be between 0 and 1, not {weight!r}", field="weights")
    exact = 1 + weight * max_tasks if scaling is StrategyTaskScaling.linear else float(1 + max_tasks) ** weight
    return min(whole(exact), max_tasks)


def whole(number: float) -> int:
    """The largest whole number that is not above; within 1e-9 below one it is that one."""
    return math.floor(number + _ROUNDING)


def _is_weight(weight: float) -> bool:
    return math.isfinite(weight) and weight >= 0
