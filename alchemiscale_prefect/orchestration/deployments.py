"""Work pools, deployments and automations, made or brought up to date."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound

from alchemiscale_prefect.orchestration.automations import HEARTBEAT, automations, ensure_automations
from alchemiscale_prefect.orchestration.control import RECONCILE, STRATEGY, deploy_control
from alchemiscale_prefect.orchestration.reach import reached, require_api_url

FLOW_NAME = "run-task"
ENTRYPOINT = "alchemiscale_prefect.flows.run_task.run_task"
HEARTBEAT_FREQUENCY = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"


def ensure_process_pool(
    client: SyncPrefectClient, name: str, description: str = "Tasks of alchemiscale-prefect"
) -> None:
    """Make the work pool `name` of type process, if it is not there."""
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=name, type="process", description=description))


def deploy_run_task(
    client: SyncPrefectClient, pool: str, *, working_directory: Path, job_variables: dict[str, Any] | None = None
) -> str:
    """Make or update the deployment that executes Tasks on `pool`.

    Parameters
    ----------
    working_directory
        Where flow runs start; must exist on the workers. Without it a worker would copy its own directory.
    job_variables
        Defaults for every flow run, over those of the pool.

    Returns
    -------
    str
        Its name, ``run-task/<pool>``.
    """
    flow_id = client.create_flow_from_name(FLOW_NAME)
    client.create_deployment(
        flow_id=flow_id,
        name=pool,
        work_pool_name=pool,
        entrypoint=ENTRYPOINT,
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(working_directory)}}],
        # the automation for silent flow runs goes by these heartbeats
        job_variables={"env": {HEARTBEAT_FREQUENCY: f"{HEARTBEAT.total_seconds():.0f}"}, **(job_variables or {})},
        # parameters are two keys that the dispatcher writes; the schema would be checked once per flow run
        enforce_parameter_schema=False,
        parameter_openapi_schema={"type": "object", "properties": {}},
        tags=["alchemiscale"],
        description="Executes one Task: its ProtocolDAG, unit by unit",
    )
    return f"{FLOW_NAME}/{pool}"


@dataclass(frozen=True, slots=True)
class Deployed:
    """What `deploy` made or brought up to date, by name."""

    deployment: str
    pool: str
    control_pool: str
    reconcile: str
    strategy: str
    automations: tuple[str, ...]


def deploy(
    pool: str,
    *,
    control_pool: str,
    working_directory: Path,
    start_timeout: timedelta,
    job_variables: dict[str, Any] | None = None,
) -> Deployed:
    """Make what the system needs at the configured ``PREFECT_API_URL``: work pools, deployments, automations.

    Parameters
    ----------
    pool, control_pool
        Where Tasks are executed, and where flows run that look after the rest; the latter may be the former if its
        workers reach the database.
    start_timeout
        How long a flow run may be Pending.

    Raises
    ------
    InvalidInput
        None is configured.
    Unavailable
        Prefect cannot be reached there, or refuses.
    """
    require_api_url()
    with reached(), get_client(sync_client=True) as client:
        ensure_process_pool(client, pool)
        ensure_process_pool(client, control_pool, "Looks after the Tasks of alchemiscale-prefect")
        name = deploy_run_task(client, pool, working_directory=working_directory, job_variables=job_variables)
        command = {key: value for key, value in (job_variables or {}).items() if key == "command"}
        reconcile, strategy = (
            deploy_control(client, flow, control_pool, working_directory=working_directory, job_variables=command)
            for flow in (RECONCILE, STRATEGY)
        )
        made = ensure_automations(client, automations(FLOW_NAME, start_timeout))
    return Deployed(name, pool, control_pool, reconcile, strategy, tuple(made))
