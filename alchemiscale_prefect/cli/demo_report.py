"""What the demo shows: progress while it runs, free energies beside their references at the end."""

from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from alchemiscale_prefect.domain.cycles import Edge, cycle_closures
from alchemiscale_prefect.domain.tasks import TaskStatus

if TYPE_CHECKING:
    from alchemiscale_prefect.domain.keys import ScopedKey
    from alchemiscale_prefect.sdk.client import AlchemiscaleClient
    from alchemiscale_prefect.wire.networks import Progress

_COLOURS = {
    TaskStatus.complete: "green",
    TaskStatus.running: "orange3",
    TaskStatus.waiting: "blue",
    TaskStatus.error: "red",
    TaskStatus.invalid: "magenta",
    TaskStatus.deleted: "purple",
}
WIDTH = 40


def progress_table(progress: "Progress", seconds: float) -> Group:
    """Tasks by status, and how far the running ones are."""
    total = sum(progress.status.values())
    line = Text(f"{seconds:5.0f} s  Tasks: ")
    for status, colour in _COLOURS.items():
        if number := progress.status.get(status.value, 0):
            line.append(f"{number} {status.value}  ", style=colour)
    complete = progress.status.get(TaskStatus.complete.value, 0)
    units_total = progress.units_total or 0
    rows = Table.grid(padding=(0, 1))
    rows.add_row("       Tasks", ProgressBar(max(total, 1), complete, WIDTH), f"{complete}/{total}")
    rows.add_row(
        "       units of running Tasks",
        ProgressBar(max(units_total, 1), progress.units_done, WIDTH),
        f"{progress.units_done}/{units_total}",
    )
    return Group(line, rows)


def show(client: "AlchemiscaleClient", network: "ScopedKey", console: Console) -> bool:
    """Print the free energies, the cycle closures, and what failed; whether anything did."""
    from alchemiscale_prefect.chemistry.results import estimate
    from alchemiscale_prefect.protocols.demo import reference_values

    references = reference_values()
    table = Table(title="Free energies in kJ/mol", title_justify="left")
    for name, justify in (
        ("Transformation", "left"),
        ("repeats", "right"),
        ("ΔG", "right"),
        ("reference", "right"),
        ("(ΔG − ref)/σ", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    edges: list[Edge] = []
    gathered = client.get_network_results(network, visualize=False)
    transformations = {key: client.get_transformation(key, visualize=False) for key in gathered}
    for key, transformation in sorted(transformations.items(), key=lambda item: item[1].name):
        result = gathered[key]
        found = None if result is None else estimate(result)
        if found is None:
            table.add_row(
                transformation.name, "0", "–", _with_error(*references.get(transformation.name, (None, None))), "–"
            )
            continue
        error = found.uncertainty or 0.0
        reference, reference_error = references.get(transformation.name, (None, None))
        spread = (error**2 + (reference_error or 0.0) ** 2) ** 0.5
        off = "–" if reference is None or spread == 0.0 else f"{(found.value - reference) / spread:+.1f}"
        table.add_row(
            transformation.name,
            str(result.n_protocol_dag_results),
            _with_error(found.value, error),
            _with_error(reference, reference_error),
            off,
        )
        if transformation.stateA != transformation.stateB:
            edges.append(Edge(transformation.stateA.name, transformation.stateB.name, found.value, error))
    console.print(table)
    closures = Table(title="Cycle closures in kJ/mol: 0 within their error", title_justify="left")
    closures.add_column("cycle")
    closures.add_column("sum of ΔG", justify="right")
    closures.add_column("in σ", justify="right")
    for closure in cycle_closures(edges):
        sigmas = abs(closure.value) / closure.error if closure.error else 0.0
        closures.add_row(" → ".join(closure.nodes), _with_error(closure.value, closure.error), f"{sigmas:.1f}")
    console.print(closures)
    failed = client.get_network_tasks(network, status=TaskStatus.error.value)
    for task in failed:
        console.print(f"[red]in error: {task}")
    return bool(failed)


def _with_error(value: float | None, error: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f} ± {error:.2f}" if error else f"{value:.2f}"
