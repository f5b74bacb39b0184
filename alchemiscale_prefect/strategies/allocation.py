"""Where the next results reduce the total variance of a network's nodes the most: A-optimal allocation, step by step.

After n_e results of variance s_e^2 each, the covariance of the nodes is C = (sum n_e b_e b_e^T / s_e^2)^+, b_e being
the edge's row of the incidence matrix (see :mod:`.likelihood`). One more result of e reduces tr(W C) by ::

    gain_e = b_e^T C W C b_e / (s_e^2 + b_e^T C b_e)

exactly (Sherman and Morrison). W is 1 at the nodes whose variances are to be summed, or a sum of d d^T over the pairs
of nodes, d being the pair's difference. Taking the edge with the largest gain again and again leads to the allocation
that makes tr C the smallest for a number of results, that is the A-optimal one of NetBFE
(doi 10.1021/acs.jctc.1c00703), with whole numbers and from what has been spent already.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from alchemiscale_prefect.strategies.likelihood import FloatArray, IntArray, components, laplacian, node_covariance

_ROUNDS = 32
_AT_A_TIME = 16
"""On large networks one edge in so many, at most, is taken at a time, so that all gains are computed about 32 times."""

_NEAR = 1.1
"""So near to the smallest variance that limits allow is near enough."""

_ROUNDING = 1 + 1e-9
"""What is above a goal in the last digits alone has met it: they depend on the machine."""

_UNKNOWN = 1e-4
"""So many results is an edge taken to have that has none, lest a network that its results do not connect yet have no
covariance: what they leave open is known very badly then, and is connected first."""


@dataclass(frozen=True)
class Measurements:
    """A network as numbers.

    Attributes
    ----------
    n_nodes
        Their number.
    starts, ends
        Nodes of each edge, shape ``(n_edges,)``; no edge leads from a node to itself.
    variances
        Of one result of each edge.
    counts
        How many results each has.
    costs
        What one more result of each costs; 1 for all, or the seconds that it takes.
    limits
        How many results each may have.
    target
        Largest variance that is good enough; where the limits do not let it be reached, as near as a tenth to the
        smallest that they do.
    pairs
        Nodes whose differences matter, shape ``(n_pairs, 2)``; one that no edges join does not. ``None`` if each node
        does, relative to the mean of its component.
    """

    n_nodes: int
    starts: IntArray
    ends: IntArray
    variances: FloatArray
    counts: FloatArray
    costs: FloatArray
    limits: FloatArray
    target: float
    pairs: IntArray | None = None


@dataclass
class _Component:
    """One component, and its covariance after what has been planned.

    Attributes
    ----------
    edges
        Their numbers in the network; `starts`, `ends` and `pairs` are numbers of nodes in the component.
    variances, counts
        Of a result of each edge, and how many it has, planned ones included.
    """

    n_nodes: int
    edges: IntArray
    starts: IntArray
    ends: IntArray
    variances: FloatArray
    counts: FloatArray
    pairs: IntArray | None
    covariance: FloatArray = field(init=False)

    goals: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self._invert()

    def aim(self, target: float, limits: FloatArray) -> None:
        """Set what is good enough for each node or pair: `target`, or near what can be had within the limits."""
        self.goals = np.full(len(self.errors()), target * _ROUNDING)
        if np.isfinite(limits).all():
            full = replace(self, counts=np.maximum(self.counts, limits))
            self.goals = np.maximum(self.goals, _NEAR * full.errors())

    @property
    def wanted(self) -> FloatArray:
        """1 for each node or pair that is not known well enough, else 0."""
        return (self.errors() > self.goals).astype(float)

    def _invert(self) -> None:
        precisions = np.maximum(self.counts, _UNKNOWN) / self.variances
        self.covariance = node_covariance(self.n_nodes, self.starts, self.ends, precisions)
        self._find_parts()

    def _find_parts(self) -> None:
        """Number the parts that results connect."""
        used = self.counts > 0
        self._part = np.empty(self.n_nodes, dtype=np.intp)
        for number, (nodes, _) in enumerate(components(self.n_nodes, self.starts[used], self.ends[used])):
            self._part[nodes] = number

    def errors(self) -> FloatArray:
        """The variance of what matters in it, each node or each pair; infinite where results do not connect."""
        if self.pairs is not None:
            ones, others = self.pairs.T
            known = self._part[ones] == self._part[others]
            return np.where(known, _between(self.covariance, ones, others), np.inf)
        return np.diag(self.covariance) if not self._part.any() else np.full(self.n_nodes, np.inf)

    def gains(self, wanted: FloatArray) -> FloatArray:
        """By how much one more result of each edge reduces the sum of the variances that are `wanted`."""
        if self.pairs is not None and len(self.pairs) > self.n_nodes:
            # of many pairs their sum, so that neither time nor memory grows with them
            ones, others = self.pairs.T
            weights = laplacian(self.n_nodes, ones, others, wanted)
            reduced = _between(self.covariance @ weights @ self.covariance, self.starts, self.ends)
        else:
            # by rows, which lie together in memory; the covariance is symmetric
            moved = self.covariance if self.pairs is None else self._apart()
            moved = moved[self.ends] - moved[self.starts]
            reduced = np.square(moved, out=moved) @ wanted
        return np.asarray(reduced / (self.variances + _between(self.covariance, self.starts, self.ends)))

    def add(self, edges: IntArray) -> None:
        """One more result of each of some edges, by their place in the component."""
        joining = bool(self._part.any() and (self.counts[edges] == 0).any())
        self.counts[edges] += 1
        if len(edges) * 4 > self.n_nodes:
            self._invert()
            return
        # Woodbury: few columns change the inverse by little; what an edge was taken to have before is next to nothing
        rows = self.covariance[self.ends[edges]] - self.covariance[self.starts[edges]]
        middle = rows[:, self.ends[edges]] - rows[:, self.starts[edges]] + np.diag(self.variances[edges])
        self.covariance -= rows.T @ np.linalg.solve(middle, rows)
        if joining:
            self._find_parts()
            if not self._part.any():  # what was open was known very badly, at the cost of digits
                self._invert()

    def _apart(self) -> FloatArray:
        """Covariances of each node with each pair's difference."""
        pairs = self.pairs
        assert pairs is not None
        return np.asarray(self.covariance[:, pairs[:, 0]] - self.covariance[:, pairs[:, 1]])


