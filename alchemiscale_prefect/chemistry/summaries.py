"""Results of Transformations as a Strategy reads them: a few numbers for each, in place of the results.

A Strategy's ``propose(network, results)`` takes ProtocolResults. Gathering these anew from all results that a network
has costs more the more there are; so the run that makes a result reads it, what it says is kept with it and added to
what the others say, to a :class:`ResultSummary`, and the Strategy gets a :class:`SummarizedResult`, which is a
ProtocolResult like any other.
"""

from collections.abc import Mapping
from typing import Any, Self

from alchemiscale_prefect.chemistry import results
from alchemiscale_prefect.chemistry.base import (
    AlchemicalNetwork,
    GufeKey,
    ProtocolResult,
    Quantity,
)
from alchemiscale_prefect.domain.result_summaries import NO_OTHERS, OtherAttempts, ResultSummary


class NetworkResults(dict[GufeKey, ProtocolResult | None]):
    """What a Strategy's ``propose`` takes, and beside it what the network's other attempts took.

    Parameters
    ----------
    results
        By the gufe key of the Transformation; ``None`` for one without results.
    """

    def __init__(self, results: Mapping[GufeKey, ProtocolResult | None], others: OtherAttempts = NO_OTHERS) -> None:
        super().__init__(results)
        self.others = others


class SummarizedResult(ProtocolResult):
    """The ProtocolResult of a Transformation of whose results a summary alone is at hand.

    Parameters
    ----------
    n_protocol_dag_results
        How many results it is of.
    data
        The summary's fields; see :meth:`of`.
    """

    @classmethod
    def of(cls, summary: ResultSummary) -> Self:
        """The ProtocolResult with this summary."""
        values = {name: getattr(summary, name) for name in ResultSummary.__dataclass_fields__}
        return cls(n_protocol_dag_results=summary.n, **values)

    @property
    def summary(self) -> ResultSummary:
        """What it was made of."""
        return ResultSummary(**self.data)

    def get_estimate(self) -> Quantity:
        """The mean of the results' estimates, an energy per mole.

        Raises
        ------
        ValueError
            No result gave one.
        """
        return _energy(self.summary.estimate, "estimate")

    def get_uncertainty(self) -> Quantity:
        """The standard error of the mean, an energy per mole.

        Raises
        ------
        ValueError
            It is not known: there is one result at most, which does not say it.
        """
        return _energy(self.summary.standard_error, "uncertainty")


def summary_of(protocol_result: ProtocolResult | None) -> ResultSummary:
    """What a ProtocolResult says in the numbers of a summary; nothing for ``None``.

    Of one that is no :class:`SummarizedResult` how its results scatter is not known; each is taken to have the
    uncertainty of the whole, as for Protocols that give the standard deviation between repeats.
    """
    if protocol_result is None:
        return ResultSummary()
    if isinstance(protocol_result, SummarizedResult):
        return protocol_result.summary
    n = protocol_result.n_protocol_dag_results
    found = results.estimate(protocol_result) if n else None
    if found is None or found.units != results.ENERGY_UNITS:
        return ResultSummary(n=n)
    if found.uncertainty is None:
        return ResultSummary(n=n, n_estimates=n, mean=found.value)
    variance = found.uncertainty**2
    return ResultSummary(
        n=n, n_estimates=n, mean=found.value, squares=(n - 1) * variance, n_stated=n, stated=n * variance
    )


def other_attempts(results: Mapping[GufeKey, ProtocolResult | None]) -> OtherAttempts:
    """What goes with results of a network; nothing where they are a plain mapping."""
    return results.others if isinstance(results, NetworkResults) else NO_OTHERS


def protocol_results(
    network: AlchemicalNetwork, summaries: Mapping[str, ResultSummary], others: OtherAttempts = NO_OTHERS
) -> NetworkResults:
    """What a Strategy's ``propose`` takes.

    Parameters
    ----------
    summaries
        By the gufe key of the Transformation; of one that is not in it there are no results.
    others
        What attempts took that gave none of these.

    Returns
    -------
    NetworkResults
        Every Transformation of the network, ordered by key; ``None`` for one without results.
    """
    given: dict[GufeKey, ProtocolResult | None] = {}
    for edge in sorted(network.edges, key=lambda edge: str(edge.key)):
        summary = summaries.get(str(edge.key))
        given[edge.key] = None if summary is None or not summary.n else SummarizedResult.of(summary)
    return NetworkResults(given, others)


def _energy(value: float | None, name: str) -> Any:
    if value is None:
        raise ValueError(f"no result of this Transformation has an {name}")
    return Quantity(value, results.ENERGY_UNITS)
