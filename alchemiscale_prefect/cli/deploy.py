"""``alchemiscale-prefect deploy``."""

from pathlib import Path
from typing import Annotated

import typer

from alchemiscale_prefect.cli.output import Json, answer, line


def command(
    pool: Annotated[str, typer.Option(help="Name of the work pool.")] = "alchemiscale",
    working_directory: Annotated[Path, typer.Option(help="Where flow runs start, on the workers.")] = Path("/tmp"),  # noqa: S108
    command: Annotated[
        str | None, typer.Option(help="How a worker starts a flow run; Prefect's way if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the work pool and the deployment that executes Tasks, or bring them up to date. Safe to repeat."""
    from alchemiscale_prefect.orchestration.deployments import deploy

    name = deploy(pool, working_directory=working_directory, job_variables={"command": command} if command else None)
    answer({"deployment": name, "pool": pool}, as_json, lambda: line(f"deployment {name}"))
