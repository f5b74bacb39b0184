"""``python -m benchmarks.strategy_tasks``: Tasks until a network is known well enough, by Strategy, against uniform.

On the edges of published networks (``ALCHEMISCALE_TEST_DATA``, default ``../shared/data``) with the errors that they
have there. The target is the mean standard error of the ChemicalSystems that uniform allocation reaches with ten Tasks
for each Transformation. Results are drawn 20 times over; once they state their uncertainty and once they do not, so
that it has to be seen from how they scatter. "Best" is what whole knowledge of the errors and fractions of Tasks would
come to.

Prints a table in Markdown; ``--write docs/explanation`` writes plots of the two largest networks there.
"""

import argparse
import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, Transformation, unit
from alchemiscale_prefect.protocols.harmonic import HarmonicProtocol, HarmonicSettings, harmonic_system
from alchemiscale_prefect.strategies import ConnectivityStrategy, Strategy, UncertaintyStrategy
from alchemiscale_prefect.strategies.connectivity import ConnectivityStrategySettings
from alchemiscale_prefect.strategies.simulation import KJ_PER_KCAL, Simulation, Truth, simulate
from alchemiscale_prefect.strategies.simulation_plot import save_plot
from alchemiscale_prefect.strategies.uncertainty import UncertaintyStrategySettings

DATA = Path(os.environ.get("ALCHEMISCALE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "reference"
TASKS_EACH = 10
ITERATIONS = 16


@dataclass(frozen=True)
class Subject:
    """A network, and the standard deviation of a result of each Transformation in kcal/mol."""

    name: str
    network: AlchemicalNetwork
    noise: dict[str, float]


ADDITIONAL = "calc_dDDG(additional)"


def subjects() -> Iterator[Subject]:
    """The networks of the reference data."""
    with (DATA / "openfe_qa840_edges_tyk2.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    legs = {
        system: [
            (leg + row["ligand_a"], leg + row["ligand_b"], stdev(map(float, row[f"{leg}_dg_repeats"].split(";"))))
            for row in rows
            for leg in ("complex", "solvent")
            if row["system"] == system
        ]
        for system in sorted({row["system"] for row in rows})
    }
    with (DATA / "cinnabar_computational_data.csv").open() as lines:
        cinnabar = [
            (row["Ligand1"], row["Ligand2"], float(np.hypot(float(row["calc_dDDG(MBAR)"]), float(row[ADDITIONAL]))))
            for row in csv.DictReader(lines)
        ]
    yield subject("cinnabar's example", cinnabar)
    for system, edges in sorted(legs.items(), key=lambda item: -len(item[1])):
        yield subject(f"{system}, both legs (OpenFE qa840)", edges)


def subject(name: str, edges: list[tuple[str, str, float]]) -> Subject:
    """A network with these edges."""
    protocol = HarmonicProtocol(HarmonicSettings())
    systems = {node: harmonic_system(100.0, name=node) for node in sorted({n for *ends, _ in edges for n in ends})}
    noise = {}
    for number, (start, end, error) in enumerate(edges):
        made = Transformation(systems[start], systems[end], protocol, name=f"{name} {number}")
        noise[made] = error
    return Subject(name, AlchemicalNetwork(edges=list(noise)), {str(edge.key): error for edge, error in noise.items()})


def best(truth: Truth, n_tasks: int) -> float:
    """Share of the Tasks that the A-optimal allocation needs of uniform's, from its fixed point."""
    counts = np.full(len(truth.keys), n_tasks / len(truth.keys))
    target = truth.mean_error(counts)
    for _ in range(60):
        left = truth.mean_error(counts) ** 2
        nudges = 1e-4 * n_tasks * np.eye(len(counts))
        gains = np.array([left - truth.mean_error(counts + nudge) ** 2 for nudge in nudges])
        counts = counts * np.sqrt(np.maximum(gains, 0.0)) + 1e-12
        counts *= n_tasks / counts.sum()
    return (truth.mean_error(counts) / target) ** 2


def run(of: Subject, strategy: Strategy, seed: int, stated: float | None) -> tuple[float, Simulation]:
    """Share of uniform's Tasks, and the simulation."""
    iterations = ITERATIONS
    while True:
        ran = simulate(of.network, strategy, n_iterations=iterations, noise=of.noise, seed=seed, stated=stated)
        truth = ran.strategy.truth
        needed = ran.strategy.tasks_until(truth.mean_error(np.full(len(truth.keys), float(TASKS_EACH))))
        if needed is not None:
            return needed / (TASKS_EACH * len(truth.keys)), ran
        iterations *= 2


def strategies() -> dict[str, tuple[Strategy, float | None]]:
    """What is compared: Strategies that go on for long enough, and whether results state their uncertainty."""
    settings = UncertaintyStrategySettings(target_error=1e-3 * unit.kilocalorie_per_mole, max_runs=None)
    connectivity = ConnectivityStrategy(ConnectivityStrategySettings(max_runs=1000))
    return {
        "UncertaintyStrategy": (UncertaintyStrategy(settings), 1.0),
        "UncertaintyStrategy, no uncertainties stated": (UncertaintyStrategy(settings), None),
        "ConnectivityStrategy": (connectivity, 1.0),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--write", type=Path, help="Folder for the plot.")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(1, f"no reference data at {DATA}: set ALCHEMISCALE_TEST_DATA\n")
    compared = strategies()
    print(f"| network | ChemicalSystems, Transformations | target (kcal/mol) | best | {' | '.join(compared)} |")
    print("|---|---|---|---|" + "---|" * len(compared))
    for number, of in enumerate(subjects()):
        cells, shown = [], {}
        for name, (strategy, stated) in compared.items():
            shares, simulations = zip(
                *(run(of, strategy, seed, stated) for seed in range(arguments.seeds)), strict=True
            )
            spread = stdev(shares) if len(shares) > 1 else 0.0
            cells.append(f"{fmean(shares):.2f} ± {spread:.2f}")
            shown[name] = simulations[0]
        truth = simulations[0].strategy.truth
        target = truth.mean_error(np.full(len(truth.keys), float(TASKS_EACH))) / KJ_PER_KCAL
        bound = best(truth, TASKS_EACH * len(truth.keys))
        size = f"{truth.n_nodes}, {len(truth.keys)}"
        print(f"| {of.name} | {size} | {target:.3f} | {bound:.2f} | {' | '.join(cells)} |", flush=True)
        if arguments.write and number < 2:
            save_plot(shown, arguments.write / f"strategies-{number + 1}.png", of.name, target=target)


if __name__ == "__main__":
    main()
