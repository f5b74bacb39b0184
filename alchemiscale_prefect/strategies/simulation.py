"""What a Strategy would do: run on a network with made-up results, without computing anything.

Every Transformation has a true free energy and a standard deviation of its results. In each iteration the Strategy
proposes, its weights become Tasks as on a server, every Task gives a result at once, drawn from these; and so on. What
the network's free energies are known to is then a matter of how many results each Transformation has, so that runs can
be compared without the luck of the draw. The n-th result of a Transformation is the same for every Strategy that is run
with the same seed, as are the true values and the order of uniform allocation. A Task takes an hour.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.chemistry.summaries import protocol_results
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.proposals import Proposal, ProposalSettings, propose_changes
from alchemiscale_prefect.domain.result_summaries import ResultSummary
from alchemiscale_prefect.strategies.base import least_limits, proposed_weights
from alchemiscale_prefect.strategies.edges import Edge, edges_of
from alchemiscale_prefect.strategies.likelihood import FloatArray, IntArray, components, node_covariance
from alchemiscale_prefect.strategies.variances import result_variances

KJ_PER_KCAL = 4.184

_FREE_ENERGIES = 8.0  # kJ/mol: how far the true free energies of ChemicalSystems are apart
_PRIOR_WEIGHT = 2.0
_SECONDS = 3600.0


@dataclass(frozen=True)
class Truth:
    """What results are drawn from, in kJ/mol; edges that begin and end at one node are left out.

    Attributes
    ----------
    keys
        Of the Transformations, ascending.
    starts, ends
        Numbers of their ChemicalSystems.
    values, deviations
        True free energies, and standard deviations of single results.
    counts
        How many results there were at the beginning.
    """

    keys: tuple[str, ...]
    n_nodes: int
    starts: IntArray
    ends: IntArray
    values: FloatArray
    deviations: FloatArray
    counts: FloatArray

    @cached_property
    def components(self) -> list[tuple[IntArray, IntArray, IntArray, IntArray]]:
        """Of each component of two nodes or more: nodes, edges, and where in it the edges start and end."""
        found = components(self.n_nodes, self.starts, self.ends)
        return [
            (nodes, edges, np.searchsorted(nodes, self.starts[edges]), np.searchsorted(nodes, self.ends[edges]))
            for nodes, edges in found
            if len(nodes) > 1
        ]

    def errors(self, counts: FloatArray) -> FloatArray:
        """Standard errors of the nodes in kJ/mol, about the mean of their component.

        Infinite where the results do not connect a component; of nodes that no edge leads from there are none.
        """
        errors = [np.zeros(0)]
        for nodes, edges, starts, ends in self.components:
            used = counts[edges] > 0
            if len(components(len(nodes), starts[used], ends[used])) > 1:
                errors.append(np.full(len(nodes), math.inf))
                continue
            precisions = counts[edges] / self.deviations[edges] ** 2
            covariance = node_covariance(len(nodes), starts, ends, precisions)
            errors.append(np.sqrt(np.maximum(np.diag(covariance), 0.0)))
        return np.concatenate(errors)

    def mean_error(self, counts: FloatArray) -> float:
        """The mean of the standard errors of the nodes in kJ/mol; infinite while the results do not connect them."""
        errors = self.errors(counts)
        return float(errors.mean()) if len(errors) else 0.0


@dataclass(frozen=True)
class Course:
    """Tasks one after the other.

    Attributes
    ----------
    tasks
        For each the number of its Transformation in `truth`; -1 for one that leads from a node to itself.
    iterations
        How many Tasks were done at the end of each iteration.
    """

    truth: Truth
    tasks: IntArray
    iterations: tuple[int, ...]

    def mean_error(self, n_tasks: int) -> float:
        """The nodes' mean standard error in kJ/mol after so many Tasks."""
        done = self.tasks[:n_tasks]
        counts = np.bincount(done[done >= 0], minlength=len(self.truth.keys))
        return self.truth.mean_error(self.truth.counts + counts)

    def tasks_until(self, target: float) -> int | None:
        """After how many Tasks the mean standard error is at most `target` kJ/mol; ``None`` if it never is."""
        low, high = 0, len(self.tasks)
        if self.mean_error(high) > target:
            return None
        while low < high:  # more results never make it larger
            middle = (low + high) // 2
            low, high = (low, middle) if self.mean_error(middle) <= target else (middle + 1, high)
        return low


