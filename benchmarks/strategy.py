"""``python -m benchmarks.strategy``: what a proposal of UncertaintyStrategy costs, beside what it cannot do without.

That is one inverse of the network's Laplacian. Times are CPU seconds of this process with BLAS on one thread, medians.
The goal is a proposal in less than one second on 500 ChemicalSystems and 2,000 Transformations.
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, Transformation, unit
from alchemiscale_prefect.chemistry.summaries import protocol_results
from alchemiscale_prefect.domain.result_summaries import ResultSummary
from alchemiscale_prefect.protocols.harmonic import HarmonicProtocol, HarmonicSettings, harmonic_system
from alchemiscale_prefect.strategies import ConnectivityStrategy, UncertaintyStrategy
from alchemiscale_prefect.strategies.likelihood import laplacian
from alchemiscale_prefect.strategies.uncertainty import UncertaintyStrategySettings

SIZES = ((50, 200), (500, 2000))
RESULTS_EACH = 5
GOAL = 1.0


def network(nodes: int, edges: int) -> AlchemicalNetwork:
    """A random tree and random Transformations besides."""
    source = random.Random(nodes)
    protocol = HarmonicProtocol(HarmonicSettings())
    systems = [harmonic_system(50.0 + n, name=f"well {n}") for n in range(nodes)]
    pairs = {(source.randrange(n), n) for n in range(1, nodes)}
    while len(pairs) < edges:
        pairs.add(tuple(sorted(source.sample(range(nodes), 2))))  # type: ignore[arg-type]
    return AlchemicalNetwork([Transformation(systems[a], systems[b], protocol) for a, b in sorted(pairs)])


def results(of: AlchemicalNetwork) -> dict[str, ResultSummary]:
    """Some for every Transformation, no two alike."""
    source = random.Random(0)
    given = {}
    for key in sorted(str(edge.key) for edge in of.edges):
        error = source.uniform(0.3, 3.0)
        each = (ResultSummary.of(source.gauss(0.0, error), error, 3600.0) for _ in range(RESULTS_EACH))
        given[key] = sum(each, ResultSummary())
    return given


def seconds(call: Callable[[], Any], rounds: int) -> float:
    """Median of a few; the first one warms up."""
    taken = []
    for _ in range(rounds + 1):
        started = time.process_time()
        call()
        taken.append(time.process_time() - started)
    return median(taken[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    settings = UncertaintyStrategySettings(target_error=1e-3 * unit.kilocalorie_per_mole, max_runs=None)
    chosen = {
        "UncertaintyStrategy": UncertaintyStrategy(settings),
        "ConnectivityStrategy": ConnectivityStrategy(ConnectivityStrategy.default_settings()),
    }
    table = Table(title=f"CPU seconds of a proposal; goal for the largest: {GOAL:.0f} s")
    for column in (
        "network",
        "one inverse",
        "summaries to ProtocolResults",
        "Strategy",
        "without results",
        "half with 5",
        "with 5 each",
    ):
        table.add_column(column)
    for nodes, edges in SIZES:
        of = network(nodes, edges)
        summaries = results(of)
        given = protocol_results(of, summaries)
        half = {key: found for number, (key, found) in enumerate(given.items()) if number % 2}
        ends = np.random.default_rng(0).integers(0, nodes, (2, edges))
        matrix = laplacian(nodes, ends[0], ends[1], np.ones(edges)) + np.eye(nodes)
        inverse = seconds(lambda matrix=matrix: np.linalg.inv(matrix), rounds)
        read = seconds(lambda of=of, summaries=summaries: protocol_results(of, summaries), rounds)
        for name, strategy in chosen.items():
            taken = [
                seconds(lambda of=of, strategy=strategy, given=each: strategy.propose(of, given), rounds)
                for each in ({}, half, given)
            ]
            colour = "green" if max(taken) < GOAL else "red"
            table.add_row(
                f"{nodes} systems, {edges} edges",
                f"{inverse:.4f}",
                f"{read:.3f}",
                name,
                *(f"[{colour}]{each:.3f}[/] ({each / inverse:.0f}×)" for each in taken),
            )
    Console(width=max(Console().width, 160)).print(table)


if __name__ == "__main__":
    main()
