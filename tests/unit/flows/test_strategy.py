"""What the strategy flow says of its task runs; the flow itself runs in the acceptance tests."""

from collections.abc import Mapping
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.flows import strategy as flows

NETWORKS = [ScopedKey.from_str(f"AlchemicalNetwork-{digit * 32}-org-campaign-project") for digit in "0123"]


class Runner:
    """A task runner whose task runs end as they are told to."""

    def __init__(self, states: Mapping[str, State[Any]]) -> None:
        self.states = states

    def __class_getitem__(cls, _: object) -> type["Runner"]:
        return cls

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, task: object, parameters: Mapping[str, str]) -> Any:
        assert task is flows.perform
        return type("Future", (), {"state": self.states[parameters["network"]], "wait": lambda _: None})()


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
    monkeypatch: pytest.MonkeyPatch, states: list[State[Any]], ends: str, told: str
) -> None:
    ended = {str(key): state for key, state in zip(NETWORKS, states, strict=False)}
    monkeypatch.setattr(flows, "strategies_due", lambda: NETWORKS[: len(states)])
    monkeypatch.setattr(
        flows,
        "ThreadPoolTaskRunner",
        type("Bound", (Runner,), {"__init__": lambda s, max_workers: Runner.__init__(s, ended)}),
    )
    state = flows.strategy.fn()
    assert (state.type.value, state.message) == (ends, told)
