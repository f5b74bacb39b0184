"""``alchemiscale-prefect db``."""

import typer

app = typer.Typer(no_args_is_help=True)


@app.command()
def upgrade() -> None:
    """Bring the database at ALCHEMISCALE_DATABASE_URL to this version's schema."""
    from alchemiscale_prefect.bootstrap import make_database
    from alchemiscale_prefect.store import schema

    database = make_database()
    database.version()
    schema.upgrade(database)
    typer.echo(f"schema {schema.revisions(database)[0]}")


@app.command()
def check() -> None:
    """Say whether the database has the schema that this version needs; exit code 1 if not."""
    from alchemiscale_prefect.bootstrap import make_database
    from alchemiscale_prefect.store import schema

    database = make_database()
    version = database.version()
    current, needed = schema.revisions(database)
    if current != needed:
        typer.echo(f"schema {current}, but {needed} is needed; run: alchemiscale-prefect db upgrade", err=True)
        raise typer.Exit(1)
    if differences := schema.differences(database):
        typer.echo(f"schema {current}, but it was changed by hand: {differences}", err=True)
        raise typer.Exit(1)
    typer.echo(f"Postgres {version}, schema {current}: as needed")
