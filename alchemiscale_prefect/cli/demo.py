"""``alchemiscale-prefect demo``: a real network, from submission to free energies."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alchemiscale_prefect.cli.output import Json, answer

if TYPE_CHECKING:
    from rich.console import Console

    from alchemiscale_prefect.domain.keys import ScopedKey
    from alchemiscale_prefect.local.stack import LocalStack
    from alchemiscale_prefect.sdk.client import AlchemiscaleClient

SCOPE = ("demo", "noble_gases", "liquid_argon")


def command(
    data: Annotated[Path, typer.Option(help="Folder for everything the demo keeps.")] = Path(".demo"),
    count: Annotated[int, typer.Option(min=1, help="Tasks (repeats) per Transformation.")] = 1,
    as_json: Json = False,
) -> None:
    """Run a network of noble gases in liquid argon on this machine: real calculations with known answers.

    Everything stays in the folder; a second run executes only what is not finished.
    """
    from rich.console import Console

    from alchemiscale_prefect.cli import demo_report
    from alchemiscale_prefect.local.stack import USER, LocalStack, StackOptions

    # with --json, standard output has the one document alone
    console = Console(stderr=as_json)
    began = time.monotonic()
    # one more than there are cores on a small laptop: a flow run that starts or ends leaves them idle
    options = StackOptions(flow_runs=3)
    with LocalStack(data, options, say=lambda text: console.print(f"[dim]{elapsed(began)} starting {text} …")) as stack:
        from alchemiscale_prefect.sdk.client import AlchemiscaleClient

        config = stack.config
        client = AlchemiscaleClient(config.api_url, USER, config.user_key, use_local_cache=False)
        network, tasks, made = submit(client, count)
        console.print(
            f"{elapsed(began)} {network}\n      {len(tasks)} Tasks, {made} of them new; "
            f"watch them run at [link]{config.prefect_ui_url}/runs[/link]"
        )
        _watch(client, stack, network, console)
        report = demo_report.collect(client, network)
        answer({"network": network, **report.document()}, as_json, lambda: demo_report.show(report, console))
        console.print(
            f"\nPrefect UI  {config.prefect_ui_url} (while a stack runs on the folder: "
            f"alchemiscale-prefect up --data {data})\nResults     {stack.layout.folder}\n{elapsed(began)} in all"
        )
    if report.failed:
        raise typer.Exit(1)


def submit(client: "AlchemiscaleClient", count: int) -> "tuple[ScopedKey, list[ScopedKey], int]":
    """Submit the demo network and see that each Transformation has `count` Tasks, actioned unless finished.

    Returns
    -------
    tuple
        The network, its Tasks, and how many of them are new.
    """
    from alchemiscale_prefect.domain.scopes import Scope
    from alchemiscale_prefect.protocols.demo import demo_network

    network = client.create_network(demo_network(), Scope(*SCOPE), visualize=False)
    missing: list[ScopedKey] = []
    for transformation in client.get_network_transformations(network):
        there = client.get_transformation_tasks(transformation)
        missing += [transformation] * max(count - len(there), 0)
    made = client.create_transformations_tasks(missing) if missing else []
    tasks = client.get_network_tasks(network)
    waiting = client.get_network_tasks(network, status="waiting")
    if waiting:
        client.action_tasks(waiting, network)
    return network, tasks, len(made)


def elapsed(began: float) -> str:
    """Seconds since `began`, to stand before a line."""
    return f"{time.monotonic() - began:5.0f} s"


def _watch(client: "AlchemiscaleClient", stack: "LocalStack", network: "ScopedKey", console: "Console") -> None:
    from rich.live import Live

    from alchemiscale_prefect.cli import demo_report

    began = time.monotonic()
    told = None
    with Live(console=console, refresh_per_second=4) as live:
        while True:
            stack.check()
            progress = client.get_network_progress(network)
            if console.is_terminal:
                live.update(demo_report.progress_table(progress, time.monotonic() - began))
            elif progress.status != told:  # in a log, a line per change
                told = progress.status
                console.print(demo_report.progress_line(progress, time.monotonic() - began))
            if not any(progress.status.get(status) for status in ("waiting", "running")):
                return
            time.sleep(1.0)
