"""What the compute flow tells Prefect; the flow itself runs in the acceptance tests."""

import logging
import time
import uuid
from collections.abc import Callable

import pytest
from prefect.exceptions import TerminationSignal
from prefect.states import Failed

from alchemiscale_prefect.domain.errors import AttemptVoid
from alchemiscale_prefect.execution.compute_client import Execution
from alchemiscale_prefect.execution.units import UnitFailed
from alchemiscale_prefect.flows import run_task
from alchemiscale_prefect.sdk.errors import AlchemiscaleClientError


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (UnitFailed("NaN"), True),
        (UnitFailed("ScratchQuotaExceeded('12 MB')", again=False), False),
        (AttemptVoid("superseded"), False),
        (AlchemiscaleClientError("too large", status_code=413), False),
        (OSError("disk full"), False),
    ],
)
def test_only_a_unit_that_failed_itself_is_tried_again(error: Exception, again: bool) -> None:
    """Prefect asks with the exception as the state's data; a unit whose result was not stored may have taken hours."""
    assert run_task._unit_failed(None, None, Failed(data=error)) is again


@pytest.mark.parametrize("told_to_stop", [False, True])
def test_a_run_that_its_host_is_refused_keeps_its_place_until_told_to_stop(told_to_stop, monkeypatch):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if told_to_stop:
            raise TerminationSignal(signal=15)

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(run_task, "get_run_logger", lambda: logging.getLogger(__name__))
    run_task._keep_place(300)
    assert slept == [300]


@pytest.mark.parametrize("error", [None, AlchemiscaleClientError("no answer"), ConnectionError("no route")])
def test_an_attempt_is_given_back_and_left_when_nothing_of_it_computes(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    did: list[str] = []

    def end(code: int, last_word: Callable[[], None]) -> None:
        did.append(f"halted, to end with {code}")
        last_word()

    def give_back() -> None:
        did.append("given back")
        if error is not None:
            raise error

    monkeypatch.setattr(run_task.processes, "end", end)
    monkeypatch.setattr(run_task, "get_run_logger", lambda: logging.getLogger("flow run"))
    run_task._stop_now(give_back, lambda: did.append("left"))
    assert did == ["halted, to end with 143", "given back", "left"]


@pytest.mark.parametrize(("cancelled", "cause"), [(True, "cancelled"), (False, "stopped")])
def test_who_is_told_to_stop_asks_prefect_whether_somebody_wants_that(
    monkeypatch: pytest.MonkeyPatch, cancelled: bool, cause: str
) -> None:
    flow_run_id = uuid.uuid4()
    released: list[str] = []

    class Client:
        execution = Execution("task", 1, flow_run_id, 1, "host")

        def release(self, reason: str, cause: str) -> None:
            released.append(cause)

    monkeypatch.setattr(run_task, "is_cancelled", lambda flow_run: cancelled and flow_run == flow_run_id)
    monkeypatch.setattr(run_task, "get_run_logger", lambda: logging.getLogger("flow run"))
    run_task._told_to_stop(Client())
    assert released == [cause]
