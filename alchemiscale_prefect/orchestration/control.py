"""The control pool: flows that look after the rest. They reach our tables, which compute nodes do not."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import ObjectNotFound


@dataclass(frozen=True, slots=True)
class ControlFlow:
    """A scheduled flow of the control pool, one run at a time.

    Attributes
    ----------
    name, entrypoint
        Of the flow.
    description
        Of the deployment.
    schedules
        What it begins with.
    otherwise
        What is so as long as it does not run.
    """

    name: str
    entrypoint: str
    description: str
    schedules: tuple[DeploymentScheduleCreate, ...]
    otherwise: str


def _every(interval: timedelta, slug: str, most: int = 2, **parameters: Any) -> DeploymentScheduleCreate:
    schedule = IntervalSchedule(interval=interval)
    return DeploymentScheduleCreate(schedule=schedule, slug=slug, max_scheduled_runs=most, parameters=parameters)


# a run costs seconds of CPU, also where there is nothing to do; the dispatchers do what is urgent
RECONCILE = ControlFlow(
    "reconcile",
    "alchemiscale_prefect.flows.reconcile.reconcile",
    "Holds our tables, Prefect's flow runs and the object store against each other, and mends",
    (_every(timedelta(minutes=10), "runs"), _every(timedelta(days=1), "objects", most=1, objects=True)),
    "what no dispatcher looks after is not mended",
)
STRATEGY = ControlFlow(
    "strategy",
    "alchemiscale_prefect.flows.strategy.strategy",
    "Performs the Strategies of networks that are due",
    (_every(timedelta(minutes=5), "due"),),
    "no Strategy is performed by itself",
)


def deploy_control(
    client: SyncPrefectClient,
    flow: ControlFlow,
    control_pool: str,
    *,
    working_directory: Path,
    job_variables: dict[str, Any] | None = None,
) -> str:
    """Make or update the deployment of a flow of the control pool.

    Schedules that it has already stay as they are: an operator may have changed or paused them.

    Parameters
    ----------
    control_pool
        A work pool whose workers reach the database and the object store.
    working_directory
        Where flow runs start; must exist on the workers.

    Returns
    -------
    str
        Its name, ``<flow>/<control pool>``.
    """
    name = f"{flow.name}/{control_pool}"
    client.create_deployment(
        flow_id=client.create_flow_from_name(flow.name),
        name=control_pool,
        work_pool_name=control_pool,
        entrypoint=flow.entrypoint,
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(working_directory)}}],
        job_variables=job_variables or {},
        schedules=_schedules(client, flow, name),
        # one at a time; that a restart of the server may crash one does no harm, another follows
        concurrency_limit=1,
        concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        enforce_parameter_schema=False,
        parameter_openapi_schema={"type": "object", "properties": {}},
        tags=["alchemiscale"],
        description=flow.description,
    )
    return name


def _schedules(client: SyncPrefectClient, flow: ControlFlow, name: str) -> list[DeploymentScheduleCreate]:
    try:
        known = client.read_deployment_by_name(name).schedules
    except ObjectNotFound:
        return list(flow.schedules)
    return [
        DeploymentScheduleCreate(
            schedule=item.schedule,
            active=item.active,
            slug=item.slug,
            max_scheduled_runs=item.max_scheduled_runs,
            parameters=item.parameters,
        )
        for item in known
    ]
