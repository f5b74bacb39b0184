"""Which waiting Task runs next: the pure rules behind the claim.

Network by weight, then priority (lower first), then action weight within one priority. A weighted random order
without replacement is an exponential race (Efraimidis and Spirakis, Inf. Process. Lett. 97, 181 (2006)): each
contender draws ``-ln(1 - u) / weight`` and the smallest goes first. The draw of a queued Task is stored, so that
the order of an index *is* that random order.

Where the operator has set shares, whose turn it is comes before all of this, see `domain.shares`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.shares import Ledger

LEAST_WEIGHT = 1e-6
"""Lesser weights count as this one: draws of a weight of 1e-17 would eat up the digits of all that start from them, and
those of the least doubles overflow."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A network that has Tasks to run; `scope` is its Scope as a string."""

    network_id: int
    weight: float
    scope: str


def draw(weight: float, u: float, base: float = 0.0) -> float:
    """A contender's place in the race; smaller runs sooner.

    Parameters
    ----------
    weight
        The chance to be next is proportional to it, from `LEAST_WEIGHT` on.
    u
        Uniform in [0, 1).
    base
        The head draw of the contenders already there. The exponential distribution has no memory, so starting
        newcomers at the head gives them their fair share instead of the whole front of the queue.

    Returns
    -------
    float
        ``base - ln(1 - u) / weight``; infinite for weight 0, which never runs.
    """
    if weight <= 0.0:
        return math.inf
    return base - math.log1p(-u) / max(weight, LEAST_WEIGHT)


def draw_networks(
    contenders: Sequence[Contender], count: int, chance: Random, ledger: Ledger | None = None
) -> list[int]:
    """Networks that the next Tasks are taken from, each drawn anew in proportion to the weights.

    Parameters
    ----------
    contenders
        With weights above 0. One that turns out to have fewer Tasks than it is drawn for is left out of the next call,
        for the rest: that is the same as drawing one by one.
    count
        How many Tasks.
    chance
        The random numbers.
    ledger
        With it, each Task first goes to the group whose turn it is, then to a network of that.

    Returns
    -------
    list of int
        `count` ids, in the order of the draws; none without contenders.
    """
    if not contenders:
        return []
    if ledger is None:
        return _draw(contenders, count, chance)
    groups: dict[Scope, list[Contender]] = {}
    for contender in contenders:
        groups.setdefault(ledger.group_of(contender.scope), []).append(contender)
    turns = ledger.turns([*groups], count)
    drawn = {group: iter(_draw(groups[group], turns.count(group), chance)) for group in set(turns)}
    return [next(drawn[group]) for group in turns]


def _draw(contenders: Sequence[Contender], count: int, chance: Random) -> list[int]:
    weights = [max(contender.weight, LEAST_WEIGHT) for contender in contenders]
    return chance.choices([contender.network_id for contender in contenders], weights, k=count)
