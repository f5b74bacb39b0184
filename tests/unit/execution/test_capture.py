"""What units print and log is in their results, each unit's own, and goes where it went before."""

import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.execution import capture
from alchemiscale_prefect.execution.capture import captured
from tests.protocols import FailingProtocol, FailingUnit, FanOutSampleUnit, transformation
from tests.unit.execution.api import Api
from tests.unit.execution.conftest import Run


def _folders(folder: Path) -> tuple[Path, Path]:
    made = folder / "stdout", folder / "stderr"
    for path in made:
        path.mkdir(parents=True)
    return made


def _kept(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.rglob("*.txt"))}


def test_units_at_once_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    together = threading.Barrier(3)
    streams = sys.stdout, sys.stderr

    def work(name: str) -> None:
        with captured(*_folders(tmp_path / name)):
            together.wait(timeout=60)
            for line in range(50):
                print(f"{name} {line}")
                print(f"{name} error", file=sys.stderr)
                logging.getLogger("their.library").warning("%s says %d", name, line)
            together.wait(timeout=60)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, "abc"))
    for name in "abc":
        kept = _kept(tmp_path / name)
        assert kept["stdout.txt"] == "".join(f"{name} {line}\n" for line in range(50))
        assert kept["stderr.txt"] == f"{name} error\n" * 50
        assert [line.split(": ")[1] for line in kept["logging.txt"].splitlines()] == [
            f"{name} says {line}" for line in range(50)
        ]
        assert "WARNING their.library" in kept["logging.txt"]
    assert capsys.readouterr().out.count("\n") == 150, "it also goes where it went before"
    assert (sys.stdout, sys.stderr) == streams
    assert not [handler for handler in logging.getLogger().handlers if isinstance(handler, capture._Handler)]


def test_who_prints_nothing_leaves_no_file_and_others_are_not_heard(tmp_path: Path) -> None:
    with captured(*_folders(tmp_path)):
        other = threading.Thread(target=print, args=("not the unit's",))
        other.start()
        other.join()
        assert _kept(tmp_path) == {}
        own = threading.Thread(target=copy_context().run, args=(print, "the unit's"))
        own.start()
        own.join()
    print("after")
    assert _kept(tmp_path) == {"stdout.txt": "the unit's\n"}


def test_what_never_ends_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MOST_BYTES", 10)
    with captured(*_folders(tmp_path)):
        for _ in range(100):
            print("abc")
    assert _kept(tmp_path) == {"stdout.txt": "abc\nabc\nab\n[cut off here]\n"}


def test_a_stream_that_was_put_in_its_place_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    with captured(*_folders(tmp_path)):
        sys.stdout = other = sys.__stdout__
    assert sys.stdout is other


def test_results_have_what_was_printed_and_logged(api: Api, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    execute = FanOutSampleUnit._execute

    def talk(ctx: Any, **inputs: Any) -> Any:
        print(f"sample {inputs['index']} begins")
        logging.getLogger("protocol").error("no solvent")
        (ctx.stdout / "own").write_bytes(b"its own file")
        return execute(ctx, **inputs)

    monkeypatch.setattr(FanOutSampleUnit, "_execute", staticmethod(talk))
    assert run().status == "complete"
    (pdr,) = (keyed_chains.decompress(data) for _, data in api.results.values())
    results = {result.name: result for result in pdr.protocol_unit_results}
    assert results["sample 1"].stdout == {"stdout.txt": b"sample 1 begins\n", "own": b"its own file"}
    assert list(results["sample 1"].stderr) == ["logging.txt"]
    assert b"ERROR protocol: no solvent" in results["sample 1"].stderr["logging.txt"]
    assert (results["setup"].stdout, results["setup"].stderr) == ({"setup.log": b"set up\n"}, {})


def test_failures_have_it_too(api: Api, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    api.subject = transformation(FailingProtocol(FailingProtocol.default_settings()))
    execute = FailingUnit._execute

    def talk(ctx: Any, **inputs: Any) -> Any:
        print("the last words", file=sys.stderr)
        return execute(ctx, **inputs)

    monkeypatch.setattr(FailingUnit, "_execute", staticmethod(talk))
    assert run().status == "error"
    (pdr,) = (keyed_chains.decompress(data) for _, data in api.results.values())
    (failure,) = pdr.protocol_unit_failures
    assert failure.stderr == {"engine.log": b"about to fail\n", "stderr.txt": b"the last words\n"}
