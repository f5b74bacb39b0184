"""``alchemiscale-prefect network``."""

import contextlib
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from alchemiscale_prefect.cli import network_copies, network_results
from alchemiscale_prefect.cli.connection import Network, connected, known_network, network_key, there_are
from alchemiscale_prefect.cli.output import Json, answer, cell, line, record, table
from alchemiscale_prefect.cli.submission import (
    File,
    InScope,
    State,
    TaskCount,
    answer_with_tasks,
    read_network,
)
from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.tasks import TaskStatus

app = typer.Typer(no_args_is_help=True)


@app.command()
def submit(
    file: File,
    scope: InScope,
    state: State = NetworkState.active,
    tasks: TaskCount = None,
    as_json: Json = False,
) -> None:
    """Submit an AlchemicalNetwork. Repeated, it changes nothing."""
    where = Scope.from_str(scope)
    network = read_network(file)
    with connected() as client:
        key = client.create_network(network, where, state, visualize=False)
        answer_with_tasks(client, key, tasks, as_json)


@app.command("list")
def list_networks(
    scope: Annotated[str, typer.Option(metavar="SCOPE", help="Only in this Scope, '*' from the right.")] = "*-*-*",
    name: Annotated[str | None, typer.Option(help="A regular expression that the whole name fits.")] = None,
    state: Annotated[str, typer.Option(help="A state, a regular expression for it, or 'any'.")] = NetworkState.active,
    as_json: Json = False,
) -> None:
    """Networks with their state, weight and Tasks by status, oldest first."""
    where = Scope.from_str(scope)
    with connected() as client:
        found = client.query_networks(name=name, scope=where, state=None if state == "any" else state)
        details = [item for item in client.get_networks_details(found) if item is not None] if found else []

    def text() -> None:
        table(
            ("network", "name", "state", "weight", "Transformations", "Tasks"),
            [
                (item.network, item.name, item.state, item.weight, item.transformations, _counts(item.status))
                for item in details
            ],
            empty="no networks",
        )

    answer({"networks": details}, as_json, text)


@app.command()
def status(network: Network, as_json: Json = False) -> None:
    """How far a network is: its Tasks by status, and the ProtocolUnits of the running ones."""
    key = network_key(network)
    with connected() as client:
        (details,) = there_are([key], client.get_networks_details([key]))
        progress = client.get_network_progress(key)
    units = {"units_done": progress.units_done, "units_total": progress.units_total}

    def text() -> None:
        record(
            {
                "network": key,
                "name": details.name,
                "state": details.state,
                "weight": details.weight,
                "submitted": details.datetime_created,
                "by": details.creator,
                **({} if details.ancestor is None else {"extends": details.ancestor}),
                "Transformations": details.transformations,
                **{member.value: details.status.get(member.value, 0) for member in TaskStatus},
                "units of running Tasks": f"{progress.units_done}/{progress.units_total}",
            }
        )

    answer({**details.model_dump(), **units}, as_json, text)


@app.command()
def watch(
    network: Network,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 10.0,
    for_ever: Annotated[bool, typer.Option("--for-ever", help="Until Ctrl-C, also when all is done.")] = False,
    as_json: Json = False,
) -> None:
    """Follow a network until its Tasks are done. Exit code 1 if some of them are in error then."""
    # the one document on standard output comes at the end; what is shown until then is for whoever looks on
    showing = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    with connected() as client, showing:
        key = known_network(client, network)
        counts = client.watch(key, interval_seconds=interval, until_done=not for_ever)
    answer({"network": key, "status": counts}, as_json, lambda: None)
    if counts.get(TaskStatus.error):
        raise typer.Exit(1)


app.command()(network_results.results)
app.command()(network_results.archive)
app.command()(network_copies.copy)
app.command()(network_copies.merge)
app.command()(network_copies.extend)


@app.command()
def state(
    network: Network,
    new: Annotated[NetworkState | None, typer.Argument(metavar="STATE", help="The state to give it.")] = None,
    stop_tasks: Annotated[
        bool, typer.Option("--stop-tasks", help="Also take its Tasks off it, and stop those that run.")
    ] = False,
    as_json: Json = False,
) -> None:
    """The state of a network; with STATE, set it."""
    if stop_tasks and new is None:
        raise typer.BadParameter("--stop-tasks goes with a STATE")
    key = network_key(network)
    with connected() as client:
        if new is not None:
            there_are([key], [client.set_network_state(key, new, stop_tasks=stop_tasks)])
        (found,) = there_are([key], [client.get_network_state(key)])
    answer({"network": key, "state": found}, as_json, lambda: line(found))


@app.command()
def weight(
    network: Network,
    new: Annotated[
        float | None,
        typer.Argument(metavar="WEIGHT", min=0.0, max=1.0, help="Its share of the compute; 0 runs nothing."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The weight of a network; with WEIGHT, set it."""
    key = network_key(network)
    with connected() as client:
        if new is not None:
            there_are([key], [client.set_network_weight(key, new)])
        (found,) = there_are([key], [client.get_network_weight(key)])
    answer({"network": key, "weight": found}, as_json, lambda: line(cell(found)))


def _counts(counts: Mapping[str, int]) -> str:
    return " ".join(f"{counts[member.value]} {member.value}" for member in TaskStatus if counts.get(member.value))
