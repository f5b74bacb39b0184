"""What a terminal or a notebook shows: progress of a call, and status counts. Rich is imported when it is needed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn

_RED, _BLUE = "#ff073a", "#1793d0"
STATUS_STYLES = {
    "complete": "green",
    "running": "orange3",
    "waiting": _BLUE,
    "error": _RED,
    "invalid": "magenta1",
    "deleted": "purple",
}


@contextmanager
def waiting(description: str, *, show: bool) -> Iterator[None]:
    """Show that something goes on, and for how long, while the block runs."""
    console = _live_console() if show else None
    if console is None:
        yield
        return
    from rich.progress import Progress, TimeElapsedColumn

    with Progress(*_spinner(), TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task(description, total=None)
        yield
        progress.update(task, total=1, completed=1)


@contextmanager
def counting(description: str, total: int, *, show: bool) -> Iterator[Callable[[], None]]:
    """Show how many of `total` are done; the block calls what it is given for each."""
    console = _live_console() if show else None
    if console is None:
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = [*_spinner(), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=total)
        yield lambda: progress.advance(task)


def print_status(counts: Mapping[str, int], title: str) -> None:
    """Print a table of Tasks by status."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", expand=True)
    table.add_column("status", justify="left", no_wrap=True)
    table.add_column("count", justify="right")
    for status, style in STATUS_STYLES.items():
        table.add_row(status, str(counts.get(status, 0)), style=style)
    Console().print(table)


def _live_console() -> "Console | None":
    """A console of its own, since one console shows one thing at a time; ``None`` where nobody watches."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal or console.is_jupyter else None


def _spinner() -> "list[ProgressColumn]":
    from rich.progress import SpinnerColumn, TextColumn

    return [
        SpinnerColumn("dots2", style=_RED),
        SpinnerColumn("dots2", style=_BLUE),
        TextColumn("[progress.description]{task.description}"),
    ]