@dataclass(frozen=True)
class Simulation:
    """What a Strategy did in a simulation, beside uniform allocation of as many Tasks.

    Attributes
    ----------
    strategy, uniform
        Their Tasks; those of uniform allocation go around the Transformations in an order drawn by the seed.
    proposals
        The plan of each iteration, the first being what the Strategy would do next.
    summaries
        Of all results at the end, by Transformation.
    """

    strategy: Course
    uniform: Course
    proposals: tuple[Proposal, ...]
    summaries: Mapping[str, ResultSummary]

    @property
    def finished(self) -> bool:
        """Whether the Strategy wanted no more."""
        return bool(self.proposals) and self.proposals[-1].finished

    def table(self) -> list[tuple[int, float, float]]:
        """For the beginning and each iteration: Tasks done, and both mean standard errors in kcal/mol."""
        return [
            (n, self.strategy.mean_error(n) / KJ_PER_KCAL, self.uniform.mean_error(n) / KJ_PER_KCAL)
            for n in dict.fromkeys((0, *self.strategy.iterations))
        ]

    def save_plot(self, path: Path | str, title: str = "") -> None:
        """Draw the error against the Tasks, beside uniform allocation: see `simulation_plot.save_plot`."""
        from alchemiscale_prefect.strategies.simulation_plot import save_plot

        save_plot({"Strategy": self}, Path(path), title)


def simulate(
    network: AlchemicalNetwork,
    strategy: Any,
    *,
    n_iterations: int = 20,
    noise: float | Mapping[str, float] = 0.5,
    stated: float | None = 1.0,
    results: Mapping[str, ResultSummary] | None = None,
    settings: ProposalSettings | None = None,
    seed: int = 0,
) -> Simulation:
    """Run a Strategy on a network without computing anything.

    Parameters
    ----------
    strategy
        Anything with ``propose``.
    n_iterations
        It ends before if the Strategy wants no more.
    noise
        Standard deviation of a single result in kcal/mol, of all Transformations or of each by its gufe key. Of one
        that has `results`, these say it instead.
    stated
        The uncertainty that each result states, as a multiple of its true standard deviation; ``None`` for none.
    results
        Summaries of the results that there are, by the Transformation's gufe key: the Strategy goes on from them.
    settings
        How weights become Tasks; by default as on a server.
    seed
        Of the draws, 0 or above. The same arguments give the same simulation.

    Raises
    ------
    InvalidInput
        `n_iterations` is below 1, `seed` below 0, or `noise` not above zero or without one of the Transformations.
    Exception
        Whatever the Strategy raises.
    """
    if n_iterations < 1:
        raise InvalidInput(f"`n_iterations` must be at least 1, not {n_iterations}", field="n_iterations")
    if seed < 0:
        raise InvalidInput(f"`seed` must be at least 0, not {seed}", field="seed")
    given = dict(results or {})
    edges = edges_of(network, protocol_results(network, given))
    random = np.random.default_rng(seed)
    truth, values = _truth(network, edges, noise, random)
    order = random.permutation(len(truth.keys))
    draws = {edge.key: np.random.default_rng((seed, number)) for number, edge in enumerate(edges)}
    place = {key: number for number, key in enumerate(truth.keys)}
    settings = settings or ProposalSettings()
    summaries = {edge.key: edge.summary for edge in edges}
    tasks: list[int] = []
    iterations: list[int] = []
    proposals: list[Proposal] = []
    for _ in range(n_iterations):
        proposed = strategy.propose(network, protocol_results(network, summaries))
        proposal = propose_changes(
            proposed_weights(proposed), dict.fromkeys(summaries, ()), _within(settings, proposed, summaries)
        )
        proposals.append(proposal)
        created = _in_turn(proposal)
        if not created:
            break
        for key in created:
            value, deviation = values[key]
            drawn = float(draws[key].normal(value, deviation))
            summaries[key] += ResultSummary.of(drawn, None if stated is None else stated * deviation, _SECONDS)
            tasks.append(place.get(key, -1))
        iterations.append(len(tasks))
    uniform = np.resize(order, len(tasks)) if len(order) else np.full(len(tasks), -1)
    ends = tuple(iterations)
    return Simulation(
        Course(truth, np.array(tasks, dtype=np.intp), ends), Course(truth, uniform, ends), tuple(proposals), summaries
    )