def _between(covariance: FloatArray, ones: IntArray, others: IntArray) -> FloatArray:
    """Variances of differences of nodes."""
    diagonal = np.diag(covariance)
    return np.asarray(diagonal[ones] + diagonal[others] - 2 * covariance[ones, others])


class Allocation:
    """What there is, and what is planned on top of it.

    Parameters
    ----------
    measurements
        The network.
    """

    def __init__(self, measurements: Measurements) -> None:
        self._given = given = measurements
        n_edges = len(given.starts)
        self.planned = np.zeros(n_edges, dtype=np.intp)
        self._gain = np.zeros(n_edges)
        self._component = np.zeros(n_edges, dtype=np.intp)
        self._place = np.zeros(n_edges, dtype=np.intp)
        self._components: list[_Component] = []
        self._open: set[int] = set()
        for nodes, edges in components(given.n_nodes, given.starts, given.ends):
            if len(nodes) == 1:
                continue
            starts, ends = np.searchsorted(nodes, given.starts[edges]), np.searchsorted(nodes, given.ends[edges])
            pairs = given.pairs
            if pairs is not None:
                pairs = np.searchsorted(nodes, pairs[np.isin(pairs, nodes).all(axis=1)])
            component = _Component(len(nodes), edges, starts, ends, given.variances[edges], given.counts[edges], pairs)
            component.aim(given.target, given.limits[edges])
            self._component[edges], self._place[edges] = len(self._components), np.arange(len(edges))
            self._components.append(component)
            self._look_at(len(self._components) - 1)

    @property
    def is_done(self) -> bool:
        """Whether everything that matters is known as well as it is to be."""
        return not self._open

    def require(self, edges: IntArray) -> None:
        """Plan one more result of each of some edges."""
        self._add(edges)

    def plan(self, n_results: int) -> None:
        """Plan up to so many results more, one after the other where each gains the most for what it costs.

        It ends before if everything is known as well as it is to be, or every edge has as many results as it may.
        """
        at_a_time = max(1, min(-(-n_results // _ROUNDS), len(self.planned) // _AT_A_TIME))
        while n_results > 0 and not self.is_done:
            gains = self._gains()
            order = np.argsort(-gains, kind="stable")[: min(at_a_time, n_results)]
            chosen = order[gains[order] > 0]  # equal ones in the order of the edges
            if not len(chosen):
                return
            self._add(chosen)
            n_results -= len(chosen)

    def _gains(self) -> FloatArray:
        full = self._given.counts + self.planned >= self._given.limits
        gains = np.where(full, 0.0, self._gain)
        # the last digits depend on the machine, and must not decide
        rounded: FloatArray = np.round(gains / gains.max(initial=1e-300), 9)
        return rounded

    def _add(self, edges: IntArray) -> None:
        self.planned[edges] += 1
        of = self._component[edges]
        for number in np.unique(of):
            self._components[number].add(np.sort(self._place[edges[of == number]]))
            self._look_at(int(number))

    def _look_at(self, number: int) -> None:
        """What is wanted of a component, and what its edges gain, which another component does not change."""
        component = self._components[number]
        wanted = component.wanted
        if wanted.any():
            self._open.add(number)
            self._gain[component.edges] = component.gains(wanted) / self._given.costs[component.edges]
        else:
            self._open.discard(number)
            self._gain[component.edges] = 0.0
