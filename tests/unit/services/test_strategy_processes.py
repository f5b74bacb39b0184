"""Strategies that hang, leave or die: each in a process of its own, they harm no other."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.domain.iterations import MAX_TRACEBACK, Document, Material, StrategyFailed
from alchemiscale_prefect.domain.result_summaries import OtherAttempts, ResultSummary
from alchemiscale_prefect.services.strategy_processes import StrategyProcesses
from tests.waiting import wait_for

PROPOSE = "tests.unit.services.at_fault:propose"
RESULTS = [("a", Document(b"one", None)), ("b", Document(b"three", "1.0"))]


def material(does: str) -> Material:
    return Material(
        Document(b"network", None),
        Document(does.encode(), None),
        {"c": ResultSummary.of(1.0)},
        lambda: RESULTS,
        OtherAttempts(7.0),
    )


@pytest.fixture(scope="module")
def processes() -> Iterator[StrategyProcesses]:
    with StrategyProcesses(PROPOSE, 60.0) as made:
        yield made


def failure(processes: StrategyProcesses, does: str) -> tuple[str, str, str]:
    with pytest.raises(StrategyFailed) as raised:
        processes.propose(material(does))
    told = raised.value.failure
    return *told.exception, told.traceback


def test_a_process_gives_what_the_strategy_proposes_and_is_used_again(processes: StrategyProcesses) -> None:
    proposed = processes.propose(material("propose"))
    assert (proposed.weights, proposed.budget) == ({"a": 3.0, "b": 5.0, "c": None}, 7)
    assert processes.propose(material("propose")) == proposed, "its max_tasks is the id of its process"
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(processes.propose, [material("propose")] * 2))
    assert [one.weights for one in both] == [proposed.weights] * 2


@pytest.mark.parametrize(
    ("does", "name", "message", "where"),
    [
        ("raise", "ZeroDivisionError", "no weights", "in _raise"),
        ("leave", "SystemExit", "3", "in _leave"),
        ("raise_what_cannot_be_told", "Unspeakable", "(its message cannot be told: ZeroDivisionError)", "in _raise_wh"),
    ],
)
def test_what_a_strategy_raises_is_told_as_it_is(
    processes: StrategyProcesses, does: str, name: str, message: str, where: str
) -> None:
    said, about, traceback = failure(processes, does)
    assert (said, about) == (name, message)
    assert where in traceback


def test_what_is_kept_of_a_failure_has_an_end(processes: StrategyProcesses) -> None:
    _, message, traceback = failure(processes, "say_much")
    assert message.endswith("the end")
    assert len(message) < len(traceback) < MAX_TRACEBACK + 100


@pytest.mark.parametrize(
    ("does", "how", "where"),
    [
        ("exit", "with exit code 3", "with exit code 3"),
        ("signal SIGKILL", "by signal SIGKILL, as the system does where memory is short", "SIGKILL"),
        ("signal SIGSEGV", "by signal SIGSEGV", "in _signal"),
    ],
)
def test_a_strategy_that_ends_its_process_fails(processes: StrategyProcesses, does: str, how: str, where: str) -> None:
    name, message, traceback = failure(processes, does)
    assert name == "StrategyDied"
    assert message == f"the process that performed the Strategy ended 2 times, the last {how}"
    assert where in traceback
    assert processes.propose(material("propose")).weights


def test_one_that_dies_once_is_asked_again(processes: StrategyProcesses, tmp_path: Path) -> None:
    assert processes.propose(material(f"die_once {tmp_path / 'died'}")).weights == {}


def test_a_process_that_is_told_to_stop_says_nothing_of_the_strategy(processes: StrategyProcesses) -> None:
    with pytest.raises(Unavailable, match="told to stop"):
        processes.propose(material("signal SIGTERM"))


def test_a_strategy_that_does_not_answer_fails_and_says_where_it_was(tmp_path: Path) -> None:
    with StrategyProcesses(PROPOSE, 2.0) as processes:
        name, message, traceback = failure(processes, f"start_another_and_never_answer {tmp_path / 'pid'}")
    assert name == "StrategyTimeout"
    assert message.startswith("the Strategy had not answered after 2 s; an operator can give it longer")
    assert "in _never_answer" in traceback
    other = int((tmp_path / "pid").read_text())
    wait_for(lambda: _has_ended(other), "what it has started to end")


def test_a_strategy_gets_no_more_memory_than_it_may_have() -> None:
    with StrategyProcesses(PROPOSE, 60.0, memory=2**29) as processes:
        name, _, traceback = failure(processes, "take_all_memory")
    assert name == "MemoryError"
    assert "in _take_all_memory" in traceback


def test_what_reading_results_raises_is_not_the_strategy_s_failure(processes: StrategyProcesses) -> None:
    def unreachable() -> Iterator[tuple[str, Document]]:
        yield RESULTS[0]
        raise Unavailable("the object store is down")

    given = material("propose")
    with pytest.raises(Unavailable, match="object store"):
        processes.propose(Material(given.network, given.strategy, given.summaries, unreachable))
    assert processes.propose(given).weights


def _has_ended(process: int) -> bool:
    try:
        # in a container perhaps nobody takes its exit code
        return "State:\tZ" in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_strategy_ends_with_who_asked_it(tmp_path: Path) -> None:
    code = (
        "from tests.unit.services.test_strategy_processes import *\n"
        f"StrategyProcesses(PROPOSE, 600.0).propose(material('say_who_and_never_answer {tmp_path / 'pid'}'))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3]) as asker:
        wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the Strategy to be asked")
        asker.kill()
    process = int((tmp_path / "pid").read_text())
    wait_for(lambda: _has_ended(process), "the Strategy's process to end")


def test_where_strategies_cannot_be_performed_that_is_said_of_no_strategy() -> None:
    with pytest.raises(Unavailable, match="cannot be performed here: No module named 'nowhere'"):
        StrategyProcesses("nowhere:propose", 1.0).propose(material("propose"))
