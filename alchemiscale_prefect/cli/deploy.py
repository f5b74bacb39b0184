"""``alchemiscale-prefect deploy``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from alchemiscale_prefect.cli.output import Json, answer, line


def command(
    pool: Annotated[str, typer.Option(help="Name of the work pool.")] = "alchemiscale",
    control_pool: Annotated[
        str, typer.Option(help="Work pool for what looks after the rest; its workers reach the database.")
    ] = "alchemiscale-control",
    working_directory: Annotated[Path, typer.Option(help="Where flow runs start, on the workers.")] = Path("/tmp"),  # noqa: S108
    command: Annotated[
        str | None, typer.Option(help="How a worker starts a flow run; Prefect's way if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make work pools, deployments and automations in Prefect, or bring them up to date. Safe to repeat."""
    from datetime import timedelta

    from alchemiscale_prefect import settings as environment
    from alchemiscale_prefect.orchestration.deployments import deploy
    from alchemiscale_prefect.settings import DispatchSettings

    made = deploy(
        pool,
        control_pool=control_pool,
        working_directory=working_directory,
        start_timeout=timedelta(seconds=environment.read(DispatchSettings).start_timeout_seconds),
        job_variables={"command": command} if command else None,
    )

    def text() -> None:
        line(f"deployment {made.deployment}")
        line(f"deployment {made.reconcile}")
        line(f"deployment {made.strategy}")
        for name in made.automations:
            line(f"automation {name}")

    answer(asdict(made), as_json, text)
