"""``alchemiscale-prefect task``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from alchemiscale_prefect.cli import task_why
from alchemiscale_prefect.cli.connection import (
    Network,
    Tasks,
    connected,
    keys,
    known_network,
    task_key,
    task_keys,
    there_are,
)
from alchemiscale_prefect.cli.output import Json, answer, line, printable, record, table
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.tasks import MAX_PRIORITY, TaskStatus

if TYPE_CHECKING:
    from alchemiscale_prefect.sdk.client import AlchemiscaleClient
    from alchemiscale_prefect.wire.history import TaskAttempt, TaskDetails, TaskStatusChange, TaskTracebacks

app = typer.Typer(no_args_is_help=True)
app.command("why")(task_why.command)

TRANSFORMATIONS = ("Transformation", "NonTransformation")

OfNetwork = Annotated[
    str | None, typer.Option("--network", "-n", metavar="NETWORK", help="Instead: all of this network.")
]
Status = Annotated[
    TaskStatus | None,
    typer.Option("--status", "-s", metavar="STATUS", help="Only those waiting, running, error, …"),
]
Task = Annotated[str, typer.Argument(metavar="TASK", help="ScopedKey of a Task.", show_default=False)]
Limit = Annotated[int | None, typer.Option(min=1, help="Of at most so many, the latest first.")]


@app.command()
def create(
    transformations: Annotated[
        list[str] | None,
        typer.Argument(metavar="TRANSFORMATION", help="ScopedKeys of Transformations; '-' reads them."),
    ] = None,
    network: OfNetwork = None,
    count: Annotated[int, typer.Option("--count", "-c", min=1, help="Tasks per Transformation.")] = 1,
    extends: Annotated[
        str | None, typer.Option(metavar="TASK", help="A Task whose result the new ones start from.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Create Tasks, and print their keys. They run once they are actioned; `set` makes no more than there should be."""
    _one_of(transformations, network, "TRANSFORMATION")
    with connected() as client:
        if network is None:
            edges = keys(transformations or (), TRANSFORMATIONS, "transformation")
        else:
            edges = client.get_network_transformations(known_network(client, network))
        wanted = [edge for edge in edges for _ in range(count)]
        parents = None if extends is None else [task_key(extends)] * len(wanted)
        made = client.create_transformations_tasks(wanted, extends=parents) if wanted else []
    answer({"tasks": made}, as_json, lambda: _lines(made))


@app.command("set")
def set_tasks(
    of: Annotated[
        list[str],
        typer.Argument(
            metavar="NETWORK|TRANSFORMATION", help="ScopedKey of a network, or of Transformations; '-' reads them."
        ),
    ],
    count: Annotated[int, typer.Option("--count", "-c", min=1, help="Tasks per Transformation.")],
    as_json: Json = False,
) -> None:
    """See that each Transformation has so many Tasks. Repeated, it makes no more."""
    chosen = keys(of, ("AlchemicalNetwork", *TRANSFORMATIONS), "transformation")
    if len(chosen) > 1 and any(key.qualname == "AlchemicalNetwork" for key in chosen):
        raise typer.BadParameter("give one network, or Transformations")
    with connected() as client:
        found = client.set_tasks(chosen[0] if len(chosen) == 1 else chosen, count) if chosen else {}
    rows = [
        {"transformation": key, "existing": tasks.existing, "created": tasks.created} for key, tasks in found.items()
    ]

    def text() -> None:
        table(
            ("transformation", "existing", "created"),
            [(key, len(tasks.existing), len(tasks.created)) for key, tasks in found.items()],
            empty="no Transformations",
        )

    answer({"transformations": rows}, as_json, text)


