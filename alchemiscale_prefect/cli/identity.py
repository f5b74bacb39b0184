"""``alchemiscale-prefect identity``: with an administrator's identity over HTTP, else on the database itself."""

import sys
from typing import Annotated, Any

import typer

from alchemiscale_prefect.cli import identity_key
from alchemiscale_prefect.cli.administration import Expires, Identifier, KeyStdin, Kind, administration, moment
from alchemiscale_prefect.cli.output import Json, answer, line, record, table
from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission
from alchemiscale_prefect.domain.errors import InvalidInput, NotFound
from alchemiscale_prefect.domain.identities import Identity
from alchemiscale_prefect.domain.scopes import Scope

app = typer.Typer(no_args_is_help=True)
app.add_typer(identity_key.app, name="key", help="Keys of an identity: add, list, revoke.")

_SCOPE_HELP = "org-campaign-project, '*' from the right; repeat it."
Scopes = Annotated[list[str], typer.Option("--scope", "-s", help=_SCOPE_HELP)]
SomeScopes = Annotated[list[str] | None, typer.Option("--scope", "-s", help=_SCOPE_HELP)]
Held = Annotated[Permission, typer.Option("--permission", "-p", help="What it may do there.")]


@app.command()
def add(
    identifier: Identifier,
    scope: SomeScopes = None,
    kind: Kind = IdentityKind.user,
    permission: Held = Permission.write,
    email: Annotated[str | None, typer.Option(help="Where to reach who it is.")] = None,
    full_name: Annotated[str | None, typer.Option(help="Who it is.")] = None,
    expires: Expires = None,
    key_stdin: KeyStdin = False,
    as_json: Json = False,
) -> None:
    """Make an identity and print its key, which is shown this once."""
    scopes = [Scope.from_str(item) for item in scope or ()]
    if not scopes and kind is not IdentityKind.admin:
        raise InvalidInput("an identity without a scope sees nothing; give it one with --scope", field="scope")
    expires_at = moment(expires, "expires")
    given = sys.stdin.readline().rstrip("\n") if key_stdin else None
    with administration() as admin:
        key = admin.create_identity(
            identifier,
            kind,
            scopes,
            permission,
            key=given,
            email=email,
            full_name=full_name,
            expires_at=expires_at,
        )
        made = admin.get_identity(identifier, kind)
    # a key that came from outside is not shown to whoever looks on
    document = _document(made) | ({} if key_stdin else {"key": key})

    def text() -> None:
        line(f"{kind} identity {identifier}: {', '.join(map(_shown, made.grants)) or 'administrator'}")
        if not key_stdin:
            line(f"key: {key}")

    answer({"identity": document}, as_json, text)


@app.command("list")
def list_identities(
    kind: Annotated[IdentityKind | None, typer.Option("--type", "-t", help="Only identities of this type.")] = None,
    as_json: Json = False,
) -> None:
    """Every identity, with what it may do where."""
    with administration() as admin:
        found = admin.list_identities(kind)
    rows = [
        (item.identifier, item.kind.value, _state(item), ", ".join(map(_shown, item.grants)), item.full_name)
        for item in found
    ]
    columns = ("identifier", "type", "state", "scopes", "name")
    answer(
        {"identities": [_document(item) for item in found]},
        as_json,
        lambda: table(columns, rows, empty="there is no identity"),
    )


@app.command()
def show(identifier: Identifier, kind: Kind = IdentityKind.user, as_json: Json = False) -> None:
    """An identity, with its keys' names and dates."""
    with administration() as admin:
        found = admin.get_identity(identifier, kind)
        keys = admin.list_keys(identifier, kind)

    def text() -> None:
        record(
            {
                "identifier": found.identifier,
                "type": found.kind.value,
                "state": _state(found),
                "name": found.full_name,
                "email": found.email,
                "created": found.created_at,
                "expires": found.expires_at,
                "scopes": [_shown(grant) for grant in found.grants],
                "keys": [identity_key.shown(key) for key in keys],
            }
        )

    answer({"identity": _document(found) | {"keys": [identity_key.document(key) for key in keys]}}, as_json, text)


