"""The command line: Strategies."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from alchemiscale_prefect import ScopedKey
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.chemistry import keyed_chains
from tests.command_line import CommandLine
from tests.strategies import EvenSettings, EvenStrategy

CLASS = "tests.strategies:EvenStrategy"
ROOM = "alchemiscale_prefect.strategies"


def test_a_strategy_is_set_shown_woken_and_removed(
    cli: CommandLine, network_key: ScopedKey, system: System, tmp_path: Path
) -> None:
    made = EvenStrategy(EvenSettings(max_runs=7))
    options = ("--mode", "full", "--max-tasks", 5, "--task-scaling", "linear", "--sleep-interval", 60)
    key = str(ScopedKey.of(str(made.key), network_key.scope))
    given = cli.json("strategy", "set", network_key, CLASS, "--settings", '{"max_runs": 7}', *options)
    assert given == {"network": str(network_key), "strategy": key}

    shown = cli.json("strategy", "show", network_key)
    assert (shown["strategy"], shown["class"], shown["settings"]) == (str(made.key), CLASS, {"max_runs": 7})
    state = shown["state"]
    assert (state["mode"], state["status"], state["max_tasks_per_transformation"], state["task_scaling"]) == (
        *("full", "awake", 5),
        "linear",
    )
    assert cli.json("strategy", "state", network_key)["state"] == state
    assert ["settings.max_runs", "7"] in [
        line.split() for line in cli.text("strategy", "show", network_key).splitlines()
    ]

    with system.database.transaction() as connection:
        failure = "update strategy set status = 'error', exception = '[\"E\", \"why\"]', traceback = 'line 1\nline 2'"
        connection.execute(text(failure))
    told = cli.text("strategy", "state", network_key)
    assert "why" in told
    assert told.endswith("line 1\nline 2\n")
    assert cli.text("strategy", "awake", network_key) == "awake\n"

    file = tmp_path / "strategy.json"
    file.write_bytes(keyed_chains.to_json(EvenStrategy(EvenSettings(max_runs=2))))
    assert cli.text("strategy", "set", network_key, file).strip() != key
    assert cli.json("strategy", "show", network_key)["settings"] == {"max_runs": 2}

    assert cli.json("strategy", "remove", network_key)["strategy"] is None
    for command in ("show", "state", "awake", "remove"):
        assert cli.refused("strategy", command, network_key)["code"] == "not_found"


def test_strategies_inside_others_are_shown_with_their_settings_and_votes(
    cli: CommandLine, network_key: ScopedKey
) -> None:
    stack = {
        "votes": [1, 2.5],
        "confidences": [None, {"kind": "growing", "half": 2}],
        "strategies": [{"class": CLASS, "settings": {"max_runs": runs}} for runs in (6, 8)],
    }
    inner = {"class": f"{ROOM}:StackedStrategy", "settings": stack}
    settings = json.dumps({"max_tasks": 9, "strategy": inner})
    made = cli.json("strategy", "set", network_key, f"{ROOM}:BudgetStrategy", "--settings", settings)["strategy"]
    told = cli.text("strategy", "show", network_key).splitlines()
    first = told.index(next(line for line in told if line.startswith("strategy  ") and "StackedStrategy" in line))
    # how far in each stands is part of it
    shown = [(len(line) - len(line.lstrip()), *line.split(maxsplit=1)) for line in told[first + 1 : first + 8]]
    assert shown == [
        (2, "settings.combine", "sum"),
        (2, "strategies[0]", CLASS),
        *((4, "vote", "1"), (4, "confidence", "–"), (4, "settings.max_runs", "6")),
        *((2, "strategies[1]", CLASS), (4, "vote", "2.5")),
    ]
    assert [line.split(maxsplit=1) for line in told[first + 8 : first + 10]] == [
        ["confidence", "kind growing half 2"],
        ["settings.max_runs", "8"],
    ]
    # what is shown can be given again
    shown_settings = json.dumps(cli.json("strategy", "show", network_key)["settings"])
    again = cli.json("strategy", "set", network_key, f"{ROOM}:BudgetStrategy", "--settings", shown_settings)
    assert again["strategy"] == made


def test_settings_come_from_a_file_too(cli: CommandLine, network_key: ScopedKey, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"max_runs": 4}')
    cli.json("strategy", "set", network_key, CLASS.replace(":", "."), "--settings", file)
    assert cli.json("strategy", "show", network_key)["settings"] == {"max_runs": 4}


@pytest.mark.parametrize(
    ("words", "code", "field"),
    [
        (("subprocess:Popen",), "module_not_allowed", "__module__"),
        (("tests.strategies:Nothing",), "invalid_input", "class"),
        (("tests.protocols:FanOutProtocol",), "invalid_input", "class"),
        (("nonsense",), "invalid_input", "class"),
        ((CLASS, "--settings", "{"), "invalid_input", "settings"),
        ((CLASS, "--settings", "[1]"), "invalid_input", "settings"),
        ((CLASS, "--settings", '{"max_run": 1}'), "invalid_input", "settings"),
        ((CLASS, "--settings", '{"max_runs": "many"}'), "invalid_input", "settings"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_no_strategy_is_refused_before_anything_is_sent(words: tuple[str, ...], code: str, field: str) -> None:
    network = "AlchemicalNetwork-" + "0" * 32 + "-org-campaign-project"
    error = CommandLine({}).refused("strategy", "set", network, *words)
    assert (error["code"], error["field"]) == (code, field)
