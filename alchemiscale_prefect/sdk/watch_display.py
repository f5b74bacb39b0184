"""What `watch` draws: Tasks by status, the running ones, throughput and the time that is left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.progress import Run, seconds_left
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.sdk.display import STATUS_STYLES
from alchemiscale_prefect.wire.networks import Progress, RunningTask

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

_MOST_RUNNING = 12
_BAR = 40


def eta_seconds(progress: Progress) -> float | None:
    """How long the network will take; ``None`` where nothing tells."""
    running = [_run(run) for run in progress.running]
    return seconds_left(progress.waiting, running, progress.completed, progress.mean_seconds, progress.window_seconds)


def units_text(done: int, total: int, fraction: float | None) -> str:
    """``"3/10"``, or ``"3/10 34 %"`` where running units say how far they are."""
    return f"{done}/{total}" if fraction is None else f"{done}/{total} {100 * fraction:.0f} %"


def duration(seconds: float) -> str:
    """``"45 s"``, ``"12 min"``, ``"3 h 20 min"``, ``"2 d 4 h"``."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds < 59.5 else "1 min"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def outlook(progress: Progress) -> str:
    """Throughput and what is left, in a line."""
    parts = []
    if progress.completed and progress.window_seconds:
        per_hour = progress.completed * 3600 / progress.window_seconds
        rate = f"{per_hour:.0f}" if per_hour >= 10 else f"{per_hour:.1f}"
        parts.append(f"{rate} Tasks per hour")
    if progress.mean_seconds is not None:
        parts.append(f"{duration(progress.mean_seconds)} each")
    eta = eta_seconds(progress)
    if progress.done:
        parts.append("nothing left to run")
    elif not progress.running:
        parts.append("nothing runs: waiting for a worker")
    elif eta is None:
        parts.append("too early to say how long")
    else:
        parts.append(f"about {duration(eta)} left")
    return ", ".join(parts)


def counts(progress: Progress) -> str:
    """Tasks by status in a line, with the ProtocolUnits of the running ones."""
    parts = [f"{progress.status[status]} {status}" for status in STATUS_STYLES if progress.status.get(status)]
    if progress.units_total:
        units = f" ({progress.units_done}/{progress.units_total} units)"
        parts = [part + units if part.endswith(f" {TaskStatus.running}") else part for part in parts]
    return ", ".join(parts) or "no Tasks"


def line(progress: Progress) -> str:
    """All of it in a line, for a log."""
    return f"{counts(progress)}; {outlook(progress)}"


class Display:
    """What is known of a network, and how it is drawn.

    Parameters
    ----------
    network
        What is watched.
    """

    def __init__(self, network: ScopedKey) -> None:
        self._network = network
        self._progress: Progress | None = None
        self._at = datetime.now().astimezone()
        self._trouble: str | None = None

    def update(self, progress: Progress) -> None:
        """Draw this from now on."""
        self._progress, self._trouble = progress, None
        self._at = datetime.now().astimezone()

    def fail(self, trouble: str) -> None:
        """Say why there is nothing newer."""
        self._trouble = trouble

    def __rich__(self) -> "RenderableType":
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        parts: list[RenderableType] = []
        if self._progress is not None:
            parts.append(_statuses(self._progress))
            if self._progress.running:
                parts += [Text(), _running(self._progress)]
            parts += [Text(), Text(outlook(self._progress), style="bold")]
        if self._trouble is not None:
            parts.append(Text(f"{self._trouble}; trying again", style="red"))
        as_of = f"as of {self._at:%H:%M:%S}"
        if self._progress is None or not self._progress.done:
            as_of += "; Ctrl-C to leave, the Tasks go on"
        return Panel(Group(*parts), title=str(self._network), subtitle=as_of, title_align="left")


@contextmanager
def shown(display: Display) -> Iterator[Callable[[], None]]:
    """Show a display while the block runs; the block calls what it is given when there is something new to see.

    In a terminal it is drawn in place, in a notebook under the cell; elsewhere, as in a log file, a line is printed
    whenever there is something new in it.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if console.is_jupyter:
        yield _in_notebook(display)
    elif console.is_terminal:
        with Live(display, console=console, auto_refresh=False, transient=False) as live:
            yield live.refresh
    else:
        yield _in_log(display, console)


def _in_notebook(display: Display) -> Callable[[], None]:
    # rich's own way of drawing in place needs ipywidgets; a display that is updated needs nothing
    from IPython.display import HTML
    from IPython.display import display as show

    handle = show(HTML(to_html(display)), display_id=True)
    return lambda: handle.update(HTML(to_html(display)))


def _in_log(display: Display, console: "Console") -> Callable[[], None]:
    last = ""

    def drawn() -> None:
        nonlocal last
        progress = display._progress
        text = display._trouble or (line(progress) if progress else "")
        # the rate changes with every look, and is no news by itself
        news = display._trouble or (f"{counts(progress)} {progress.done}" if progress else "")
        if news and news != last:
            last = news
            console.print(f"{display._at:%Y-%m-%d %H:%M:%S} {display._network}: {text}", soft_wrap=True, markup=False)

    return drawn


def to_html(display: Display) -> str:
    """A display as HTML."""
    import io

    from rich.console import Console

    console = Console(record=True, file=io.StringIO(), width=110, force_jupyter=False)
    console.print(display)
    code = '<pre style="white-space:pre;overflow-x:auto;line-height:normal;font-family:monospace">{code}</pre>'
    return console.export_html(inline_styles=True, code_format=code)


def _run(run: RunningTask) -> Run:
    return Run(run.seconds, run.units_done, run.units_total, run.fraction)


def _statuses(progress: Progress) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column("status")
    table.add_column("count", justify="right")
    table.add_column("bar")
    total = sum(progress.status.values())
    for status, style in STATUS_STYLES.items():
        count = progress.status.get(status, 0)
        note = ""
        if status == TaskStatus.waiting and count:
            note = f"  {progress.waiting} of them actioned"
        bar = "━" * max(round(_BAR * count / total), 1) if count else ""
        table.add_row(Text(status, style=style), str(count), Text(bar, style=style) + Text(note, style="dim"))
    return table


def _running(progress: Progress) -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("running Task", no_wrap=True)
    for title in ("units", "since", "left"):
        table.add_column(title, justify="right", no_wrap=True)
    for run in progress.running[:_MOST_RUNNING]:
        left = _run(run).seconds_left(progress.mean_seconds)
        known = _run(run).fraction > 0.0 or progress.mean_seconds is not None
        units = units_text(run.units_done, run.units_total, run.fraction) if run.units_total else "–"
        table.add_row(run.task.gufe_key, units, duration(run.seconds), duration(left) if known else "?")
    if (more := len(progress.running) - _MOST_RUNNING) > 0:
        table.add_row(f"and {more} more", f"{progress.units_done}/{progress.units_total} in all")
    return table
