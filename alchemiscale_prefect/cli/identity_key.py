"""``alchemiscale-prefect identity key``."""

import sys
from typing import Annotated

import typer

from alchemiscale_prefect.cli.administration import Expires, Identifier, KeyStdin, Kind, administration, moment
from alchemiscale_prefect.cli.output import Json, answer, line, table
from alchemiscale_prefect.domain.access import IdentityKind
from alchemiscale_prefect.domain.identities import ApiKey

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Option("--name", "-n", help="Tells its keys apart.")]


@app.command()
def add(
    identifier: Identifier,
    name: Name,
    kind: Kind = IdentityKind.user,
    expires: Expires = None,
    key_stdin: KeyStdin = False,
    as_json: Json = False,
) -> None:
    """Give an identity one more key and print it, this once."""
    expires_at = moment(expires, "expires")
    given = sys.stdin.readline().rstrip("\n") if key_stdin else None
    with administration() as admin:
        key = admin.add_key(identifier, name, kind, key=given, expires_at=expires_at)
    answer(
        {"name": name, "expires_at": expires_at} | ({} if key_stdin else {"key": key}),
        as_json,
        lambda: line(f"key {name} is added" if key_stdin else f"key: {key}"),
    )


@app.command("list")
def list_keys(identifier: Identifier, kind: Kind = IdentityKind.user, as_json: Json = False) -> None:
    """Names and dates of an identity's keys."""
    with administration() as admin:
        found = admin.list_keys(identifier, kind)
    rows = [(key.name, key.created_at, key.expires_at) for key in found]
    answer(
        {"keys": [document(key) for key in found]},
        as_json,
        lambda: table(("name", "created", "expires"), rows, empty="it has no key"),
    )


@app.command()
def revoke(identifier: Identifier, name: Name, kind: Kind = IdentityKind.user) -> None:
    """Take a key from an identity; tokens that it has are refused within seconds."""
    with administration() as admin:
        admin.revoke_key(identifier, name, kind)


def shown(key: ApiKey) -> str:
    """A key in a line of text."""
    return key.name if key.expires_at is None else f"{key.name} (until {key.expires_at:%Y-%m-%d %H:%M} UTC)"


def document(key: ApiKey) -> dict[str, object]:
    """A key as JSON has it."""
    return {"name": key.name, "created_at": key.created_at, "expires_at": key.expires_at}
