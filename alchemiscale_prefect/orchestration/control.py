"""The control pool: flows that look after the rest. They reach our tables, which compute nodes do not."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import ObjectNotFound

RECONCILE = "reconcile"
ENTRYPOINT = "alchemiscale_prefect.flows.reconcile.reconcile"
# a run costs seconds of CPU; the dispatchers do what is urgent
EVERY = timedelta(minutes=10)
OBJECTS_EVERY = timedelta(days=1)


def deploy_reconcile(
    client: SyncPrefectClient,
    control_pool: str,
    *,
    working_directory: Path,
    job_variables: dict[str, Any] | None = None,
) -> str:
    """Make or update the deployment that holds tables, Prefect and object store against each other.

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
        Its name, ``reconcile/<control pool>``.
    """
    name = f"{RECONCILE}/{control_pool}"
    client.create_deployment(
        flow_id=client.create_flow_from_name(RECONCILE),
        name=control_pool,
        work_pool_name=control_pool,
        entrypoint=ENTRYPOINT,
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(working_directory)}}],
        job_variables=job_variables or {},
        schedules=_schedules(client, name),
        # one at a time; that a restart of the server may crash one does no harm, another follows
        concurrency_limit=1,
        concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        enforce_parameter_schema=False,
        parameter_openapi_schema={"type": "object", "properties": {}},
        tags=["alchemiscale"],
        description="Holds our tables, Prefect's flow runs and the object store against each other, and mends",
    )
    return name


def _schedules(client: SyncPrefectClient, name: str) -> list[DeploymentScheduleCreate]:
    try:
        known = client.read_deployment_by_name(name).schedules
    except ObjectNotFound:
        return [
            DeploymentScheduleCreate(schedule=IntervalSchedule(interval=EVERY), slug="runs", max_scheduled_runs=2),
            DeploymentScheduleCreate(
                schedule=IntervalSchedule(interval=OBJECTS_EVERY),
                slug="objects",
                max_scheduled_runs=1,
                parameters={"objects": True},
            ),
        ]
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
