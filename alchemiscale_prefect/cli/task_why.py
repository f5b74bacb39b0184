"""``alchemiscale-prefect task why``."""

from typing import TYPE_CHECKING, Annotated

import typer

from alchemiscale_prefect.cli.connection import connected, task_key
from alchemiscale_prefect.cli.output import Json, answer, line, record, table
from alchemiscale_prefect.domain.explanations import counted, percent

if TYPE_CHECKING:
    from alchemiscale_prefect.wire.explanations import TaskExplanation


def command(
    task: Annotated[str, typer.Argument(metavar="TASK", help="ScopedKey of a Task.", show_default=False)],
    as_json: Json = False,
) -> None:
    """What stands before a Task to run: a rest, its parent, weights, other Tasks, its share; or what became of it."""
    key = task_key(task)
    with connected() as client:
        found = client.explain_task(key)
    answer(found.model_dump(), as_json, lambda: _show(found))


def _show(found: "TaskExplanation") -> None:
    record({"task": found.task, "status": found.status.value, "priority": found.priority})
    if not found.hindrances:
        line("nothing stands before it: of its network, it is the next to run")
    for hindrance in found.hindrances:
        line(f"- {hindrance.text}")
    for restart in found.restarts:
        if restart.num_retries:
            line(f"restarted {restart.num_retries} of {restart.max_retries} times for {restart.pattern!r}")
    if found.places and found.attempt is None:
        line("")
        columns = ("network", "state", "network weight", "weight", "before it", "next from there")
        table(
            columns,
            [
                (
                    place.network,
                    place.state,
                    place.network_weight,
                    place.weight,
                    counted(place.by_priority + place.by_draw) if place.queued else "not in the queue",
                    None if place.chance is None else percent(place.chance),
                )
                for place in found.places
            ],
            empty="",
        )
    if found.share is not None:
        line("")
        record(
            {
                "fair share": found.share.group,
                "due": percent(found.share.due),
                "used": f"{percent(found.share.used)} in {found.share.hours:g} hours",
            }
        )
