"""The command line: what it prints, to people who look on and into pipes."""

import io
import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from alchemiscale_prefect.cli import output
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.wire.networks import Progress

KEY = ScopedKey.of("AlchemicalNetwork-" + "0123456789abcdef" * 2, Scope("a_long_organisation", "campaign", "project"))
COLUMNS = ("network", "name", "weight", "status")
ROWS = [(KEY, "a [bold]name[/bold]", 0.5, "complete"), (KEY, None, 1.0, "error")]


def terminal(width: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, highlight=False, color_system=None)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 80, 200])
def test_a_key_is_whole_in_a_terminal_of_any_width(width: int) -> None:
    console = terminal(width)
    output.table(COLUMNS, ROWS, empty="nothing", console=console)
    text = printed(console)
    assert text.count(str(KEY)) == 2
    # names are text, not markup
    assert "a [bold]name[/bold]" in text
    assert ("─" in text) == (width == 200)


def test_a_block_of_a_numbered_row_says_what_is_numbered() -> None:
    console = terminal(20)
    output.table(("attempt", "task"), [(7, KEY)], empty="nothing", console=console)
    assert printed(console).splitlines()[0].rstrip() == "attempt 7"


def test_a_pipe_gets_a_line_for_each_row_without_colours(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(COLUMNS, ROWS, empty="nothing")
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == list(COLUMNS)
    assert [line.split()[0] for line in lines] == [str(KEY)] * 2
    assert "\x1b" not in "".join(lines)
    # numbers stand at the right of their column
    column = header.index("weight") + len("weight")
    assert [line[:column].split()[-1] for line in lines] == ["0.5", "1"]


def test_no_rows_are_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(COLUMNS, [], empty="no networks")
    assert capsys.readouterr().out == "no networks\n"


def test_a_name_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;title\x07 \x9b31m\r\n and \u202eback"
    output.table(("name",), [(evil,)], empty="nothing")
    output.record({"name": evil})
    output.line(evil)
    text = capsys.readouterr().out
    assert not set("\x1b\x07\x9b\r\u202e") & set(text)
    console = terminal(80)
    output.table(("name",), [(evil,)], empty="nothing", console=console)
    assert not set("\x07\x9b\r\u202e") & set(printed(console))


def test_a_document_is_json_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    document = {
        "key": KEY,
        "scope": Scope("a"),
        "status": TaskStatus.waiting,
        "at": moment,
        "path": Path("/x"),
        "none": None,
        "not a number": math.nan,
        "keys": {KEY: [1, 2.5, True]},
        "model": Progress(status={"waiting": 1}, units_done=0, units_total=0),
    }
    output.answer(document, True, lambda: pytest.fail("it was not asked for"))
    found = json.loads(capsys.readouterr().out)
    assert found["key"] == str(KEY)
    assert found["scope"] == "a-*-*"
    assert found["status"] == "waiting"
    assert datetime.fromisoformat(found["at"]) == moment
    assert (found["path"], found["none"], found["not a number"]) == ("/x", None, None)
    assert found["keys"] == {str(KEY): [1, 2.5, True]}
    assert found["model"]["status"] == {"waiting": 1}
