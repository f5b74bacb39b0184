"""What `watch` draws, looked at as text."""

import io
import sys
import types
import uuid

import pytest
from rich.console import Console

from alchemiscale_prefect import ScopedKey
from alchemiscale_prefect.sdk.watch_display import Display, duration, line, outlook, shown, to_html
from alchemiscale_prefect.wire.networks import Progress, RunningTask

NETWORK = ScopedKey("AlchemicalNetwork-66d7676b10a1fd9cb3f75e6e2e7f6a3c", "org", "campaign", "project")


def running(number: int, done: int, total: int, seconds: float = 600.0) -> list[RunningTask]:
    keys = (ScopedKey(f"Task-{uuid.UUID(int=n).hex}", "org", "campaign", "project") for n in range(number))
    return [
        RunningTask(task=key, seconds=seconds, units_done=done, units_total=total, flow_run_id=None) for key in keys
    ]


def at_work(number: int = 2) -> Progress:
    tasks = running(number, 5, 10)
    return Progress(
        status={"complete": 30, "running": number, "waiting": 70, "error": 1},
        units_done=5 * number,
        units_total=10 * number,
        waiting=60,
        running=tasks,
        completed=12,
        mean_seconds=1200.0,
        window_seconds=3600.0,
    )


def drawn(progress: Progress | None, trouble: str | None = None, width: int = 100) -> str:
    display = Display(NETWORK)
    if progress is not None:
        display.update(progress)
    if trouble is not None:
        display.fail(trouble)
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(display)
    return out.getvalue()


def test_it_shows_counts_running_tasks_throughput_and_what_is_left():
    lines = [" ".join(row.strip("│ \n").split()) for row in drawn(at_work()).splitlines()]
    assert str(NETWORK) in lines[0]
    assert any(row.startswith("complete 30 ━") for row in lines)
    assert any(row.startswith("waiting 70 ━") and row.endswith("60 of them actioned") for row in lines)
    assert "invalid 0" in lines
    assert "running Task units since left" in lines
    assert f"Task-{uuid.UUID(int=1).hex} 5/10 10 min 10 min" in lines
    # 61 Tasks' worth of work, 13 in the last hour
    assert "12 Tasks per hour, 20 min each, about 4 h 42 min left" in lines
    assert "Ctrl-C to leave" in lines[-1]


def test_how_far_running_units_are_counts():
    (task,) = running(1, 0, 4)
    found = at_work(1).model_copy(update={"running": [task.model_copy(update={"fraction": 0.2})], "mean_seconds": None})
    lines = [" ".join(row.strip("│ \n").split()) for row in drawn(found).splitlines()]
    assert f"{task.task.gufe_key} 0/4 20 % 10 min 40 min" in lines


def test_many_running_tasks_are_not_all_listed():
    text = drawn(at_work(40))
    assert text.count("Task-") == 12
    assert "and 28 more" in text
    assert "200/400 in all" in text


def test_a_narrow_terminal_breaks_no_line():
    assert all(len(row) <= 76 for row in drawn(at_work(14), width=76).splitlines())
    assert len(drawn(at_work(14), width=76).splitlines()) == len(drawn(at_work(14)).splitlines())


def test_a_task_that_told_nothing_yet():
    progress = Progress(
        status={"running": 1}, units_done=0, units_total=0, running=running(1, 0, 0, 30.0), window_seconds=30.0
    )
    text = drawn(progress)
    assert " – " in text
    assert " ? " in text
    assert "too early to say how long" in text


def test_an_api_that_is_away_is_said_beside_what_was_last_seen():
    text = drawn(at_work(), "No answer from http://api")
    assert "No answer from http://api; trying again" in text
    assert "12 Tasks per hour" in text


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress(status={"complete": 3}, units_done=0, units_total=0), "nothing left to run"),
        (Progress(status={}, units_done=0, units_total=0), "nothing left to run"),
        (Progress(status={"waiting": 3}, waiting=3, units_done=0, units_total=0), "nothing runs: waiting for a worker"),
    ],
)
def test_the_outlook_where_nothing_runs(progress, text):
    assert outlook(progress) == text
    assert ("Ctrl-C" in drawn(progress)) is not progress.done


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3569, "59 min"),
        (3590, "1 h"),
        (3661, "1 h 1 min"),
        (86399, "1 d"),
        (200000, "2 d 8 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_line_says_it_all():
    assert line(at_work()) == (
        "30 complete, 2 running (10/20 units), 70 waiting, 1 error; 12 Tasks per hour, 20 min each, "
        "about 4 h 42 min left"
    )
    assert line(Progress(status={}, units_done=0, units_total=0)) == "no Tasks; nothing left to run"


def test_a_log_gets_a_line_when_something_is_new(capsys):
    display = Display(NETWORK)
    with shown(display) as draw:
        draw()
        display.update(at_work())
        draw()
        draw()
        display.fail("No answer")
        draw()
        draw()
        display.update(at_work())
        draw()
    lines = capsys.readouterr().out.splitlines()
    assert [row.split(": ", 1)[1] for row in lines] == [line(at_work()), "No answer", line(at_work())]


def test_a_log_gets_no_line_for_the_rate_alone(capsys):
    display = Display(NETWORK)
    with shown(display) as draw:
        for window_seconds in (3500.0, 3510.0, 3520.0):
            display.update(at_work().model_copy(update={"window_seconds": window_seconds}))
            draw()
        display.update(at_work().model_copy(update={"units_done": 11}))
        draw()
    assert [row.partition("running (")[2][:5] for row in capsys.readouterr().out.splitlines()] == ["10/20", "11/20"]


def test_a_notebook_gets_one_display_that_is_updated(monkeypatch):
    shown_html: list[str] = []
    updates: list[str] = []
    handle = types.SimpleNamespace(update=updates.append)

    def show(html: str, display_id: bool) -> types.SimpleNamespace:
        assert display_id
        shown_html.append(html)
        return handle

    fake = types.ModuleType("IPython.display")
    fake.HTML, fake.display = str, show  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    display = Display(NETWORK)
    display.update(at_work())
    with shown(display) as draw:
        display.update(at_work(3))
        draw()
    assert len(shown_html) == 1
    assert shown_html[0].startswith("<pre")
    assert len(updates) == 1
    assert f"Task-{uuid.UUID(int=2).hex}" in updates[0]


def test_html_holds_what_a_terminal_shows():
    display = Display(NETWORK)
    display.update(at_work())
    html = to_html(display)
    assert "12 Tasks per hour" in html
    assert str(NETWORK) in html
    assert "<script" not in html
