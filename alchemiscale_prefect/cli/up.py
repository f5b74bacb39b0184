"""``alchemiscale-prefect up``."""

import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from alchemiscale_prefect.cli.output import Json, answer, line, note, record


def default_folder() -> Path:
    """Where the local stack keeps everything, unless told otherwise."""
    import platformdirs

    return platformdirs.user_data_path("alchemiscale-prefect")


def command(
    data: Annotated[Path | None, typer.Option(help="Folder for everything the stack keeps.")] = None,
    flow_runs: Annotated[int, typer.Option(min=1, help="Tasks executed at once.")] = 2,
    as_json: Json = False,
) -> None:
    """Run Postgres, Prefect, the API, a dispatcher and a worker on this machine; Ctrl-C stops them all."""
    from alchemiscale_prefect.local.stack import USER, LocalStack, StackOptions
    from alchemiscale_prefect.sdk.profile import Profile, remove_profile, write_profile

    asked_to_stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.set())
    folder = data or default_folder()
    # with --json, the one document on standard output says that everything runs, and where
    say = note if as_json else line
    with LocalStack(folder, StackOptions(flow_runs=flow_runs), say=lambda text: say(f"starting {text} …")) as stack:
        config = stack.config
        profile = Profile(config.api_url, USER, config.user_key)
        write_profile(profile)
        where = {
            "api_url": config.api_url,
            "prefect_ui_url": config.prefect_ui_url,
            "data": stack.layout.folder,
            "logs": stack.layout.logs,
        }
        answer(where, as_json, lambda: _show(where))
        sys.stdout.flush()
        try:
            while not asked_to_stop.wait(1.0):
                stack.check()
        except KeyboardInterrupt:
            pass
        finally:
            say("\nstopping …")
            remove_profile(only=profile)


def _show(where: Mapping[str, object]) -> None:
    names = {"api_url": "API", "prefect_ui_url": "Prefect UI", "data": "Data", "logs": "Logs"}
    line("")
    record({names[name]: value for name, value in where.items()})
    line("\nAlchemiscaleClient() connects to it from any Python on this machine. Ctrl-C stops everything.")
