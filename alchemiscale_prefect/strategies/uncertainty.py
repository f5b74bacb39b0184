"""UncertaintyStrategy: results where they reduce the uncertainty of the network's free energies the most."""

import math
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, KCalPerMolQuantity, unit
from alchemiscale_prefect.chemistry.results import ENERGY_UNITS
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.result_summaries import ResultSummary
from alchemiscale_prefect.strategies.allocation import Allocation, Measurements
from alchemiscale_prefect.strategies.base import Results, Strategy, StrategyResult, StrategySettings, check_runs
from alchemiscale_prefect.strategies.edges import Edge, edges_of
from alchemiscale_prefect.strategies.likelihood import FloatArray, IntArray, components
from alchemiscale_prefect.strategies.variances import result_variances

_TRIES = 3
"""Of what gave no free energy so many times none is expected any more: a Protocol that gives none, for example."""


class UncertaintyStrategySettings(StrategySettings):
    """Settings of :class:`UncertaintyStrategy`."""

    target_error: KCalPerMolQuantity = Field(
        default=0.2 * unit.kilocalorie_per_mole,
        description="Standard error at which a ChemicalSystem, or a pair, is known well enough.",
    )
    pairs: list[tuple[str, str]] | None = Field(
        default=None,
        min_length=1,
        description="Pairs of ChemicalSystems, by gufe key or name, whose differences matter; None if each does.",
    )
    prior_error: KCalPerMolQuantity = Field(
        default=0.5 * unit.kilocalorie_per_mole,
        description="Standard deviation that a single result is taken to have before there are any.",
    )
    prior_weight: float = Field(
        default=2.0,
        gt=0,
        allow_inf_nan=False,
        description="How many results of a Transformation such an assumption is worth.",
    )
    min_runs: int = Field(default=1, ge=0, description="Every Transformation gets so many results.")
    max_runs: int | None = Field(
        default=50, ge=1, description="A Transformation with so many results is finished; None for no limit."
    )
    tasks_ahead: int | None = Field(
        default=None,
        ge=1,
        description="How many Tasks are planned at a time; None for one per Transformation.",
    )
    cost: Literal["task", "gpu_time"] = Field(
        default="task", description="Whether Tasks are to be saved or the time that they take."
    )

    @field_validator("target_error", "prior_error")
    @classmethod
    def _above_zero(cls, value: Any) -> Any:
        if not 0 < value.magnitude < math.inf:
            raise ValueError(f"must be above zero and finite, not {value}")
        return value

    @model_validator(mode="after")
    def _can_be_had(self) -> Self:
        check_runs(self.min_runs, self.max_runs)
        if same := [one for one, other in self.pairs or () if one == other]:
            raise ValueError(f"`pairs` must be of two ChemicalSystems each, not of {', '.join(same)} and itself")
        return self


