"""The compute flow: one execution of a Task. Every ProtocolUnit is a task run in it."""

import contextlib
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NoReturn
from uuid import UUID

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from alchemiscale_prefect.blocks.credentials import load_compute_settings
from alchemiscale_prefect.domain.errors import AlchemiscaleError, AttemptVoid, HostRefused
from alchemiscale_prefect.execution import processes
from alchemiscale_prefect.execution.compute_client import ComputeClient, Execution
from alchemiscale_prefect.execution.lease import EXIT_CODE, end_process
from alchemiscale_prefect.execution.walltime import CutShort, OutOfTime
from alchemiscale_prefect.orchestration.cancellation import is_cancelled
from alchemiscale_prefect.orchestration.reporting import PrefectReport
from alchemiscale_prefect.settings import ComputeSettings

# units under way are limited by our own schedule (`max_parallel_units`); the pool must not be the narrower one
_MOST_PARALLEL_UNITS = 64


@task(name="protocol-unit", persist_result=False, cache_policy=NO_CACHE)
def protocol_unit(unit: Any) -> Any:
    """One ProtocolUnit, with Prefect's retries; see `execution.units.UnitRun`."""
    return unit.attempt()


@flow(
    name="run-task",
    persist_result=False,
    validate_parameters=False,
    task_runner=ThreadPoolTaskRunner[Any](max_workers=_MOST_PARALLEL_UNITS),  # type: ignore[arg-type]  # Prefect's own
)
def run_task(task: str, attempt: int) -> State[Any]:
    """Execute a Task's ProtocolDAG.

    Parameters
    ----------
    task
        ScopedKey of the Task.
    attempt
        Number of the attempt that the dispatcher wrote down.

    Returns
    -------
    State
        Completed, Failed (the Protocol's units failed), or Cancelled (the attempt is void, or its host refused: nothing
        was done; or no time is left on the host, and the next attempt goes on).
    """
    # gufe takes seconds to import, and a void attempt does not need it
    from alchemiscale_prefect.execution.attempt import Attempt

    processes.end_orphans()
    processes.mark()
    processes.outlive_reader()
    settings = load_compute_settings()
    client = _client(settings, task, attempt)
    report = PrefectReport(task)
    work = Attempt(
        client,
        settings,
        run_unit=lambda unit, done: _submit(settings, unit, done),
        report=report,
        on_lost=lambda left: end_process(min(settings.termination_grace_seconds, left)),
    )
    try:
        outcome = work.run()
    except HostRefused as refused:
        _keep_place(refused.retry_after)
        return Cancelled(message=str(refused))
    except AttemptVoid as void:
        return Cancelled(message=str(void))
    except OutOfTime as over:
        return Cancelled(message=f"{over}; the next attempt goes on from here")
    except CutShort as cut:
        _stop_now(partial(_give_back, client, str(cut), "stopped" if cut.useful else "failed"), work.abandon)
    except TerminationSignal:
        _stop_now(partial(_told_to_stop, client), work.abandon)
    finally:
        client.close()
    if outcome.status == "complete":
        return Completed(message=f"{outcome.name}: {report.summary(outcome)}")
    return Failed(message=f"{outcome.name}: {'; '.join(outcome.failures)}")


def _client(settings: ComputeSettings, task: str, attempt: int) -> ComputeClient:
    run_count = int(flow_run.run_count or 1)
    host = settings.host or socket.gethostname()
    execution = Execution(task, attempt, UUID(flow_run.id), run_count, host, settings.image)
    return ComputeClient.connect(settings.api_url, settings.identifier, settings.key.get_secret_value(), execution)


def _keep_place(seconds: float) -> None:
    """Stay, so that a host that may run nothing does not go through the queue; until told to stop."""
    get_run_logger().warning("this host is refused Tasks; its place at the worker is kept for %.0f s", seconds)
    with contextlib.suppress(TerminationSignal):
        time.sleep(seconds)


def _submit(settings: ComputeSettings, unit: Any, done: Any) -> None:
    future = protocol_unit.with_options(
        task_run_name=unit.name,
        retries=settings.n_retries,
        retry_delay_seconds=settings.retry_delay_seconds,
        retry_condition_fn=_unit_failed,
    ).submit(unit)

    def finished(future: Any) -> None:
        try:
            done(future.result())
        except BaseException as error:  # noqa: BLE001  handed to the schedule, which raises it in the flow
            done(error)

    future.add_done_callback(finished)


def _unit_failed(_task: Any, _task_run: Any, state: State[Any]) -> bool:
    """Whether a try is worth another: the unit itself failed, and not by what it will do again. Hours of computing
    again do not help a result that could not be stored, nor an attempt that is void."""
    from alchemiscale_prefect.execution.units import UnitFailed

    return isinstance(state.data, UnitFailed) and state.data.again


def _stop_now(give_back: Callable[[], None], abandon: Callable[[], None]) -> NoReturn:
    """Give the attempt back and go.

    At once and hard: units run in threads that nothing can interrupt, and once the attempt is given back the next one
    may begin. So nothing that they have started may compute on either.
    """

    def last_word() -> None:
        try:
            give_back()
        except (AlchemiscaleError, OSError) as error:
            get_run_logger().warning("the attempt could not be given back, its lease will run out: %s", error)
        abandon()

    processes.end(EXIT_CODE, last_word)


def _told_to_stop(client: ComputeClient) -> None:
    """A cancellation, the end of the walltime, a worker that shuts down."""
    if is_cancelled(client.execution.flow_run_id):
        client.release("its flow run was cancelled in Prefect", cause="cancelled")
        get_run_logger().warning(
            "cancelled in Prefect; the Task is in error until it is set waiting, its checkpoint kept"
        )
    else:
        _give_back(client, "its flow run was told to stop", "stopped")


def _give_back(client: ComputeClient, reason: str, cause: Literal["failed", "stopped"]) -> None:
    client.release(reason, cause=cause)
    get_run_logger().warning("%s; the attempt is given back, its checkpoint kept", reason)