@app.command()
def action(
    network: Network,
    tasks: Tasks = None,
    every: Annotated[bool, typer.Option("--all", help="All Tasks of the network that can run.")] = False,
    status: Status = None,
    weight: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Chance to run sooner, among equal priorities; 0 is never.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Have Tasks run for a network."""
    _one_of(tasks, every or status, "TASK", "--all or --status")
    with connected() as client:
        key = known_network(client, network)
        chosen = task_keys(tasks) if tasks else client.get_network_tasks(key, status=status)
        done = client.action_tasks(chosen, key, weight=weight) if chosen else []
    _changed(key, chosen, done, as_json, "actioned", "actioned already, finished, or of another network")


@app.command()
def cancel(
    network: Network,
    tasks: Tasks = None,
    every: Annotated[bool, typer.Option("--all", help="All Tasks that are actioned on the network.")] = False,
    status: Status = None,
    stop_tasks: Annotated[
        bool,
        typer.Option(
            "--stop-tasks/--no-stop-tasks", help="Stop those that run, unless another network has them too; or not."
        ),
    ] = True,
    as_json: Json = False,
) -> None:
    """Take Tasks off a network, so that they are not run for it."""
    _one_of(tasks, every or status, "TASK", "--all or --status")
    with connected() as client:
        key = known_network(client, network)
        chosen = task_keys(tasks) if tasks else list(client.get_network_actioned_tasks(key))
        if status is not None:
            chosen = _with_status(client, chosen, status)
        done = client.cancel_tasks(chosen, key, stop_tasks=stop_tasks) if chosen else []
    _changed(key, chosen, done, as_json, "cancelled", "not actioned there")


@app.command("status")
def show_status(tasks: Tasks = None, network: OfNetwork = None, status: Status = None, as_json: Json = False) -> None:
    """How Tasks stand: status, progress, attempts, and why."""
    _one_of(tasks, network, "TASK")
    with connected() as client:
        if network is None:
            chosen = task_keys(tasks or ())
        else:
            chosen = client.get_network_tasks(known_network(client, network), status=status)
        details = there_are(chosen, client.get_tasks_details(chosen) if chosen else [])
    found = [item for item in details if status is None or item.status == status]
    answer({"tasks": found}, as_json, lambda: _show_details(found))


@app.command()
def history(task: Task, limit: Limit = None, as_json: Json = False) -> None:
    """The attempts of a Task: when, where, how far, how each ended; and each change of its status, and why."""
    key = task_key(task)
    with connected() as client:
        attempts = client.get_task_history(key, limit=limit)
        changes = client.get_task_status_history(key, limit=limit)

    def text() -> None:
        _show_history(attempts)
        line("")
        _show_changes(changes)

    answer({"task": key, "attempts": attempts, "status_changes": changes}, as_json, text)


@app.command()
def traceback(task: Task, limit: Limit = None, as_json: Json = False) -> None:
    """Why the attempts of a Task failed."""
    key = task_key(task)
    with connected() as client:
        found = client.get_task_tracebacks(key, limit=limit)
    answer({"task": key, "tracebacks": found}, as_json, lambda: _show_tracebacks(found))


@app.command()
def retry(tasks: Tasks = None, network: OfNetwork = None, as_json: Json = False) -> None:
    """Have Tasks that are in error wait again. Tasks of another status stay as they are."""
    _one_of(tasks, network, "TASK")
    with connected() as client:
        if network is None:
            given = task_keys(tasks or ())
            chosen = _with_status(client, given, TaskStatus.error)
        else:
            given = chosen = client.get_network_tasks(known_network(client, network), status=TaskStatus.error)
        set_again = set(client.set_tasks_status(chosen, TaskStatus.waiting) if chosen else [])
    done = [key if key in set_again else None for key in given]
    _changed(None, given, done, as_json, "waiting again", "not in error")


@app.command()
def priority(
    tasks: Annotated[list[str], typer.Argument(metavar="TASK", help="ScopedKeys of Tasks; '-' reads them.")],
    value: Annotated[
        int, typer.Argument(metavar="PRIORITY", min=1, max=MAX_PRIORITY, help="Lower runs sooner; 10 if never set.")
    ],
    as_json: Json = False,
) -> None:
    """Set the priority of Tasks: within a network, those of a lower number run sooner."""
    chosen = task_keys(tasks)
    with connected() as client:
        there_are(chosen, client.set_tasks_priority(chosen, value) if chosen else [])
    document: Mapping[str, object] = {"tasks": chosen, "priority": value}
    answer(document, as_json, lambda: line(f"priority {value}: {_count(chosen)}"))


# --- which Tasks ------------------------------------------------------------------------------------------------------


def _one_of(named: object, other: object, what: str, alternative: str = "--network") -> None:
    if bool(named) == bool(other):
        raise typer.BadParameter(f"give either {what}s or {alternative}")


def _with_status(client: "AlchemiscaleClient", tasks: Sequence[ScopedKey], status: TaskStatus) -> list[ScopedKey]:
    statuses = there_are(tasks, client.get_tasks_status(tasks) if tasks else [])
    return [task for task, known in zip(tasks, statuses, strict=True) if known == status]


# --- what is shown ----------------------------------------------------------------------------------------------------


def _count(tasks: Sequence[object]) -> str:
    return f"{len(tasks)} Task{'' if len(tasks) == 1 else 's'}"


def _lines(tasks: Sequence[ScopedKey]) -> None:
    for task in tasks:
        line(str(task))


def _changed(
    network: ScopedKey | None,
    given: Sequence[ScopedKey],
    done: Sequence[ScopedKey | None],
    as_json: bool,
    what: str,
    why_not: str,
) -> None:
    """Answer with the Tasks that were changed, and the others."""
    changed = [task for task in done if task is not None]
    unchanged = [task for task, answered in zip(given, done, strict=True) if answered is None]

    def text() -> None:
        line(f"{what}: {_count(changed)}")
        if unchanged:
            line(f"unchanged: {_count(unchanged)}: {why_not}")

    of = {} if network is None else {"network": network}
    answer({**of, "tasks": changed, "unchanged": unchanged}, as_json, text)


def _units(attempt: "TaskAttempt | None") -> str | None:
    if attempt is None or attempt.units_total is None:
        return None
    from alchemiscale_prefect.sdk.watch_display import units_text

    return units_text(attempt.units_completed or 0, attempt.units_total, attempt.fraction)


def _show_details(found: "Sequence[TaskDetails]") -> None:
    table(
        ("task", "status", "priority", "attempts", "units", "since", "not before", "reason"),
        [
            (
                item.task,
                item.status.value,
                item.priority,
                item.num_claims,
                _units(item.current_claim or item.most_recent_attempt),
                item.datetime_status_changed,
                item.not_before,
                item.reason,
            )
            for item in found
        ],
        empty="no Tasks",
    )


def _show_history(attempts: "Sequence[TaskAttempt]") -> None:
    table(
        ("attempt", "outcome", "claimed", "started", "ended", "units", "host", "pool", "flow run", "reason"),
        [
            (
                attempt.n,
                "under way" if attempt.outcome is None else attempt.outcome.value,
                attempt.datetime_claimed,
                attempt.datetime_started,
                attempt.datetime_end,
                _units(attempt),
                attempt.hostname,
                attempt.pool,
                attempt.flow_run_id,
                attempt.reason,
            )
            for attempt in attempts
        ],
        empty="no attempts yet",
    )


def _show_changes(changes: "Sequence[TaskStatusChange]") -> None:
    table(
        ("changed", "from", "to", "cause", "who", "attempt", "host", "why"),
        [
            (
                change.datetime_changed,
                change.from_status.value,
                change.to_status.value,
                change.cause,
                change.who,
                change.attempt,
                change.hostname,
                change.why,
            )
            for change in changes
        ],
        empty="its status never changed",
    )


def _show_tracebacks(found: "Sequence[TaskTracebacks]") -> None:
    if not found:
        line("no failed attempts")
    for item in found:
        for failure in item.tracebacks:
            record(
                {"attempt": item.n, "recorded": item.datetime_created, "unit": failure.name, "key": failure.source_key}
            )
            line(f"\n{printable(failure.traceback).rstrip()}\n")
