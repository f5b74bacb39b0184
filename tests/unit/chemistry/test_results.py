import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from alchemiscale_prefect.chemistry import protocol_dags, results
from alchemiscale_prefect.chemistry.base import ProtocolResult, Quantity, unit
from tests import protocols


class GivenResult(ProtocolResult):
    """Gives back, or raises, what a test put into it."""

    def get_estimate(self) -> Any:
        return self._give("estimate")

    def get_uncertainty(self) -> Any:
        return self._give("uncertainty")

    def _give(self, name: str) -> Any:
        value = self.data[name]
        if isinstance(value, Exception):
            raise value
        return value


@pytest.fixture(autouse=True)
def _keyless(monkeypatch: pytest.MonkeyPatch) -> None:
    # what the tests put in need not be fit for a key
    monkeypatch.setattr(GivenResult, "_gufe_tokenize", lambda self: str(id(self)), raising=False)


def estimate(value: Any, uncertainty: Any = None) -> results.Estimate | None:
    return results.estimate(GivenResult(n_protocol_dag_results=1, estimate=value, uncertainty=uncertainty))


def test_results_are_gathered_and_failed_ones_left_out(run_dag: Callable[..., list[Any]]) -> None:
    edge = protocols.transformation()
    pdrs = []
    for _ in range(3):
        dag = protocol_dags.create(edge, name="dag")
        pdrs.append(protocol_dags.assemble(dag, run_dag(dag)))
    unfinished = protocol_dags.create(edge, name="unfinished")
    pdrs.append(protocol_dags.assemble(unfinished, []))

    gathered = results.gather(edge, iter(pdrs))

    assert gathered.n_protocol_dag_results == 3
    found = results.estimate(gathered)
    assert found.value == pytest.approx(-12.275189803733705, abs=1e-12)
    assert found.uncertainty == pytest.approx(0.0, abs=1e-12)
    assert found.units == "kilojoule_per_mole"


def test_without_an_ok_result_there_is_nothing_to_gather() -> None:
    edge = protocols.transformation()
    dag = protocol_dags.create(edge, name="dag")

    assert results.gather(edge, []) is None
    assert results.gather(edge, [protocol_dags.assemble(dag, [])]) is None


def test_energies_are_given_in_kilojoule_per_mole() -> None:
    found = estimate(-2.0 * unit.kilocalorie_per_mole, 0.5 * unit.kilojoule_per_mole)

    assert found.value == pytest.approx(-8.368)  # 1 kcal = 4.184 kJ by definition
    assert found.uncertainty == pytest.approx(0.5)
    assert found.units == "kilojoule_per_mole"


def test_other_quantities_keep_their_unit() -> None:
    found = estimate(3.0 * unit.nanometer, 2.0 * unit.angstrom)

    assert found == results.Estimate(3.0, pytest.approx(0.2), "nanometer")
    assert estimate(Quantity(0.7, "dimensionless")) == results.Estimate(0.7, None, "dimensionless")


def test_a_numpy_scalar_becomes_a_float() -> None:
    found = estimate(np.float32(1.5) * unit.kilojoule_per_mole)

    assert type(found.value) is float
    assert found.value == 1.5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_uncertainty_that_is_no_number_is_none(value: float) -> None:
    assert estimate(1.0 * unit.kilojoule_per_mole, value * unit.kilojoule_per_mole).uncertainty is None


@pytest.mark.parametrize(
    "uncertainty",
    [None, RuntimeError("one repeat"), 3.0, 1.0 * unit.nanometer, np.array([1.0, 2.0]) * unit.kilojoule_per_mole],
    ids=["none", "raised", "number", "length", "array"],
)
def test_an_uncertainty_that_cannot_be_used_leaves_the_estimate(uncertainty: Any) -> None:
    assert estimate(1.0 * unit.kilojoule_per_mole, uncertainty) == results.Estimate(1.0, None, "kilojoule_per_mole")


@pytest.mark.parametrize(
    "value",
    [
        None,
        ZeroDivisionError("no samples"),
        -12.5,
        "-12.5 kJ/mol",
        math.nan * unit.kilojoule_per_mole,
        np.array([1.0, 2.0]) * unit.kilojoule_per_mole,
    ],
    ids=["none", "raised", "number", "text", "nan", "array"],
)
def test_an_estimate_that_cannot_be_used_is_none_and_logged(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger=results.__name__):
        assert estimate(value) is None

    assert "GivenResult.get_estimate" in caplog.text
