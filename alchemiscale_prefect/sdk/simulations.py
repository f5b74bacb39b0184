"""Strategies tried out on this machine: nothing is computed, and nothing on the server is changed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.proposals import ProposalSettings
from alchemiscale_prefect.domain.result_summaries import ResultSummary
from alchemiscale_prefect.domain.strategies import (
    DEFAULT_MAX_TASKS,
    StrategyState,
    StrategyTaskScaling,
    StrategyWeighting,
)
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_scoped_key
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.networks import TransformationEstimate

if TYPE_CHECKING:
    from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, GufeTokenizable
    from alchemiscale_prefect.strategies.simulation import Simulation


class Simulations(Area):
    """Simulated Strategies."""

    def simulate_network_strategy(
        self,
        network: "AlchemicalNetwork | ScopedKey | str",
        strategy: "GufeTokenizable",
        n_iterations: int = 20,
        *,
        noise: "float | Mapping[str, float]" = 0.5,
        max_tasks_per_transformation: int = DEFAULT_MAX_TASKS,
        task_scaling: StrategyTaskScaling | str = StrategyTaskScaling.exponential,
        weighting: StrategyWeighting | str = StrategyWeighting.relative,
        seed: int = 0,
    ) -> "Simulation":
        """What a Strategy would do with a network, on made-up results, beside uniform allocation.

        In each iteration the Strategy proposes, its weights become Tasks as on the server, and each Task gives a result
        drawn about a true free energy at once. Needs gufe and the Strategy's package here.

        Parameters
        ----------
        network
            An AlchemicalNetwork, which need not have been submitted; of it nothing is known at the beginning. Or the
            ScopedKey of one on the server: then the Strategy goes on from the results that it has.
        strategy
            One of `alchemiscale_prefect.strategies` or stratocaster's, or another gufe object with a method
            ``propose``.
        n_iterations
            It ends before if the Strategy wants no more.
        noise
            Standard deviation of a single result in kcal/mol, of all Transformations or of each by its gufe key; of
            those that have results on the server, they say it instead.
        max_tasks_per_transformation, task_scaling, weighting
            As for `set_network_strategy`.
        seed
            Of the draws; the same arguments give the same simulation.

        Returns
        -------
        Simulation
            ``proposals[0]`` is what the Strategy would do next, ``table()`` the error against the Tasks spent,
            ``save_plot(path)`` draws it.

        Raises
        ------
        InvalidInput
            Also a ValueError: `strategy` is no Strategy, or a value is not one of its parameter's.
        AlchemiscaleClientError
            There is no such network.
        Exception
            Whatever the Strategy raises.
        """
        from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
        from alchemiscale_prefect.strategies.base import check_strategy
        from alchemiscale_prefect.strategies.simulation import simulate

        check_strategy(strategy, "strategy")
        state = StrategyState.from_dict(
            {
                "task_scaling": task_scaling,
                "weighting": weighting,
                "max_tasks_per_transformation": max_tasks_per_transformation,
            }
        )
        results: dict[str, ResultSummary] = {}
        if not isinstance(network, AlchemicalNetwork):
            key = as_scoped_key(network, "network")
            network, results = self._network_with_results(key)
        return simulate(
            network,
            strategy,
            n_iterations=n_iterations,
            noise=noise,
            results=results,
            settings=ProposalSettings.of(state),
            seed=seed,
        )

    def _network_with_results(self, key: ScopedKey) -> "tuple[AlchemicalNetwork, dict[str, ResultSummary]]":
        """A network on the server, and summaries of the results that its Transformations have there."""
        network = self._contents.object(paths.fill(paths.NETWORK, network=key), key, True)
        listed = self._get(paths.fill(paths.TRANSFORMATIONS_ESTIMATES, network=key))
        summaries = {
            line.transformation.gufe_key: _summary(line) for line in map(TransformationEstimate.model_validate, listed)
        }
        here = {str(edge.key) for edge in network.edges}
        if strangers := sorted(key for key, summary in summaries.items() if summary.n and key not in here):
            raise InvalidInput(
                "Transformations with results have other keys here than on the server, their classes having changed: "
                f"{', '.join(strangers)}; use the versions that the network was submitted with",
                field="network",
            )
        return network, summaries


def _summary(line: TransformationEstimate) -> ResultSummary:
    from alchemiscale_prefect.chemistry.results import ENERGY_UNITS

    in_energies = line.units == ENERGY_UNITS
    results = zip(line.estimates, line.uncertainties, strict=True)
    each = (ResultSummary.of(*result) if in_energies else ResultSummary.of(None) for result in results)
    return sum(each, ResultSummary())
