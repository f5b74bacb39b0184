"""Whether Tasks are claimed in proportion to their weights, by a chi-square test; for the tests and the benchmark.

Networks of changing weights have Tasks of several weights. Between the claims weights are changed, and Tasks added. For
each claim the probability that it is of this network and of that weight follows from what waits at that moment; added
up, these are what is expected, to be compared with what was claimed.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services import networks
from tests.integration.dispatch.world import Net, World

NETWORK_WEIGHTS = ((0.2, 0.3, 0.5), (1.0, 0.4, 0.6), (0.3, 0.3, 0.3), (0.5, 1.0, 0.25))
TASK_WEIGHTS = (0.2, 0.5, 1.0)
BATCH = 20
Cell = tuple[int, float]
"""Number of a network, weight of a Task."""


@dataclass
class WeightedOrder:
    """Claims, counted.

    Attributes
    ----------
    observed, expected
        Phase → cell → claims. In a phase nothing is changed.
    """

    world: World
    nets: list[Net] = field(default_factory=list)
    weights: tuple[float, ...] = NETWORK_WEIGHTS[0]
    waiting: dict[str, Cell] = field(default_factory=dict)
    observed: list[Counter[Cell]] = field(default_factory=list)
    expected: list[Counter[Cell]] = field(default_factory=list)

    def add(self, tasks: int) -> None:
        """So many more Tasks of each weight on each network."""
        for number, net in enumerate(self.nets):
            for weight in TASK_WEIGHTS:
                for key in self.world.tasks(net, tasks, weight):
                    self.waiting[key.gufe_key] = (number, weight)

    def reweigh(self, number: int, was: float, weight: float, tasks: int) -> None:
        """Give so many of the waiting Tasks of a network another weight."""
        keys = [key for key, cell in self.waiting.items() if cell == (number, was)][:tasks]
        net = self.nets[number]
        self.world.action(net, [ScopedKey.of(key, net.key.scope) for key in keys], weight)
        self.waiting.update(dict.fromkeys(keys, (number, weight)))

    def weigh_networks(self, weights: tuple[float, ...]) -> None:
        """Give the networks other weights."""
        networks.set_weights(self.world.database, self.world.user, [net.key for net in self.nets], weights)
        self.weights = weights

    def claim(self, count: int) -> None:
        """One phase of claims."""
        observed: Counter[Cell] = Counter()
        expected: Counter[Cell] = Counter()
        left = Counter(self.waiting.values())
        whole = sum(self.weights)
        for _ in range(count // BATCH):
            claimed = self.world.claim(BATCH)
            assert len(claimed) == BATCH
            for attempt in claimed:
                sums = Counter[int]()
                for (number, weight), tasks in left.items():
                    sums[number] += weight * tasks  # type: ignore[assignment]
                for cell, tasks in left.items():
                    number, weight = cell
                    expected[cell] += self.weights[number] / whole * weight * tasks / sums[number]  # type: ignore[assignment]
                cell = self.waiting.pop(ScopedKey.from_str(attempt.task).gufe_key)
                left[cell] -= 1
                observed[cell] += 1
        self.observed.append(observed)
        self.expected.append(expected)


def measure(world: World, claims: int, phases: int = 5, seed: int = 0) -> WeightedOrder:
    """Claim, in so many phases, before each of which Tasks are added and weights are changed."""
    chance = Random(seed)
    order = WeightedOrder(world)
    order.nets = [world.network(name, systems=(name, "end")) for name in ("first", "second", "third")]
    # of the rarest there are several times as many as are taken, so that no cell runs dry
    each = max(40, claims // phases // 3)
    order.add(3 * each // 2)
    for phase in range(phases):
        order.weigh_networks(NETWORK_WEIGHTS[phase % len(NETWORK_WEIGHTS)])
        for number in range(len(order.nets)):
            was, weight = chance.sample(TASK_WEIGHTS, 2)
            order.reweigh(number, was, weight, each // 2)
        order.claim(claims // phases)
        order.add(each // 2)
    return order


def chi_square(observed: list[Counter[Cell]], expected: list[Counter[Cell]]) -> tuple[float, int]:
    """The statistic, and its degrees of freedom."""
    statistic = 0.0
    freedom = 0
    for seen, meant in zip(observed, expected, strict=True):
        # of the usual form 5.8 +- 0.2: what is expected follows from what was claimed before, and that by chance
        assert min(meant.values()) >= 4, "too few claims for the test"
        statistic += sum((seen[cell] - mean) ** 2 / mean for cell, mean in meant.items())
        freedom += len(meant) - 1
    return statistic, freedom


def chance_of(statistic: float, freedom: int) -> float:
    """No chi-square distributed number is as large as this with a higher probability (Chernoff's bound)."""
    ratio = statistic / freedom
    return 1.0 if ratio <= 1.0 else math.exp(freedom / 2 * (1.0 - ratio + math.log(ratio)))