@app.command("set")
def set_identity(
    identifier: Identifier,
    kind: Kind = IdentityKind.user,
    email: Annotated[str | None, typer.Option(help="Where to reach who it is; '' takes it away.")] = None,
    full_name: Annotated[str | None, typer.Option(help="Who it is; '' takes it away.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 2030-01-31, or with a time; UTC unless it says; or never.")
    ] = None,
) -> None:
    """Change who an identity is said to be, and when it ends; what is left out stays."""
    values: dict[str, Any] = {"email": email, "full_name": full_name}
    values = {field: value or None for field, value in values.items() if value is not None}
    if expires is not None:
        values["expires_at"] = None if expires == "never" else moment(expires, "expires")
    if not values:
        raise InvalidInput("nothing to change; give --email, --full-name or --expires", field="values")
    with administration() as admin:
        admin.set_identity(identifier, kind, **values)


@app.command()
def disable(
    identifier: Identifier,
    kind: Kind = IdentityKind.user,
    undo: Annotated[bool, typer.Option("--undo", help="Let it log in again.")] = False,
) -> None:
    """Bar an identity from logging in; tokens that it has are refused within seconds."""
    with administration() as admin:
        (admin.enable_identity if undo else admin.disable_identity)(identifier, kind)


@app.command()
def remove(identifier: Identifier, kind: Kind = IdentityKind.user) -> None:
    """Remove an identity with its keys and permissions. What it made stays; another may take its name."""
    with administration() as admin:
        admin.remove_identity(identifier, kind)


@app.command("add-scope")
def add_scope(
    identifier: Identifier, scope: Scopes, kind: Kind = IdentityKind.user, permission: Held = Permission.write
) -> None:
    """Let an identity do something in scopes, instead of what it may do in just these."""
    scopes = [Scope.from_str(item) for item in scope]
    with administration() as admin:
        admin.grant(identifier, scopes, permission, kind)


@app.command("remove-scope")
def remove_scope(identifier: Identifier, scope: Scopes, kind: Kind = IdentityKind.user) -> None:
    """Take scopes from an identity, exactly as they were given."""
    scopes = [Scope.from_str(item) for item in scope]
    with administration() as admin:
        # who mistypes one would else believe it gone, and so would who names a part of a wider one
        grants = admin.get_identity(identifier, kind).grants
        if missing := [str(item) for item in scopes if item not in {grant.scope for grant in grants}]:
            held = ", ".join(map(_shown, grants)) or "none"
            raise NotFound(
                f"{kind} identity {identifier!r} was not given {', '.join(missing)}; its scopes: {held}", field="scope"
            )
        admin.revoke(identifier, scopes, kind)


@app.command()
def audit(
    identifier: Annotated[str | None, typer.Option("--identifier", "-i", help="Only what this one did.")] = None,
    since: Annotated[str | None, typer.Option(help="Only from then on: 2030-01-31, or with a time.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    as_json: Json = False,
) -> None:
    """Who did what when, the newest first."""
    from_then = moment(since, "since")
    with administration() as admin:
        found = admin.get_audit(identifier, from_then, limit)
    rows = [
        (
            item.at,
            f"{item.kind}/{item.identifier}",
            item.action,
            item.scope,
            item.target,
            item.details and str(item.details),
        )
        for item in found
    ]
    names = ("id", "at", "kind", "identifier", "action", "scope", "target", "details")
    answer(
        {"audit": [{name: getattr(item, name) for name in names} for item in found]},
        as_json,
        lambda: table(("at", "who", "action", "scope", "target", "details"), rows, empty="nothing was done"),
    )


def _shown(grant: Grant) -> str:
    """A grant; ``write`` is what a scope alone stands for."""
    return str(grant.scope) if grant.permission is Permission.write else f"{grant.scope} ({grant.permission})"


def _state(identity: Identity) -> str:
    from datetime import UTC, datetime

    if identity.disabled:
        return "disabled"
    return "expired" if identity.expires_at is not None and identity.expires_at <= datetime.now(UTC) else "enabled"


def _document(identity: Identity) -> dict[str, object]:
    names = ("identifier", "kind", "email", "full_name", "disabled", "expires_at", "created_at")
    grants = [{"scope": grant.scope, "permission": grant.permission} for grant in identity.grants]
    return {name: getattr(identity, name) for name in names} | {"grants": grants}
