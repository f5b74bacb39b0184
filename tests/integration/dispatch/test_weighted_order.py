"""The order of claims against the specified probabilities, while weights change and Tasks are added.

``ALCHEMISCALE_TEST_CLAIMS=10000`` makes more claims. The test fails by chance once in a thousand million runs.
"""

import os
from collections import Counter

from tests.integration.dispatch.world import World
from tests.weighted_order import TASK_WEIGHTS, chance_of, chi_square, measure

CLAIMS = int(os.environ.get("ALCHEMISCALE_TEST_CLAIMS", "1500"))


def test_tasks_are_claimed_in_proportion_to_the_weights(world: World) -> None:
    order = measure(world, CLAIMS)
    statistic, freedom = chi_square(order.observed, order.expected)
    assert chance_of(statistic, freedom) > 1e-9, (order.observed, order.expected)
    # and it would be seen if all networks, or all Tasks of a network, had the same chance
    for wrong in (
        [Counter({cell: sum(phase[n, cell[1]] for n in range(3)) / 3 for cell in phase}) for phase in order.expected],
        [
            Counter({cell: sum(phase[cell[0], w] for w in TASK_WEIGHTS) / 3 for cell in phase})
            for phase in order.expected
        ],
    ):
        assert chance_of(*chi_square(order.observed, wrong)) < 1e-9
    world.check()
