"""Results as Strategies read them."""

import pytest

from alchemiscale_prefect.chemistry import keyed_chains, summaries
from alchemiscale_prefect.chemistry.base import ProtocolResult, Quantity, unit
from alchemiscale_prefect.chemistry.summaries import SummarizedResult
from alchemiscale_prefect.domain.result_summaries import OtherAttempts, ResultSummary
from tests import protocols


class StatedResult(ProtocolResult):
    """Says what a test put into it."""

    def get_estimate(self) -> Quantity:
        return Quantity(self.data["estimate"], self.data["units"])

    def get_uncertainty(self) -> Quantity:
        return Quantity(self.data["uncertainty"], self.data["units"])


def test_a_summarized_result_is_a_protocol_result_and_comes_back_from_json() -> None:
    summary = ResultSummary.of(4.184, 0.4184, 60.0) + ResultSummary.of(8.368, 0.4184, 60.0)
    result = SummarizedResult.of(summary)
    assert isinstance(result, ProtocolResult)
    assert result.n_protocol_dag_results == 2
    assert result.get_estimate().m_as(unit.kilocalorie_per_mole) == pytest.approx(1.5)
    assert result.get_uncertainty().m_as(unit.kilocalorie_per_mole) == pytest.approx(0.5)
    again = keyed_chains.from_json(keyed_chains.to_json(result))
    assert again.summary == summary == summaries.summary_of(result)


def test_without_an_estimate_it_says_so() -> None:
    nothing = SummarizedResult.of(ResultSummary.of(None))
    with pytest.raises(ValueError, match="has an estimate"):
        nothing.get_estimate()
    with pytest.raises(ValueError, match="has an uncertainty"):
        nothing.get_uncertainty()


def test_any_protocol_result_is_read_and_units_are_converted() -> None:
    found = summaries.summary_of(
        StatedResult(n_protocol_dag_results=4, estimate=1.0, uncertainty=0.5, units="kilocalorie_per_mole")
    )
    assert (found.n, found.mean) == (4, pytest.approx(4.184))
    assert found.stated_variance == pytest.approx(2.092**2)
    assert found.standard_error == pytest.approx(2.092 / 2)
    other = StatedResult(n_protocol_dag_results=4, estimate=1.0, uncertainty=0.5, units="nanometer")
    assert summaries.summary_of(other) == ResultSummary(n=4)
    assert summaries.summary_of(None) == ResultSummary()


def test_what_propose_takes_has_every_transformation_of_the_network_in_order() -> None:
    network = protocols.chain_network(3)
    first, *_ = keys = sorted(str(edge.key) for edge in network.edges)
    given = summaries.protocol_results(network, {first: ResultSummary.of(1.0), keys[1]: ResultSummary()})
    assert [str(key) for key in given] == keys
    assert given[keys[0]].n_protocol_dag_results == 1
    assert [given[key] for key in keys[1:]] == [None] * 3
    assert summaries.other_attempts(given) == summaries.other_attempts({}) == OtherAttempts()
    assert summaries.other_attempts(summaries.protocol_results(network, {}, OtherAttempts(3.0))).seconds == 3.0
