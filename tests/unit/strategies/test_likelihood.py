"""The maximum-likelihood estimate of a network, by hand and against published values."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from alchemiscale_prefect.domain.cycles import Edge
from alchemiscale_prefect.strategies.likelihood import node_estimates

DATA = Path(os.environ.get("ALCHEMISCALE_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")) / "reference"


def rows(name: str) -> list[dict[str, str]]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no test data at {path}: set ALCHEMISCALE_TEST_DATA")
    with path.open() as lines:
        return list(csv.DictReader(lines))


def qa840() -> Iterator[tuple[str, float]]:
    edges = rows("openfe_qa840_edges_tyk2.csv")
    for system in sorted({row["system"] for row in edges}):
        of = [row for row in edges if row["system"] == system]
        found = node_estimates(
            [
                Edge(row["ligand_a"], row["ligand_b"], float(row["calc_ddg_kcal"]), float(row["calc_ddg_unc"]))
                for row in of
            ]
        )
        # published: one mean for all of a system, also where it has two components
        mean = np.mean([estimate.value for estimate in found.values()])
        for row in rows("openfe_qa840_mle_dg_tyk2.csv"):
            if row["system"] == system:
                estimate = found[row["ligand"]]
                yield f"{system} {row['ligand']}", estimate.value - mean - float(row["mle_dg_kcal"])
                if len({node.component for node in found.values()}) == 1:
                    yield f"{system} {row['ligand']} error", estimate.error - float(row["mle_unc"])


def cinnabar() -> Iterator[tuple[str, float]]:
    found = node_estimates(
        [
            Edge(
                row["Ligand1"],
                row["Ligand2"],
                float(row["calc_DDG"]),
                float(np.hypot(float(row["calc_dDDG(MBAR)"]), float(row["calc_dDDG(additional)"]))),
            )
            for row in rows("cinnabar_computational_data.csv")
        ]
    )
    for row in rows("cinnabar_example_mle_dg_cinnabar061.csv"):
        if row["computational"] == "True":
            yield row["label"], found[row["label"]].value - float(row["DG (kcal/mol)"])
            yield f"{row['label']} error", found[row["label"]].error - float(row["uncertainty (kcal/mol)"])


@pytest.mark.parametrize(("published", "count"), [(qa840, 22), (cinnabar, 36)])
def test_published_estimates_are_met_to_a_hundredth_of_a_kcal(published, count) -> None:
    deviations = dict(published())
    assert len([name for name in deviations if not name.endswith(" error")]) == count
    assert {name: deviation for name, deviation in deviations.items() if abs(deviation) > 0.01} == {}


def test_the_estimate_is_the_weighted_least_squares_solution() -> None:
    random = np.random.default_rng(5)
    names = "abcdef"
    pairs = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "a"), ("a", "b"), ("e", "f"), ("e", "e")]
    edges = [Edge(one, other, float(random.normal()), float(random.uniform(0.1, 2))) for one, other in pairs]
    found = node_estimates(edges)
    incidence = np.array([[(edge.end == name) * 1.0 - (edge.start == name) for name in names] for edge in edges])
    weights = np.array([edge.error**-2 for edge in edges])
    covariance = np.linalg.pinv(incidence.T @ (weights[:, None] * incidence))
    values = covariance @ incidence.T @ (weights * [edge.value for edge in edges])
    assert [found[name].value for name in names] == pytest.approx(values)
    assert [found[name].error for name in names] == pytest.approx(np.sqrt(np.diag(covariance)))
    assert [found[name].component for name in names] == [0, 0, 0, 0, 1, 1]


def test_a_difference_without_an_error_is_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        node_estimates([Edge("a", "b", 1.0, 0.0)])
