"""``alchemiscale-prefect strategy``."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alchemiscale_prefect.cli import strategy_simulation
from alchemiscale_prefect.cli.connection import Network, connected, known_network, network_key
from alchemiscale_prefect.cli.output import Json, answer, cell, line, note, printable, record, table
from alchemiscale_prefect.cli.strategy_arguments import ClassOrFile, Settings, TaskScaling, Weighting, read_strategy
from alchemiscale_prefect.domain.errors import Conflict, NotFound
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.strategies import (
    DEFAULT_MAX_TASKS,
    DEFAULT_SLEEP_INTERVAL,
    StrategyMode,
    StrategyState,
    StrategyTaskScaling,
    StrategyWeighting,
)

if TYPE_CHECKING:
    from alchemiscale_prefect.sdk.client import AlchemiscaleClient
    from alchemiscale_prefect.wire.strategies import StrategyProposal

app = typer.Typer(no_args_is_help=True)

_OF_EACH = {"votes": ("vote", 1.0), "confidences": ("confidence", None)}
"""Settings of a stack that are lists, one for each of its Strategies: what one is called, and what ``None`` means."""


@app.command("set")
def set_strategy(
    network: Network,
    strategy: ClassOrFile,
    settings: Settings = None,
    mode: Annotated[StrategyMode, typer.Option(help="May it also cancel Tasks (full), or do nothing?")] = (
        StrategyMode.partial
    ),
    max_tasks: Annotated[
        int, typer.Option(min=1, help="Tasks of one Transformation that wait or run at a time, at most.")
    ] = DEFAULT_MAX_TASKS,
    task_scaling: TaskScaling = StrategyTaskScaling.exponential,
    sleep_interval: Annotated[
        int, typer.Option(min=1, help="Seconds from one iteration to the next, at least.")
    ] = DEFAULT_SLEEP_INTERVAL,
    weighting: Weighting = StrategyWeighting.relative,
    as_json: Json = False,
) -> None:
    """Give a network a Strategy, in place of the one it has; it begins anew."""
    made = read_strategy(strategy, settings)
    with connected() as client:
        key = known_network(client, network)
        set_key = client.set_network_strategy(
            key,
            made,
            max_tasks_per_transformation=max_tasks,
            task_scaling=task_scaling,
            mode=mode,
            sleep_interval=sleep_interval,
            weighting=weighting,
        )
    answer({"network": key, "strategy": set_key}, as_json, lambda: line(str(set_key)))


@app.command()
def show(network: Network, as_json: Json = False) -> None:
    """The Strategy of a network: its class and settings, those of the ones inside it, and how far it has come."""
    with connected() as client:
        key, state = _known(client, network)
        found = client.get_network_strategy(key)
    from alchemiscale_prefect.chemistry.strategies import described

    about = described(found)

    def text() -> None:
        names = (("network", key), ("strategy", str(found.key)), ("class", about["class"]))
        record([*names, *_settings(about["settings"])])
        _show_state(state)

    answer({"network": key, "strategy": str(found.key), **about, "state": state.to_dict()}, as_json, text)


@app.command()
def state(network: Network, as_json: Json = False) -> None:
    """How far the Strategy of a network has come, and what went wrong if it failed. Needs no gufe."""
    with connected() as client:
        key, found = _known(client, network)
    answer({"network": key, "state": found.to_dict()}, as_json, lambda: _show_state(found))


@app.command()
def awake(network: Network, as_json: Json = False) -> None:
    """Have a Strategy performed soon, also one that is dormant or failed."""
    with connected() as client:
        key, _ = _known(client, network)
        client.set_network_strategy_awake(key)
        _, found = _known(client, network)
    answer({"network": key, "state": found.to_dict()}, as_json, lambda: line(found.status.value))


@app.command()
def remove(network: Network, as_json: Json = False) -> None:
    """Take the Strategy from a network. Its Tasks stay as they are."""
    with connected() as client:
        key, _ = _known(client, network)
        client.set_network_strategy(key, None)
    answer({"network": key, "strategy": None}, as_json, lambda: note("removed"))


@app.command()
def proposal(network: Network, as_json: Json = False) -> None:
    """What the last iteration of a Strategy has done, and why. Needs no gufe."""
    with connected() as client:
        key, _ = _known(client, network)
        found = client.get_network_strategy_proposal(key)
    answer({"network": key, "proposal": found}, as_json, lambda: _show_proposal(found))


@app.command()
def run(
    network: Annotated[
        str | None,
        typer.Argument(metavar="[NETWORK]", help="Its ScopedKey. Default: all that are due.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Perform Strategies now, here: for operators, with the database. Users have `strategy awake`."""
    from alchemiscale_prefect.bootstrap import configure_logs, perform_strategy, strategies_due, strategy_processes

    configure_logs()
    proposals: list[StrategyProposal] = []
    rows: list[tuple[ScopedKey, str]] = []
    with strategy_processes() as processes:
        for key in strategies_due() if network is None else [network_key(network)]:
            try:
                performed = perform_strategy(key, processes)
            except (Conflict, NotFound) as error:
                if network is not None:
                    raise
                # it was due a moment ago
                rows.append((key, str(error)))
                continue
            rows.append((key, "another iteration was faster" if performed is None else performed.summary))
            proposals += [] if performed is None else [performed]
    answer({"proposals": proposals}, as_json, lambda: table(("network", "done"), rows, empty="no Strategy is due"))


def _show_proposal(proposal: "StrategyProposal | None") -> None:
    if proposal is None:
        note("it has not been performed yet")
        return
    line(f"iteration {proposal.iteration}, {proposal.performed_at.isoformat(timespec='seconds')}: {proposal.summary}")
    rows = [
        (
            change.transformation,
            change.weight,
            change.target,
            len(change.created),
            len(change.actioned),
            len(change.cancelled),
            change.reason,
        )
        for change in proposal.changes
    ]
    table(("transformation", "weight", "target", "created", "actioned", "cancelled", "why"), rows, empty="")


app.command()(strategy_simulation.simulate)


def _known(client: "AlchemiscaleClient", network: str) -> tuple[ScopedKey, StrategyState]:
    key = known_network(client, network)
    state = client.get_network_strategy_state(key)
    if state is None:
        raise NotFound(f"{key} has no Strategy; give it one with: alchemiscale-prefect strategy set", field="network")
    return key, state


def _settings(settings: Mapping[str, Any], indent: str = "") -> Iterator[tuple[str, object]]:
    """Names and values; below them, farther in, those of each Strategy that it is made of, and what its vote is."""
    from alchemiscale_prefect.chemistry.strategies import INNER

    inner = {name: settings[name] for name in INNER if name in settings}
    of_each = _OF_EACH if "strategies" in inner else {}
    yield from ((f"{indent}settings.{name}", value) for name, value in settings.items() if name not in inner | of_each)
    for name, made in inner.items():
        for number, one in enumerate(made if isinstance(made, list) else [made]):
            yield f"{indent}{name}[{number}]" if isinstance(made, list) else f"{indent}{name}", one["class"]
            for many, (each, otherwise) in of_each.items():
                given = settings.get(many)
                yield f"{indent}  {each}", otherwise if given is None else _words(given[number])
            yield from _settings(one["settings"], indent + "  ")


def _words(value: object) -> object:
    return " ".join(cell(word) for pair in value.items() for word in pair) if isinstance(value, Mapping) else value


def _show_state(state: StrategyState) -> None:
    values = state.to_dict()
    traceback = values.pop("traceback")
    record(values)
    if traceback:
        line(f"\n{printable(traceback).rstrip()}")