class UncertaintyStrategy(Strategy):
    """Transformations whose results reduce the total variance of the network's free energies the most.

    The free energies of the ChemicalSystems are the maximum-likelihood estimate from all Transformations (see
    :mod:`.likelihood`). Of the next `tasks_ahead` Tasks each goes, in thought, to the Transformation where it reduces
    the sum of the variances of all ChemicalSystems that are not known well enough by the most, or with
    ``cost="gpu_time"`` by the most for the time that its results take: the A-optimal allocation of NetBFE
    (doi 10.1021/acs.jctc.1c00703), given what has been spent. With C the covariance of the ChemicalSystems in
    (kJ/mol)^2, b the Transformation's row of the incidence matrix, W 1 at those that are not known well enough, and
    s^2 the variance of one result ::

        gain   = b^T C W C b / (s^2 + b^T C b)
        weight = number of the planned Tasks that are the Transformation's

    (:mod:`.allocation`). How much results scatter is taken from them and from what they say of themselves, with a
    prior: :mod:`.variances`. Weights have the unit of Tasks. There are no more Tasks in all than are done or planned,
    where the service heeds that (`StrategyResult.max_tasks`). 0 for one that gets none now. ``None`` for all once the
    standard error of every ChemicalSystem, relative to the mean of its component, or of the difference of every pair,
    is at most `target_error` and each Transformation has `min_runs` results, and two if they state no uncertainty, or
    zero; ``None`` from `max_runs` results on. What leads from a ChemicalSystem to itself gets `min_runs` and no more.

    ChemicalSystems and Transformations without results are taken to be unknown, so that the network is connected first.
    Results without a free energy count for `min_runs` and `max_runs` alone; a Transformation of which three, or
    `min_runs`, gave none is given up: ``None``, and the parts that it lies between are each known by themselves.
    """

    _settings_cls = UncertaintyStrategySettings

    def _propose(self, alchemical_network: AlchemicalNetwork, protocol_results: Results) -> StrategyResult:
        settings: UncertaintyStrategySettings = self.settings
        edges = edges_of(alchemical_network, protocol_results)
        between = [edge for edge in edges if not edge.is_loop and self._may_tell(edge.summary)]
        allocation = Allocation(self._measurements(alchemical_network, between))
        short = np.array([self._is_short(edge.summary) for edge in between], dtype=bool)
        done = allocation.is_done
        if not done:
            allocation.require(np.flatnonzero(short))
            ahead = settings.tasks_ahead or len(between)
            allocation.plan(max(ahead - int(short.sum()), 0))
        planned = dict(zip((edge.key for edge in between), np.maximum(allocation.planned, short), strict=True))
        weights: dict[str, float | None] = {}
        for edge in edges:
            if edge.is_loop:
                weights[edge.key] = 1.0 if edge.summary.n < settings.min_runs else None
            elif edge.key not in planned or (settings.max_runs is not None and edge.summary.n >= settings.max_runs):
                weights[edge.key] = None
            else:
                weights[edge.key] = float(planned[edge.key])
        if not any(weights.values()):  # known well enough, or nothing is left that could help
            weights = dict.fromkeys(weights)
        if all(weight is None for weight in weights.values()):
            return StrategyResult(weights)
        done_or_planned = sum(edge.summary.n for edge in edges) + sum(weight or 0 for weight in weights.values())
        return StrategyResult(weights, max_tasks=int(done_or_planned))

    def _may_tell(self, summary: ResultSummary) -> bool:
        """Whether it has a free energy, or is still to come to one."""
        tries = max(_TRIES, self.settings.min_runs)
        return summary.n_estimates > 0 or summary.n < min(tries, self.settings.max_runs or tries)

    def _is_short(self, summary: ResultSummary) -> bool:
        """Whether it needs another result in any case: of a single one without an uncertainty nothing is known."""
        scatter_unknown = summary.n_estimates == 1 and summary.stated_variance is None
        return summary.n < self.settings.min_runs or scatter_unknown

    def _measurements(self, network: AlchemicalNetwork, edges: list[Edge]) -> Measurements:
        settings: UncertaintyStrategySettings = self.settings
        nodes = sorted(str(node.key) for node in network.nodes)
        index = {key: number for number, key in enumerate(nodes)}
        starts = np.array([index[edge.start] for edge in edges], dtype=np.intp)
        ends = np.array([index[edge.end] for edge in edges], dtype=np.intp)
        prior = float(settings.prior_error.m_as(ENERGY_UNITS))
        return Measurements(
            n_nodes=len(nodes),
            starts=starts,
            ends=ends,
            variances=result_variances([edge.summary for edge in edges], prior**2, settings.prior_weight),
            counts=np.array([edge.summary.n_estimates for edge in edges], dtype=float),
            costs=self._costs(edges),
            limits=np.array([self._limit(edge) for edge in edges]),
            target=float(settings.target_error.m_as(ENERGY_UNITS)) ** 2,
            pairs=self._pairs(network, index),
        )

    def _limit(self, edge: Edge) -> float:
        """How many results with an estimate it may have, if all new ones give one."""
        if self.settings.max_runs is None:
            return np.inf
        return float(self.settings.max_runs - edge.summary.n + edge.summary.n_estimates)

    def _costs(self, edges: list[Edge]) -> FloatArray:
        seconds = np.array([edge.summary.seconds_per_result or np.nan for edge in edges])
        if self.settings.cost == "task" or not len(edges) or np.isnan(seconds).all():
            return np.ones(len(edges))
        return np.where(np.isnan(seconds), np.nanmean(seconds), seconds)

    def _pairs(self, network: AlchemicalNetwork, index: dict[str, int]) -> IntArray | None:
        if self.settings.pairs is None:
            return None
        component = np.empty(len(index), dtype=np.intp)
        edges = [(index[str(edge.stateA.key)], index[str(edge.stateB.key)]) for edge in network.edges]
        starts, ends = np.array(edges, dtype=np.intp).reshape(-1, 2).T
        for number, (nodes, _) in enumerate(components(len(index), starts, ends)):
            component[nodes] = number
        known = {str(node.key): index[str(node.key)] for node in network.nodes}
        by_name: dict[str, set[int]] = {}
        for node in network.nodes:
            by_name.setdefault(node.name, set()).add(index[str(node.key)])
        known |= {name: found.pop() for name, found in by_name.items() if len(found) == 1 and name not in known}
        pairs = []
        for pair in self.settings.pairs:
            if missing := [name for name in pair if name not in known]:
                raise InvalidInput(
                    f"the network has no ChemicalSystem, or several, of the key or name {', '.join(missing)}",
                    field="pairs",
                )
            one, other = (known[name] for name in pair)
            if component[one] != component[other]:
                raise InvalidInput(
                    f"no Transformations lead from {pair[0]} to {pair[1]}: their difference cannot be known",
                    field="pairs",
                )
            pairs.append((one, other))
        return np.array(pairs, dtype=np.intp).reshape(-1, 2)
