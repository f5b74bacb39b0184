"""The plot of simulated Strategies: error against Tasks, beside uniform allocation."""

import math
from collections.abc import Mapping
from pathlib import Path

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.strategies.simulation import KJ_PER_KCAL, Course, Simulation

_POINTS = 60


def save_plot(
    simulations: Mapping[str, Simulation], path: Path, title: str = "", *, target: float | None = None
) -> None:
    """Draw the mean standard error of the ChemicalSystems against the number of Tasks.

    Parameters
    ----------
    simulations
        By what the line is to be called. It goes as far as all of them do.
    path
        Ends in what matplotlib writes: ``.png``, ``.svg``, ``.pdf``.
    target
        An error to mark, in kcal/mol.

    Raises
    ------
    InvalidInput
        matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InvalidInput(
            "a plot needs matplotlib: pip install 'alchemiscale-prefect[plot]', or conda install matplotlib-base",
            field="plot",
        ) from error
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    shortest = min(simulations.values(), key=lambda simulation: len(simulation.strategy.tasks))
    lines = [(name, simulation.strategy, "-") for name, simulation in simulations.items()]
    for name, course, style in [*lines, ("uniform", shortest.uniform, "--")]:
        tasks, errors = _line(course, len(shortest.strategy.tasks))
        axes.plot(tasks, errors, style, label=name, color="0.45" if style == "--" else None)
    if target is not None:
        axes.axhline(target, color="0.75", linewidth=0.8, label=f"target, {target:.3f} kcal/mol")
    axes.set(xlabel="Tasks", ylabel="mean standard error of a ChemicalSystem (kcal/mol)", title=title)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"the plot cannot be written to {path}: {error}", field="plot") from error


def _line(course: Course, last: int) -> tuple[list[int], list[float]]:
    """Points of a line, about evenly apart; where results do not connect the network yet there is none."""
    numbers = sorted({*range(0, last + 1, max(1, last // _POINTS)), last})
    points = [(n, course.mean_error(n) / KJ_PER_KCAL) for n in numbers]
    known = [(n, error) for n, error in points if math.isfinite(error)]
    return [n for n, _ in known], [error for _, error in known]
