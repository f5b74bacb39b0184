"""``strategy simulate`` on a network in a file: no server is needed."""

from pathlib import Path

import pytest

from alchemiscale_prefect.chemistry import documents
from tests.command_line import CommandLine
from tests.unit.strategies.networks import network

CLASS = "alchemiscale_prefect.strategies:UncertaintyStrategy"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "network.json"
    documents.write(network("ab", "bc", "ca"), path)
    return path


def test_a_strategy_is_tried_on_a_network_in_a_file(file: Path, tmp_path: Path) -> None:
    cli = CommandLine({})
    plot = tmp_path / "plot.png"
    options = ("--settings", '{"target_error": "0.15 kilocalorie_per_mole"}', "--noise", 0.4, "--iterations", 30)
    found = cli.json("strategy", "simulate", file, CLASS, *options, "--plot", plot)
    assert found["finished"]
    assert found["iterations"][0] == {"tasks": 0, "error": None, "uniform_error": None}
    assert found["iterations"][-1]["error"] < 0.15
    assert [(change["weight"], change["tasks"]) for change in found["next"]] == [(1.0, 1)] * 3
    assert plot.read_bytes().startswith(b"\x89PNG")
    text = cli.text("strategy", "simulate", file, CLASS, *options)
    assert f"{found['iterations'][-1]['error']:.3f}" in text
    assert "next: transformation" in text


def test_what_cannot_be_tried_is_refused(file: Path) -> None:
    cli = CommandLine({})
    assert cli.refused("strategy", "simulate", file, CLASS, "--noise", 0)["field"] == "noise"
    assert cli.refused("strategy", "simulate", file, f"{CLASS}s")["field"] == "class"
    # a file that is there, with no Strategy in it
    assert cli.refused("strategy", "simulate", file, file)["field"] == "strategy"
    for plot in ("plot.nothing", file / "plot.png"):
        assert cli.refused("strategy", "simulate", file, CLASS, "--iterations", 1, "--plot", plot)["field"] == "plot"
