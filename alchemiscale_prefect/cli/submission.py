"""What the commands share that make a network: their options, the file, the answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alchemiscale_prefect.cli.output import answer, line
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.networks import NetworkState

if TYPE_CHECKING:
    from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
    from alchemiscale_prefect.sdk.client import AlchemiscaleClient

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="An AlchemicalNetwork as gufe writes it (to_json or dump), also compressed (.gz, .zst).",
        show_default=False,
    ),
]
InScope = Annotated[str, typer.Option("--scope", metavar="ORG-CAMPAIGN-PROJECT", help="The Scope it goes to.")]
State = Annotated[NetworkState, typer.Option(help="Whether listings show it.")]
Name = Annotated[str | None, typer.Option(help="Its name.")]
TaskCount = Annotated[
    int | None, typer.Option("--tasks", "-t", min=1, help="See that each Transformation has so many Tasks, actioned.")
]


def read_network(file: Path) -> "AlchemicalNetwork":
    """The network in a file; `InvalidInput` if it holds something else, or gufe is not here to read it."""
    try:
        from alchemiscale_prefect.chemistry import documents
        from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
    except ImportError as error:  # on a machine that only looks on
        raise InvalidInput(f"reading a network needs gufe: {error}", field="file") from error
    found = documents.read(file)
    if not isinstance(found, AlchemicalNetwork):
        raise InvalidInput(f"{file} holds a {type(found).__qualname__}, not an AlchemicalNetwork", field="file")
    return found


def answer_with_tasks(client: "AlchemiscaleClient", key: ScopedKey, count: int | None, as_json: bool) -> None:
    """Answer with a new network; before that see to its Tasks, if asked."""
    if count is None:
        answer_with_key(key, as_json)
        return
    there = client.set_tasks(key, count)
    existing = [task for tasks in there.values() for task in tasks.existing]
    created = [task for tasks in there.values() for task in tasks.created]
    every = [*existing, *created]
    actioned = sum(task is not None for task in client.action_tasks(every, key)) if every else 0

    def text() -> None:
        line(str(key))
        line(f"Tasks: {len(every)}, {len(created)} of them new; newly actioned: {actioned}")

    counts = {"existing": len(existing), "created": len(created), "actioned": actioned}
    answer({"network": key, "tasks": counts}, as_json, text)


def answer_with_key(key: ScopedKey, as_json: bool) -> None:
    """Answer with a network."""
    answer({"network": key}, as_json, lambda: line(str(key)))
