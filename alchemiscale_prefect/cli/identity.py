"""``alchemiscale-prefect identity``. It talks to the database, so it is for who has ALCHEMISCALE_DATABASE_URL."""

import secrets
import sys
from typing import Annotated

import typer

from alchemiscale_prefect.domain.access import IdentityKind
from alchemiscale_prefect.domain.scopes import Scope

app = typer.Typer(no_args_is_help=True)

Kind = Annotated[IdentityKind, typer.Option("--type", "-t", help="user, or compute for flow runs.")]
Identifier = Annotated[str, typer.Option("--identifier", "-i", help="Its name.")]
Scopes = Annotated[
    list[str], typer.Option("--scope", "-s", help="org-campaign-project, '*' from the right; repeat it.")
]


@app.command()
def add(
    identifier: Identifier,
    scope: Scopes,
    kind: Kind = IdentityKind.user,
    key_stdin: Annotated[bool, typer.Option("--key-stdin", help="Read the key from standard input.")] = False,
) -> None:
    """Make an identity and print its key, which is shown this once."""
    from alchemiscale_prefect.bootstrap import make_database
    from alchemiscale_prefect.services import identities

    scopes = [Scope.from_str(item) for item in scope]
    key = sys.stdin.readline().rstrip("\n") if key_stdin else secrets.token_urlsafe(32)
    identities.create(make_database(), kind, identifier, key, scopes)
    typer.echo(f"{kind} identity {identifier}: {', '.join(map(str, scopes))}")
    if not key_stdin:
        typer.echo(f"key: {key}")


@app.command("list")
def list_identities(kind: Kind = IdentityKind.user) -> None:
    """Every identity of a kind, with its scopes."""
    from alchemiscale_prefect.bootstrap import make_database
    from alchemiscale_prefect.services import identities

    for known in identities.every(make_database(), kind):
        state = " (disabled)" if known.disabled else ""
        typer.echo(f"{known.identifier}{state}: {', '.join(map(str, known.scopes))}")


@app.command("add-scope")
def add_scope(identifier: Identifier, scope: Scopes, kind: Kind = IdentityKind.user) -> None:
    """Give an identity more scopes; they count from its next login."""
    from alchemiscale_prefect.bootstrap import make_database
    from alchemiscale_prefect.services import identities

    identities.add_scopes(make_database(), kind, identifier, [Scope.from_str(item) for item in scope])


@app.command("remove-scope")
def remove_scope(identifier: Identifier, scope: Scopes, kind: Kind = IdentityKind.user) -> None:
    """Take scopes from an identity; they count from its next login."""
    from alchemiscale_prefect.bootstrap import make_database
    from alchemiscale_prefect.services import identities

    identities.remove_scopes(make_database(), kind, identifier, [Scope.from_str(item) for item in scope])


@app.command()
def disable(
    identifier: Identifier,
    kind: Kind = IdentityKind.user,
    undo: Annotated[bool, typer.Option("--undo", help="Let it log in again.")] = False,
) -> None:
    """Bar an identity from logging in."""
    from alchemiscale_prefect.bootstrap import make_database
    from alchemiscale_prefect.services import identities

    identities.set_disabled(make_database(), kind, identifier, not undo)
