"""Whether somebody looks after the rest: the flows of the control pool, their schedules, the pool and its workers."""

from collections.abc import Iterator

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.responses import DeploymentResponse

from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain.checks import Check
from alchemiscale_prefect.orchestration.control import RECONCILE, STRATEGY, ControlFlow
from alchemiscale_prefect.orchestration.pool_checks import check_pool

DEPLOY = "run: alchemiscale-prefect deploy, with --pool and --control-pool if they have other names than by default"
_RESUME = "switch it on in Prefect's pages, under Deployments"


def check_control(client: SyncPrefectClient, pool: str) -> Iterator[Check]:
    """Look at the flows of the control pool, and at the work pools that they run on.

    Parameters
    ----------
    pool
        The one that Tasks run on, which is looked at anyway; the control pool may be the same.
    """
    pools: set[str] = set()
    for flow in (RECONCILE, STRATEGY):
        found = client.read_deployments(flow_filter=FlowFilter(name=FlowFilterName(any_=[flow.name])))
        of_ours = [deployment for deployment in found if deployment.entrypoint == flow.entrypoint]
        looked_at = [(_deployment(flow, deployment), deployment.work_pool_name) for deployment in of_ours]
        # one that is well is enough: others may be left over
        well = [(check, name) for check, name in looked_at if check.status is checks.CheckStatus.ok]
        if not looked_at:
            yield checks.failed(_name(flow), f"there is none: {flow.otherwise}", DEPLOY)
            continue
        check, name = (well or looked_at)[0]
        yield check
        pools |= {name} if name else set()
    for name in sorted(pools):
        if name == pool:
            yield checks.ok("control pool", f"is the work pool, {name!r}")
        else:
            yield from check_pool(client, name, "control pool", "control workers")


def _deployment(flow: ControlFlow, deployment: DeploymentResponse) -> Check:
    name, told = _name(flow), f"'{flow.name}/{deployment.name}'"
    if deployment.work_pool_name is None:
        return checks.failed(name, f"{told} has no work pool, it was deleted: {flow.otherwise}", DEPLOY)
    if deployment.paused:
        return checks.warning(name, f"{told} is paused: {flow.otherwise}", _RESUME)
    if not deployment.schedules:
        # deploying again leaves schedules as they are
        fix = f"run: prefect deployment delete {told}, then alchemiscale-prefect deploy"
        return checks.warning(name, f"{told} has no schedule: {flow.otherwise}", fix)
    if not any(item.active for item in deployment.schedules):
        fix = f"run: prefect deployment schedule resume {told} --all"
        return checks.warning(name, f"every schedule of {told} is paused: {flow.otherwise}", fix)
    return checks.ok(name, told)


def _name(flow: ControlFlow) -> str:
    return f"{flow.name} deployment"