def _truth(
    network: AlchemicalNetwork, edges: list[Edge], noise: float | Mapping[str, float], random: np.random.Generator
) -> tuple[Truth, dict[str, tuple[float, float]]]:
    """What results are drawn from, and by key the true value and the standard deviation, in kJ/mol."""
    nodes = sorted(str(node.key) for node in network.nodes)
    free_energy = dict(zip(nodes, random.normal(0.0, _FREE_ENERGIES, len(nodes)), strict=True))
    assumed = np.array([_noise(edge.key, noise) for edge in edges]) * KJ_PER_KCAL
    prior = float(np.mean(assumed**2)) if len(assumed) else 0.0
    known = result_variances([edge.summary for edge in edges], prior, _PRIOR_WEIGHT, caution=0.0)
    has = np.array([edge.summary.n_estimates > 0 for edge in edges], dtype=bool)
    deviations = np.where(has, np.sqrt(known), assumed)
    values = {
        edge.key: (
            edge.summary.mean if edge.summary.n_estimates else float(free_energy[edge.end] - free_energy[edge.start]),
            float(deviation),
        )
        for edge, deviation in zip(edges, deviations, strict=True)
    }
    index = {key: number for number, key in enumerate(nodes)}
    between = [edge for edge in edges if not edge.is_loop]
    truth = Truth(
        keys=tuple(edge.key for edge in between),
        n_nodes=len(nodes),
        starts=np.array([index[edge.start] for edge in between], dtype=np.intp),
        ends=np.array([index[edge.end] for edge in between], dtype=np.intp),
        values=np.array([values[edge.key][0] for edge in between]),
        deviations=np.array([values[edge.key][1] for edge in between]),
        counts=np.array([edge.summary.n_estimates for edge in between], dtype=float),
    )
    return truth, values


def _noise(key: str, noise: float | Mapping[str, float]) -> float:
    value = noise.get(key) if isinstance(noise, Mapping) else noise
    if value is None or not math.isfinite(value) or value <= 0:
        raise InvalidInput(
            f"`noise` must be above zero and there for each Transformation; {key}: {value}", field="noise"
        )
    return float(value)


def _within(settings: ProposalSettings, proposed: Any, summaries: Mapping[str, ResultSummary]) -> ProposalSettings:
    """With what the Strategy's own limits leave of Tasks; none ever fails here."""
    done = sum(summary.n for summary in summaries.values())
    left = [max(0, most - done) for most in least_limits([proposed]).values() if most is not None]
    given = [] if settings.max_tasks is None else [settings.max_tasks]
    return replace(settings, max_tasks=min((*left, *given), default=None))


def _in_turn(proposal: Proposal) -> list[str]:
    """The Transformation of each new Task: one of each, the heaviest first, then a second of each, and so on."""
    heaviest = sorted(proposal.changes, key=lambda change: (-(change.weight or 0.0), change.transformation))
    rounds = range(max((change.create for change in proposal.changes), default=0))
    return [change.transformation for n in rounds for change in heaviest if change.create > n]
