"""``alchemiscale-prefect host``: with an administrator's identity over HTTP, else on the database itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from alchemiscale_prefect.cli.administration import administration, moment
from alchemiscale_prefect.cli.output import Json, answer, line, table

if TYPE_CHECKING:
    from alchemiscale_prefect.wire.hosts import Host, Place, Record

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="HOST", help="As `host list` names it.")]

_COUNTS = ("running", "succeeded", "failed", "blamed")


@app.command("list")
def list_hosts(
    refused: Annotated[bool, typer.Option("--refused", help="Only hosts that may not run everything.")] = False,
    as_json: Json = False,
) -> None:
    """Hosts that run Tasks, with what failed on them lately; work pools and images likewise."""
    with administration() as admin:
        found = admin.list_hosts()
    hosts = [host for host in found.hosts if not refused or host.state != "healthy"]

    def text() -> None:
        columns = ("host", "state", "until", *_COUNTS, "last failure", "at", "pools", "images")
        table(columns, [_host_row(host) for host in hosts], empty="no host was active lately, and none is banned")
        for host in hosts:
            if host.reason is not None:
                line(f"{host.name}: {host.reason}" + (f" ({host.banned_by})" if host.banned_by else ""))
        for title, places in (("pool", found.pools), ("image", found.images)):
            if places and not refused:
                table((title, "hosts", *_COUNTS, "last failure", "at"), _place_rows(places), empty="")
            for place in places:
                if place.record.failing:
                    line(f"{title} {place.name}: Tasks fail in it that do not fail in others")

    document = found.model_copy(update={"hosts": hosts}).model_dump(mode="json")
    answer(document, as_json, text)


@app.command()
def ban(
    host: Name,
    reason: Annotated[str, typer.Option("--reason", help="Why; flow runs and other operators are told.")],
    until: Annotated[
        str | None,
        typer.Option("--until", help="When it ends: 2030-01-31, or 2030-01-31T12:00+01:00; UTC unless it says."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Let nothing begin on a host, until then or until it is pardoned; what runs there goes on."""
    end = moment(until, "until")
    with administration() as admin:
        admin.ban_host(host, reason, end)
    answer(
        {"host": host, "state": "banned", "until": end},
        as_json,
        lambda: line(f"{host} is banned{f' until {end.isoformat()}' if end else ''}"),
    )


@app.command()
def pardon(host: Name, as_json: Json = False) -> None:
    """Let a host run everything again; what failed on it until now does not count any more."""
    with administration() as admin:
        admin.pardon_host(host)
    answer({"host": host, "state": "healthy"}, as_json, lambda: line(f"{host} is pardoned"))


def _host_row(host: "Host") -> tuple[object, ...]:
    return (
        host.name,
        host.state.value,
        host.until,
        *_record(host.record),
        ", ".join(host.pools),
        ", ".join(host.images),
    )


def _place_rows(places: "Sequence[Place]") -> list[tuple[object, ...]]:
    return [(place.name, place.hosts, *_record(place.record)) for place in places]


def _record(record: "Record") -> tuple[object, ...]:
    counts = (record.running, record.succeeded, record.failed, record.blamed)
    return (*counts, record.last_failure, record.last_failed_at)
