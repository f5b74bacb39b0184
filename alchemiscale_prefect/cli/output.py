"""What a command prints: with ``--json`` one JSON document for scripts, otherwise text for people.

A ScopedKey is never cut or broken: where a table would not fit a terminal its rows become blocks, and what goes into a
pipe or a file has one row per line, however long, without colours.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel
from typer.core import TyperGroup

from alchemiscale_prefect.domain.errors import AlchemiscaleError, NotFound

if TYPE_CHECKING:
    from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
"""The option that every command with an answer has."""

_JSON = "alchemiscale_prefect.json"
# click's own class, which typer keeps under a private name
_UsageError: Any = typer.BadParameter.__bases__[0]

NOTHING = "–"
_STYLES = {
    "complete": "green",
    "ok": "green",
    "running": "orange3",
    "warning": "orange3",
    "waiting": "blue",
    "error": "red",
    "failed": "red",
    "invalid": "magenta",
    "deleted": "purple",
    "skipped": "dim",
}


class Program(TyperGroup):
    """The whole command line. Errors of ours end it with a line on stderr and exit code 1, never with a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note whether ``--json`` is given: errors of the parsing itself are told in the same way."""
        ctx.meta[_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except AlchemiscaleError as error:
            _tell(error, as_json=ctx.meta[_JSON])
            raise typer.Exit(1) from error
        except _UsageError as error:
            if not ctx.meta[_JSON]:
                raise
            _write_error(error.format_message(), "usage", getattr(getattr(error, "param", None), "name", None))
            raise typer.Exit(2) from error


def answer(document: Mapping[str, Any], as_json: bool, text: Callable[[], None]) -> None:
    """Print a command's answer.

    Parameters
    ----------
    document
        The whole answer; its names are kept from version to version. Keys, Scopes, times and models become strings and
        objects.
    as_json
        Whether the user asked for it.
    text
        Prints the same for people; called if not.
    """
    if as_json:
        sys.stdout.write(json.dumps(plain(document), indent=2, ensure_ascii=False) + "\n")
    else:
        text()


def plain(value: Any) -> Any:
    """`value` as JSON has it: mappings and sequences of strings, numbers, booleans and ``None``."""
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no word for it
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


def line(text: str) -> None:
    """Print a line."""
    typer.echo(printable(text))


def note(text: str) -> None:
    """Tell something beside the answer, on stderr."""
    typer.echo(printable(text), err=True)


def shown(text: str, status: str) -> None:
    """Print a line in the colour of a status, where somebody watches."""
    _print(_console(), "", printable(text), _STYLES.get(status, ""))


def record(fields: Mapping[str, object] | Sequence[tuple[str, object]], console: "Console | None" = None) -> None:
    """Print names and values, one to a line."""
    console = console or _console()
    pairs = list(fields.items()) if isinstance(fields, Mapping) else fields
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        text = cell(value)
        _print(console, f"{name.ljust(width)}  ", text, _STYLES.get(text, ""))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, console: "Console | None" = None
) -> None:
    """Print rows: as a table where it fits, as blocks in a narrow terminal, as plain columns in a pipe.

    Parameters
    ----------
    columns
        Their names. The first column says what a row is about.
    rows
        Values; ``None`` is shown as a dash.
    empty
        Said instead if there are no rows.
    """
    console = console or _console()
    values = [list(row) for row in rows]
    if not values:
        line(empty)
        return
    cells = [[cell(value) for value in row] for row in values]
    numeric = [all(isinstance(row[i], int | float | None) for row in values) for i in range(len(columns))]
    widths = [max(len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(columns)]
    if console.is_terminal and sum(widths) + 3 * len(widths) > console.width:
        _blocks(console, columns, cells, numbered=numeric[0])
    elif console.is_terminal:
        _grid(console, columns, cells, numeric)
    else:
        for row in (list(columns), *cells):
            padded = (
                text.rjust(width) if right else text.ljust(width)
                for text, width, right in zip(row, widths, numeric, strict=True)
            )
            typer.echo("  ".join(padded).rstrip())


def cell(value: object) -> str:
    """A value as a line of text."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, str):
        return printable(str(value)).replace("\n", " ")
    if isinstance(value, Iterable):
        return ", ".join(cell(item) for item in value) or NOTHING
    return printable(str(value))


def printable(text: str) -> str:
    """`text` without what would steer a terminal: names are chosen by users."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)


def _print(console: "Console", before: str, text: str, style: str) -> None:
    from rich.text import Text

    # soft: the terminal breaks the line, so that copying it gives it back whole
    console.print(Text.assemble(before, (text, style)), soft_wrap=True)


def _grid(console: "Console", columns: Sequence[str], cells: list[list[str]], numeric: Sequence[bool]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name, right in zip(columns, numeric, strict=True):
        grid.add_column(name, justify="right" if right else "left", no_wrap=True)
    for row in cells:
        grid.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in row))
    console.print(grid)


def _blocks(console: "Console", columns: Sequence[str], cells: list[list[str]], *, numbered: bool) -> None:
    width = max(len(name) for name in columns[1:]) if len(columns) > 1 else 0
    for first, *rest in cells:
        heading = f"{columns[0]} {first}" if numbered else first
        console.print(heading, style="bold", soft_wrap=True, markup=False)
        for name, text in zip(columns[1:], rest, strict=True):
            if text != NOTHING:
                _print(console, f"  {name.ljust(width)}  ", text, _STYLES.get(text, ""))


def _tell(error: AlchemiscaleError, *, as_json: bool) -> None:
    # what the API said, without the words of HTTP around it
    detail = getattr(error, "detail", None)
    # (and without the quotes that the API's texts of missing objects have, as alchemiscale's)
    message = detail if isinstance(detail, str) and detail else str(error)
    if detail == message and error.code == NotFound.code and len(message) > 1 and message[0] == message[-1]:
        message = message[1:-1]
    if as_json:
        _write_error(message, error.code, error.field)
    else:
        note(f"error: {message}")


def _write_error(detail: str, code: str, field: str | None) -> None:
    # the same names as in the API's own answers
    sys.stderr.write(json.dumps({"detail": detail, "code": code, "field": field}) + "\n")
