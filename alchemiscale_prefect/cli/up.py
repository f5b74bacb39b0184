"""``alchemiscale-prefect up``."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer


def default_folder() -> Path:
    """Where the local stack keeps everything, unless told otherwise."""
    import platformdirs

    return platformdirs.user_data_path("alchemiscale-prefect")


def command(
    data: Annotated[Path | None, typer.Option(help="Folder for everything the stack keeps.")] = None,
    flow_runs: Annotated[int, typer.Option(min=1, help="Tasks executed at once.")] = 2,
) -> None:
    """Run Postgres, Prefect, the API, a dispatcher and a worker on this machine; Ctrl-C stops them all."""
    from alchemiscale_prefect.local.stack import USER, LocalStack, StackOptions
    from alchemiscale_prefect.sdk.profile import Profile, remove_profile, write_profile

    asked_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.set())
    folder = data or default_folder()
    with LocalStack(
        folder, StackOptions(flow_runs=flow_runs), say=lambda text: typer.echo(f"starting {text} …")
    ) as stack:
        config = stack.config
        profile = Profile(config.api_url, USER, config.user_key)
        write_profile(profile)
        typer.echo(
            f"\nAPI         {config.api_url}\nPrefect UI  {config.prefect_ui_url}\nData        {stack.layout.folder}\n"
            f"Logs        {stack.layout.logs}\n\n"
            "AlchemiscaleClient() connects to it from any Python on this machine. Ctrl-C stops everything."
        )
        try:
            while not asked_to_stop.wait(1.0):
                stack.check()
        except KeyboardInterrupt:
            pass
        finally:
            typer.echo("\nstopping …")
            remove_profile(only=profile)
