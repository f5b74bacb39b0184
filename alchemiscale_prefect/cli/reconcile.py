"""``alchemiscale-prefect reconcile``."""

from typing import Annotated

import typer

from alchemiscale_prefect.cli.output import Json, answer, table


def command(
    objects: Annotated[
        bool, typer.Option("--objects", help="Also list the object store, and delete what no row names.")
    ] = False,
    however_many: Annotated[
        bool, typer.Option("--however-many", help="With --objects: also if most of what is kept is nobody's.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is.")] = False,
    as_json: Json = False,
) -> None:
    """Hold tables, Prefect's flow runs and object store against each other, and mend what differs. Safe to repeat."""
    from alchemiscale_prefect.bootstrap import configure_logs, run_reconcile

    configure_logs()
    found = run_reconcile(objects=objects, dry_run=dry_run, however_many=however_many)
    rows = [(item.count, item.what, item.done or None, ", ".join(item.examples)) for item in found]
    answer(
        {"found": found},
        as_json,
        lambda: table(("number", "what", "done", "for example"), rows, empty="all is as it should be"),
    )
