"""The work pool and the deployment that runs Tasks, made or brought up to date."""

from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound

from alchemiscale_prefect.orchestration.reach import reached, require_api_url

FLOW_NAME = "run-task"
ENTRYPOINT = "alchemiscale_prefect.flows.run_task.run_task"


def ensure_process_pool(client: SyncPrefectClient, name: str) -> None:
    """Make the work pool `name` of type process, if it is not there."""
    try:
        client.read_work_pool(name)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=name, type="process", description="Tasks of alchemiscale-prefect"))


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
        job_variables=job_variables or {},
        # parameters are two keys that the dispatcher writes; the schema would be checked once per flow run
        enforce_parameter_schema=False,
        parameter_openapi_schema={"type": "object", "properties": {}},
        tags=["alchemiscale"],
        description="Executes one Task: its ProtocolDAG, unit by unit",
    )
    return f"{FLOW_NAME}/{pool}"


def deploy(pool: str, *, working_directory: Path, job_variables: dict[str, Any] | None = None) -> str:
    """`ensure_process_pool` and `deploy_run_task` at the configured ``PREFECT_API_URL``.

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
        return deploy_run_task(client, pool, working_directory=working_directory, job_variables=job_variables)
