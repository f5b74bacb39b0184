"""What the strategy flow says of its task runs, and when it looks for more; it runs in the acceptance tests."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from alchemiscale_prefect.domain.errors import NotFound
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.strategies import StrategyState
from alchemiscale_prefect.flows import strategy as flows
from alchemiscale_prefect.wire.strategies import StrategyProposal

NETWORKS = [ScopedKey.from_str(f"AlchemicalNetwork-{digit * 32}-org-campaign-project") for digit in "0123"]


class TaskRun:
    """Of a task runner: ends when it is told to."""

    def __init__(self) -> None:
        self.wrapped_future: Future[State[Any]] = Future()

    def wait(self) -> None:
        self.wrapped_future.result(0)

    @property
    def state(self) -> State[Any]:
        return self.wrapped_future.result(0)


class Runner:
    """A task runner whose task runs end as they are told to."""

    def __init__(self, ends: Callable[[str, TaskRun], None]) -> None:
        self.ends = ends

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, task: object, parameters: dict[str, Any]) -> TaskRun:
        assert task is flows.perform
        run = TaskRun()
        self.ends(parameters["network"], run)
        return run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., State[Any]]:
    """Runs the flow with what is due each time that it looks, and with what becomes of task runs."""

    def with_(
        due: Sequence[Sequence[ScopedKey]], ends: Callable[[str, TaskRun], None], network: str | None = None
    ) -> State[Any]:
        looks = iter(due)
        monkeypatch.setattr(flows, "strategies_due", lambda: next(looks))
        runner = type("Bound", (), {"__class_getitem__": classmethod(lambda cls, _: lambda max_workers: Runner(ends))})
        monkeypatch.setattr(flows, "ThreadPoolTaskRunner", runner)
        ended: State[Any] = flows.strategy.fn(network)
        assert next(looks, None) is None
        return ended

    return with_


@pytest.mark.parametrize(
    ("states", "ends", "told"),
    [
        ([Completed()], "COMPLETED", "1 Completed"),
        ([Completed(), Failed(name="StrategyFailed"), Completed()], "COMPLETED", "2 Completed, 1 StrategyFailed"),
        ([Failed(), Completed()], "FAILED", f"1 Completed, 1 Failed; not performed: {NETWORKS[0]}"),
        ([], "COMPLETED", "no Strategy is due"),
    ],
)
def test_the_flow_fails_where_a_strategy_could_not_be_performed_not_where_it_failed(
    run: Callable[..., State[Any]], states: list[State[Any]], ends: str, told: str
) -> None:
    ended = {str(key): state for key, state in zip(NETWORKS, states, strict=False)}
    state = run([NETWORKS[: len(states)]], lambda name, run: run.wrapped_future.set_result(ended[name]))
    assert (state.type.value, state.message) == (ends, told)


def test_a_strategy_that_was_taken_away_since_it_was_due_is_no_failure_of_the_flow(
    run: Callable[..., State[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise NotFound("it has no Strategy", field="network")

    monkeypatch.setattr(flows, "perform_strategy", gone)

    def ends(name: str, run: TaskRun) -> None:
        run.wrapped_future.set_result(flows.perform.fn(name, None))

    state = run([NETWORKS[:1]], ends)
    assert (state.type.value, state.message) == ("COMPLETED", "1 NotToBePerformed")
    # who asks for this one is told
    state = run([], ends, str(NETWORKS[0]))
    assert (state.type.value, state.message) == ("FAILED", f"1 NotToBePerformed; not performed: {NETWORKS[0]}")


def test_a_strategy_whose_table_cannot_be_shown_is_performed_all_the_same(
    run: Callable[..., State[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise httpx.ConnectError("Prefect is away")

    performed = StrategyProposal.of(NETWORKS[0], StrategyState(last_iteration=datetime.now(UTC)), [])
    monkeypatch.setattr(flows, "perform_strategy", lambda *_: performed)
    monkeypatch.setattr(flows, "report_proposal", away)
    state = run([NETWORKS[:1]], lambda name, run: run.wrapped_future.set_result(flows.perform.fn(name, None)))
    assert (state.type.value, state.message) == ("COMPLETED", "1 Completed")


def test_while_one_strategy_takes_long_others_are_performed_when_they_are_due(
    run: Callable[..., State[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flows, "_LOOK_SECONDS", 0.001)
    slow, quick, later = NETWORKS[:3]
    begun: list[str] = []
    waits: list[TaskRun] = []

    def ends(name: str, run: TaskRun) -> None:
        begun.append(name)
        if name == str(slow):
            waits.append(run)
        else:
            run.wrapped_future.set_result(Completed())
        if begun.count(str(quick)) == 3:
            waits[0].wrapped_future.set_result(Completed())

    # the slow one stays due until it is done, and is begun once
    state = run([[slow, quick], [slow, later, quick], [slow], [slow, quick]], ends)
    assert begun == [str(name) for name in (slow, quick, later, quick, quick)]
    assert state.message == "5 Completed"
