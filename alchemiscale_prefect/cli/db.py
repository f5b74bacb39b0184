"""``alchemiscale-prefect db``: what an operator does with the database at ALCHEMISCALE_DATABASE_URL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alchemiscale_prefect.cli.output import Json, answer, line, note

if TYPE_CHECKING:
    from alchemiscale_prefect.store.database import Database

app = typer.Typer(no_args_is_help=True)


@app.command()
def init(as_json: Json = False) -> None:
    """Make the database, if it is not there, and bring it to this version's schema."""
    from alchemiscale_prefect.store import creation

    with _database() as database:
        made = creation.create(database)
        _upgrade(database, as_json, made)


@app.command()
def upgrade(as_json: Json = False) -> None:
    """Bring the database to this version's schema; safe to repeat."""
    with _database() as database:
        _upgrade(database, as_json)


@app.command()
def check(
    mend: Annotated[
        bool, typer.Option("--mend", help="First mend what can be: counts, and places in the queue.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check schema, counts and rows, while everything goes on; exit code 1 if something is wrong."""
    from alchemiscale_prefect.cli.checks import report
    from alchemiscale_prefect.domain.checks import passed
    from alchemiscale_prefect.services import database_checks

    with _database() as database:
        if mend and passed(database_checks.reachable(database)):
            note(database_checks.mend(database))
        report(database_checks.thorough(database), as_json)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The new file.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Write a backup of the tables, as of now, while everything goes on. Objects are to be copied after it."""
    from alchemiscale_prefect.store import backup as backups

    with _database() as database:
        backups.backup(database, file)
    size = file.stat().st_size
    answer({"file": file.absolute(), "bytes": size}, as_json, lambda: line(f"{size} bytes in {file}"))


@app.command()
def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A backup.", show_default=False)
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Drop what is in the database; stop API and dispatchers before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read a backup into an empty database: all of it, or nothing if anything fails."""
    from alchemiscale_prefect.store import backup as backups
    from alchemiscale_prefect.store import schema

    with _database() as database:
        backups.restore(database, file, replace=replace)
        current, needed = schema.revisions(database)

    def text() -> None:
        line(f"restored {file}: schema {current}")
        if current != needed:
            note(f"this version needs schema {needed}; run: alchemiscale-prefect db upgrade")

    answer({"file": file.absolute(), "schema": current, "needed": needed}, as_json, text)


@contextmanager
def _database() -> "Iterator[Database]":
    from alchemiscale_prefect.bootstrap import make_database
    from alchemiscale_prefect.domain.errors import Unavailable
    from alchemiscale_prefect.services import database_checks

    database = make_database()
    try:
        yield database
    except Unavailable as error:
        # an operator, who has the database's credentials, is told more than a user of the API
        raise Unavailable(f"{database_checks.cause(error)}; {database_checks.fix(error)}") from error
    finally:
        database.close()


def _upgrade(database: "Database", as_json: bool, made: bool | None = None) -> None:
    from alchemiscale_prefect.store import schema

    database.version()
    before = schema.revisions(database)[0]
    schema.upgrade(database)
    now = schema.revisions(database)[0]
    created = {} if made is None else {"created": made}

    def text() -> None:
        line(f"schema {now}" + (" already" if before == now else "" if before is None else f", was {before}"))

    answer({**created, "schema": now, "was": before}, as_json, text)
