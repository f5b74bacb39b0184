"""The flow that performs the Strategies of networks; for the control pool."""

from collections import Counter
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from alchemiscale_prefect import settings as environment
from alchemiscale_prefect.bootstrap import perform_strategy, strategies_due
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.orchestration.reporting import report_proposal
from alchemiscale_prefect.settings import StrategySettings

_STRATEGY_FAILED = "StrategyFailed"
_PERFORMED = ("Completed", _STRATEGY_FAILED)


@task(name="perform-strategy", task_run_name="{network}", persist_result=False, cache_policy=NO_CACHE)
def perform(network: str) -> State[Any]:
    """One iteration of a network's Strategy.

    Parameters
    ----------
    network
        Its ScopedKey, which is also the task run's name.

    Returns
    -------
    State
        Completed, or Failed if the Strategy raised; the network's table artifact has what was done.
    """
    # gufe takes seconds to import, and most flow runs find nothing that is due
    from alchemiscale_prefect.strategies.performing import propose

    proposal = perform_strategy(ScopedKey.from_str(network), propose)
    if proposal is None:
        return Completed(message="another iteration was faster")
    report_proposal(proposal)
    if proposal.exception is not None:
        return Failed(name=_STRATEGY_FAILED, message=proposal.summary)
    return Completed(message=proposal.summary)


@flow(name="strategy", persist_result=False, validate_parameters=False)
def strategy(network: str | None = None) -> State[Any]:
    """Perform the Strategies that are due.

    Parameters
    ----------
    network
        ScopedKey of a network whose Strategy is to be performed in any case, and no other's.

    Returns
    -------
    State
        Completed if each was performed, also where a Strategy failed by itself: then the task run says so, and the
        Strategy's state. Failed if one could not be.
    """
    networks = [str(key) for key in strategies_due()] if network is None else [network]
    if not networks:
        return Completed(message="no Strategy is due")
    parallel = environment.read(StrategySettings).strategy_parallel
    with ThreadPoolTaskRunner[Any](max_workers=parallel) as runner:
        futures = [runner.submit(perform, {"network": name}) for name in networks]
        for future in futures:
            future.wait()
        names = [future.state.name or "" for future in futures]
    told = ", ".join(f"{number} {name}" for name, number in sorted(Counter(names).items()))
    not_performed = [key for key, name in zip(networks, names, strict=True) if name not in _PERFORMED]
    if not_performed:
        return Failed(message=f"{told}; not performed: {', '.join(not_performed)}")
    return Completed(message=told)
