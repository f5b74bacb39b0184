"""What the demo shows: progress while it runs, free energies beside their references at the end."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from alchemiscale_prefect.domain.cycles import Closure, Edge, cycle_closures
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


def progress_line(progress: "Progress", seconds: float) -> Text:
    """Tasks by status."""
    line = Text(f"{seconds:5.0f} s  Tasks: ")
    for status, colour in _COLOURS.items():
        if number := progress.status.get(status.value, 0):
            line.append(f"{number} {status.value}  ", style=colour)
    return line


def progress_table(progress: "Progress", seconds: float) -> Group:
    """Tasks by status, and how far the running ones are."""
    total = sum(progress.status.values())
    complete = progress.status.get(TaskStatus.complete.value, 0)
    units_total = progress.units_total or 0
    rows = Table.grid(padding=(0, 1))
    rows.add_row("       Tasks", ProgressBar(max(total, 1), complete, WIDTH), f"{complete}/{total}")
    rows.add_row(
        "       units of running Tasks",
        ProgressBar(max(units_total, 1), progress.units_done, WIDTH),
        f"{progress.units_done}/{units_total}",
    )
    return Group(progress_line(progress, seconds), rows)


@dataclass(frozen=True, slots=True)
class Report:
    """What the demo found, in kJ/mol.

    Attributes
    ----------
    free_energies
        One for each Transformation, by name.
    closures
        The sum around each cycle; 0 within its error.
    failed
        Tasks in error.
    """

    free_energies: "list[FreeEnergy]"
    closures: "list[Closure]"
    failed: "list[ScopedKey]"

    def document(self) -> dict[str, object]:
        """The report for scripts."""
        return {
            "units": "kilojoule_per_mole",
            "transformations": [
                {
                    "name": row.name,
                    "repeats": row.repeats,
                    "estimate": row.value,
                    "uncertainty": row.error,
                    "reference": row.reference,
                    "reference_uncertainty": row.reference_error,
                }
                for row in self.free_energies
            ],
            "cycles": [
                {"nodes": closure.nodes, "sum": closure.value, "uncertainty": closure.error}
                for closure in self.closures
            ],
            "failed": self.failed,
        }


def collect(client: "AlchemiscaleClient", network: "ScopedKey") -> Report:
    """Fetch the results, gather the free energies and close the cycles."""
    rows = _free_energies(client, network)
    edges = [Edge(*row.states, row.value, row.error) for row in rows if row.value is not None and row.states]
    failed = client.get_network_tasks(network, status=TaskStatus.error.value)
    return Report(rows, list(cycle_closures(edges)), failed)


def show(report: Report, console: Console) -> None:
    """Print the free energies, the cycle closures, and what failed."""
    table = Table(title="Free energies in kJ/mol", title_justify="left")
    table.add_column("Transformation")
    for name in ("repeats", "ΔG", "reference", "deviation"):
        table.add_column(name, justify="right")
    for row in report.free_energies:
        deviation = "–" if row.deviation is None else f"{row.deviation:+.1f} σ"
        found = _with_error(row.value, row.error)
        table.add_row(row.name, str(row.repeats), found, _with_error(row.reference, row.reference_error), deviation)
    console.print(table)

    closures = Table(title="Cycle closures in kJ/mol: 0 within their error", title_justify="left")
    closures.add_column("cycle")
    closures.add_column("sum of ΔG", justify="right")
    closures.add_column("in σ", justify="right")
    for closure in report.closures:
        sigmas = f"{abs(closure.value) / closure.error:.1f}" if closure.error else "–"
        closures.add_row(" → ".join(closure.nodes), _with_error(closure.value, closure.error), sigmas)
    console.print(closures)
    for task in report.failed:
        console.print(f"[red]in error: {task}")


@dataclass(frozen=True, slots=True)
class FreeEnergy:
    """A line of the table, in kJ/mol; `states` is ``None`` for a NonTransformation."""

    name: str
    states: tuple[str, str] | None
    repeats: int
    value: float | None
    error: float
    reference: float | None
    reference_error: float

    @property
    def deviation(self) -> float | None:
        """From the reference, in units of both errors together."""
        spread = math.hypot(self.error, self.reference_error)
        if self.value is None or self.reference is None or spread == 0.0:
            return None
        return (self.value - self.reference) / spread


def _free_energies(client: "AlchemiscaleClient", network: "ScopedKey") -> list[FreeEnergy]:
    from alchemiscale_prefect.chemistry.base import ProtocolResult
    from alchemiscale_prefect.chemistry.results import estimate
    from alchemiscale_prefect.protocols.demo import reference_values

    references = reference_values()
    rows = []
    for key, result in client.get_network_results(network, visualize=False).items():
        transformation = client.get_transformation(key, visualize=False)
        name = transformation.name or str(key)
        reference, reference_error = references.get(name, (None, 0.0))
        gathered = result if isinstance(result, ProtocolResult) else None
        found = None if gathered is None else estimate(gathered)
        states = (transformation.stateA, transformation.stateB)
        rows.append(
            FreeEnergy(
                name=name,
                states=None if states[0] == states[1] else (states[0].name, states[1].name),
                repeats=0 if gathered is None else gathered.n_protocol_dag_results,
                value=None if found is None else found.value,
                error=(found.uncertainty or 0.0) if found is not None else 0.0,
                reference=reference,
                reference_error=reference_error,
            )
        )
    return sorted(rows, key=lambda row: row.name)


def _with_error(value: float | None, error: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f} ± {error:.2f}" if error else f"{value:.2f}"
