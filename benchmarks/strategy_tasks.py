"""``python -m benchmarks.strategy_tasks``: Tasks until a network is known well enough, by Strategy, against uniform.

On the edges of published networks (``ALCHEMISCALE_TEST_DATA``, default ``../shared/data``) with the errors that they
have there. The target is the mean standard error of the ChemicalSystems that uniform allocation reaches with ten Tasks
for each Transformation. Results are drawn 20 times over; once they state their true uncertainty and once they state
none, so that it has to be seen from how they scatter. "Best" is the least that is possible with every error known
beforehand: with fractions of Tasks, and with whole ones.

Prints a table in Markdown; ``--write docs/explanation`` writes plots of the two largest networks there. ``--stops``
prints instead how large the true error of the worst ChemicalSystem is where UncertaintyStrategy stops.
"""

import argparse
import csv
import itertools
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
    """The networks of the reference data: cinnabar's differences; OpenFE's legs, then the differences of both legs."""
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
    for system in sorted(legs, key=lambda system: -len(legs[system])):
        of = [row for row in rows if row["system"] == system]
        differences = [(row["ligand_a"], row["ligand_b"], float(row["calc_ddg_unc"])) for row in of]
        yield subject(f"{system}, differences of legs (OpenFE qa840)", differences)


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
    """Share of uniform's Tasks that the allocation with the smallest mean error needs, from its fixed point."""
    counts = np.full(len(truth.keys), n_tasks / len(truth.keys))
    target = truth.mean_error(counts)
    for _ in range(60):
        left = truth.mean_error(counts) ** 2
        nudges = 1e-4 * n_tasks * np.eye(len(counts))
        gains = np.array([left - truth.mean_error(counts + nudge) ** 2 for nudge in nudges])
        counts = counts * np.sqrt(np.maximum(gains, 0.0)) + 1e-12
        counts *= n_tasks / counts.sum()
    return (truth.mean_error(counts) / target) ** 2


def best_whole(truth: Truth, n_tasks: int) -> float:
    """The same of whole Tasks, each where it makes the mean error the smallest."""
    target = truth.mean_error(np.full(len(truth.keys), n_tasks / len(truth.keys)))
    counts = np.ones(len(truth.keys))
    while truth.mean_error(counts) > target:
        counts[np.argmin([truth.mean_error(counts + one) for one in np.eye(len(counts))])] += 1
    return float(counts.sum()) / n_tasks


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


def print_stops(seeds: int) -> None:
    """How far from its target UncertaintyStrategy is when it stops, on the two largest networks."""
    print("| network | stated | min_runs | target_error | worst true error / target_error | Tasks for each |")
    print("|---|---|---|---|---|---|")
    for of in itertools.islice(subjects(), 2):
        for stated, min_runs, target in itertools.product((1.0, None), (1, 3), (0.03, 0.06)):
            error = target * unit.kilocalorie_per_mole
            strategy = UncertaintyStrategy(UncertaintyStrategySettings(target_error=error, min_runs=min_runs))
            ratios, tasks = [], []
            for seed in range(seeds):
                ran = simulate(of.network, strategy, n_iterations=500, noise=of.noise, seed=seed, stated=stated)
                assert ran.finished
                counts = np.array([ran.summaries[key].n for key in ran.strategy.truth.keys], dtype=float)
                ratios.append(float(ran.strategy.truth.errors(counts).max()) / KJ_PER_KCAL / target)
                tasks.append(float(counts.mean()))
            cells = ("no" if stated is None else "yes", min_runs, target, f"{fmean(ratios):.2f} ± {stdev(ratios):.2f}")
            print(f"| {of.name} | {' | '.join(map(str, cells))} | {fmean(tasks):.1f} |", flush=True)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--write", type=Path, help="Folder for the plot.")
    parser.add_argument("--stops", action="store_true", help="How true the errors are where it stops.")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(1, f"no reference data at {DATA}: set ALCHEMISCALE_TEST_DATA\n")
    if arguments.stops:
        print_stops(arguments.seeds)
        return
    compared = strategies()
    header = "network | ChemicalSystems, Transformations | target (kcal/mol) | best | best, whole Tasks"
    print(f"| {header} | {' | '.join(compared)} |")
    print("|---|---|---|---|---|" + "---|" * len(compared))
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
        bounds = [bound(truth, TASKS_EACH * len(truth.keys)) for bound in (best, best_whole)]
        cells = [f"{bound:.2f}" for bound in bounds] + cells
        print(f"| {of.name} | {truth.n_nodes}, {len(truth.keys)} | {target:.3f} | {' | '.join(cells)} |", flush=True)
        if arguments.write and number < 2:
            save_plot(shown, arguments.write / f"strategies-{number + 1}.png", of.name, target=target)


if __name__ == "__main__":
    main()
