"""Prefect automations: flow runs that fall silent or never start are Crashed, so that they hold no place in a pool.

For Prefect's eyes and limits only. The attempts behind them are given up by their leases, and by the dispatchers.
"""

from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.filters import AutomationFilter, AutomationFilterName
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from alchemiscale_prefect.orchestration.states import SILENT, STUCK

HEARTBEAT = timedelta(seconds=60)
"""How often flow runs are heard of; `deployments` sets it for theirs."""

SILENT_NAME = "alchemiscale: silent flow runs"
STUCK_NAME = "alchemiscale: flow runs stuck in Pending"

_ANY = "prefect.flow-run.*"
_PENDING = {f"prefect.flow-run.{name}" for name in ("Pending", "Submitting", "InfrastructurePending")}


def automations(flow_name: str, pending: timedelta, silent: timedelta = 3 * HEARTBEAT) -> tuple[AutomationCore, ...]:
    """Those that `ensure_automations` keeps up.

    Parameters
    ----------
    flow_name
        Whose flow runs.
    pending
        How long one may be Pending.
    silent
        How long one may be silent that was heard of before; several times `HEARTBEAT`.
    """
    return (
        _crash(SILENT_NAME, flow_name, {"prefect.flow-run.heartbeat"}, silent, f"{SILENT} for {_seconds(silent)}"),
        _crash(STUCK_NAME, flow_name, _PENDING, pending, f"{STUCK} for {_seconds(pending)}"),
    )


def ensure_automations(client: SyncPrefectClient, wanted: tuple[AutomationCore, ...]) -> list[str]:
    """Make those automations that are not there, by name; their names.

    One that is there stays as it is: an operator may have changed or switched it off.
    """
    names = [automation.name for automation in wanted]
    known = {
        automation.name
        for automation in client.read_automations(automations=AutomationFilter(name=AutomationFilterName(any_=names)))
    }
    for automation in wanted:
        if automation.name not in known:
            client.create_automation(automation)
    return names


def _crash(name: str, flow_name: str, after: set[str], within: timedelta, message: str) -> AutomationCore:
    return AutomationCore(
        name=name,
        description="Made by `alchemiscale-prefect deploy`, which leaves it as it is once it is there",
        tags=["alchemiscale"],
        trigger=EventTrigger(
            after=after,
            expect={_ANY},
            match={"prefect.resource.id": [_ANY]},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": flow_name},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=within,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=message)],
    )


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g} s"
