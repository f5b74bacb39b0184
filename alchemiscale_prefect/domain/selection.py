"""Which waiting Task runs next: the pure rules behind the claim.

Network by weight, then priority (lower first), then action weight within one priority. A weighted random order
without replacement is an exponential race (Efraimidis and Spirakis, Inf. Process. Lett. 97, 181 (2006)): each
contender draws ``-ln(1 - u) / weight`` and the smallest goes first. The draw of a queued Task is stored, so that
the order of an index *is* that random order.
"""

import math

LEAST_WEIGHT = 1e-6
"""Lesser weights count as this one: draws of a weight of 1e-17 would eat up the digits of all that start from them, and
those of the least doubles overflow."""


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
