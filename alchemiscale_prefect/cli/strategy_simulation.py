"""``alchemiscale-prefect strategy simulate``: what a Strategy would do, without computing anything."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alchemiscale_prefect.cli.connection import connected, known_network
from alchemiscale_prefect.cli.output import Json, answer, line, note, table
from alchemiscale_prefect.cli.strategy_arguments import ClassOrFile, Settings, TaskScaling, Weighting, read_strategy
from alchemiscale_prefect.cli.submission import read_network
from alchemiscale_prefect.domain.strategies import DEFAULT_MAX_TASKS, StrategyTaskScaling, StrategyWeighting

if TYPE_CHECKING:
    from alchemiscale_prefect.strategies.simulation import Simulation


def simulate(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK|FILE",
            help="ScopedKey of an AlchemicalNetwork: goes on from its results. Or a file with one.",
            show_default=False,
        ),
    ],
    strategy: ClassOrFile,
    settings: Settings = None,
    iterations: Annotated[int, typer.Option(min=1, help="It ends before if the Strategy wants no more.")] = 20,
    noise: Annotated[float, typer.Option(help="Standard deviation of a single result, kcal/mol.")] = 0.5,
    max_tasks: Annotated[
        int, typer.Option(min=1, help="Tasks of one Transformation in an iteration, at most.")
    ] = DEFAULT_MAX_TASKS,
    task_scaling: TaskScaling = StrategyTaskScaling.exponential,
    weighting: Weighting = StrategyWeighting.relative,
    seed: Annotated[int, typer.Option(min=0, help="Of the made-up results; the same gives the same.")] = 0,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it: .png, .svg or .pdf.")] = None,
    as_json: Json = False,
) -> None:
    """Try a Strategy on a network with made-up results, beside uniform allocation. Nothing runs, nothing is changed."""
    made = read_strategy(strategy, settings)
    from alchemiscale_prefect.domain.proposals import ProposalSettings
    from alchemiscale_prefect.strategies.simulation import simulate as run

    if Path(network).is_file():
        chosen = ProposalSettings(scaling=task_scaling, weighting=weighting, max_tasks_per_transformation=max_tasks)
        ran = run(read_network(Path(network)), made, n_iterations=iterations, noise=noise, settings=chosen, seed=seed)
    else:
        with connected() as client:
            ran = client.simulate_network_strategy(
                known_network(client, network),
                made,
                iterations,
                noise=noise,
                max_tasks_per_transformation=max_tasks,
                task_scaling=task_scaling,
                weighting=weighting,
                seed=seed,
            )
    if plot is not None:
        ran.save_plot(plot, f"{type(made).__qualname__} on {Path(network).name}")
    answer(_document(ran, plot), as_json, lambda: _show(ran))


def _document(ran: "Simulation", plot: Path | None) -> dict[str, Any]:
    return {
        "finished": ran.finished,
        "iterations": [
            {"tasks": tasks, "error": _finite(error), "uniform_error": _finite(uniform)}
            for tasks, error, uniform in ran.table()
        ],
        "next": [
            {"transformation": change.transformation, "weight": change.weight, "tasks": change.create}
            for change in ran.proposals[0].changes
        ],
        "plot": None if plot is None else str(plot),
    }


def _show(ran: "Simulation") -> None:
    rows = [
        (tasks, *("-" if math.isinf(error) else f"{error:.3f}" for error in errors)) for tasks, *errors in ran.table()
    ]
    table(("tasks", "error (kcal/mol)", "uniform (kcal/mol)"), rows, empty="")
    line("")
    first = [change for change in ran.proposals[0].changes if change.create]
    following = [(change.transformation, change.weight, change.create) for change in first]
    table(("next: transformation", "weight", "tasks"), following, empty="it wants no more Tasks")
    if not ran.finished:
        note("it would go on; more of it with --iterations")


def _finite(error: float) -> float | None:
    """``None`` while the results do not connect the network: JSON has no infinity."""
    return error if math.isfinite(error) else None
