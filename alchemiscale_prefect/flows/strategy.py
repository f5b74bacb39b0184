"""The flow that performs the Strategies of networks; for the control pool."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any

import structlog
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectConcurrentFuture
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from alchemiscale_prefect import settings as environment
from alchemiscale_prefect.bootstrap import perform_strategy, strategies_due, strategy_processes
from alchemiscale_prefect.domain.errors import Conflict, NotFound, Unavailable
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.orchestration.reach import reached
from alchemiscale_prefect.orchestration.reporting import report_proposal
from alchemiscale_prefect.services.strategy_processes import StrategyProcesses
from alchemiscale_prefect.settings import StrategySettings

log = structlog.get_logger(__name__)

_STRATEGY_FAILED = "StrategyFailed"
_NOT_TO_BE = "NotToBePerformed"
_PERFORMED = ("Completed", _STRATEGY_FAILED)
_SETTLED = (*_PERFORMED, _NOT_TO_BE)
_LOOK_SECONDS = 60.0


@task(name="perform-strategy", task_run_name="{network}", persist_result=False, cache_policy=NO_CACHE)
def perform(network: str, processes: StrategyProcesses) -> State[Any]:
    """One iteration of a network's Strategy.

    Parameters
    ----------
    network
        Its ScopedKey, which is also the task run's name.
    processes
        Where the Strategy is asked.

    Returns
    -------
    State
        Completed, or Failed if the Strategy failed; the network's table artifact has what was done. Failed too if it
        is not to be performed: it was removed, disabled or the like, perhaps since it was due.
    """
    try:
        proposal = perform_strategy(ScopedKey.from_str(network), processes)
    except (Conflict, NotFound) as error:
        return Failed(name=_NOT_TO_BE, message=str(error))
    if proposal is None:
        return Completed(message="another iteration was faster")
    try:
        with reached():
            report_proposal(proposal)
    except Unavailable as error:
        # it is performed all the same, and its proposal kept with the network
        log.warning("proposal_not_shown", network=network, why=str(error))
    if proposal.exception is not None:
        return Failed(name=_STRATEGY_FAILED, message=proposal.summary)
    return Completed(message=proposal.summary)


@flow(name="strategy", persist_result=False, validate_parameters=False)
def strategy(network: str | None = None) -> State[Any]:
    """Perform the Strategies that are due, and as long as one takes time also those that come to be.

    Parameters
    ----------
    network
        ScopedKey of a network whose Strategy is to be performed in any case, and no other's.

    Returns
    -------
    State
        Completed if each was performed, also where a Strategy failed by itself: then the task run says so, and the
        Strategy's state. Failed if one could not be, or the one asked for is not to be.
    """
    networks = _due() if network is None else [network]
    if not networks:
        return Completed(message="no Strategy is due")
    parallel = environment.read(StrategySettings).strategy_parallel
    with strategy_processes() as processes, ThreadPoolTaskRunner[Any](max_workers=parallel) as runner:

        def begin(name: str) -> PrefectConcurrentFuture[Any]:
            return runner.submit(perform, {"network": name, "processes": processes})

        ended = _all_ended(begin, networks, _due if network is None else list)
    told = ", ".join(f"{number} {name}" for name, number in sorted(Counter(name for _, name in ended).items()))
    settled = _SETTLED if network is None else _PERFORMED
    not_performed = [key for key, name in ended if name not in settled]
    if not_performed:
        return Failed(message=f"{told}; not performed: {', '.join(not_performed)}")
    return Completed(message=told)


def _due() -> list[str]:
    return [str(key) for key in strategies_due()]


def _all_ended(
    begin: Callable[[str], PrefectConcurrentFuture[Any]], networks: Sequence[str], due: Callable[[], Sequence[str]]
) -> list[tuple[str, str]]:
    """Each network that was begun, and the name of the state that it ended in.

    While this flow run lasts no other does anything: one slow Strategy would keep all others from being performed.
    """
    ended: list[tuple[str, str]] = []
    under_way = {name: begin(name) for name in networks}
    look_at = time.monotonic() + _LOOK_SECONDS
    while under_way:
        waited_for = [future.wrapped_future for future in under_way.values()]
        futures.wait(waited_for, max(0.0, look_at - time.monotonic()))
        for name in [name for name, future in under_way.items() if future.wrapped_future.done()]:
            future = under_way.pop(name)
            future.wait()
            ended.append((name, future.state.name or ""))
        if under_way:
            look_at = time.monotonic() + _LOOK_SECONDS
            under_way |= {name: begin(name) for name in due() if name not in under_way}
    return ended
