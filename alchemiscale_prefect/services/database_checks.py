"""Whether the database is as this version needs it, and mending what can be mended."""

from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain.checks import Check
from alchemiscale_prefect.domain.errors import AlchemiscaleError, Unavailable
from alchemiscale_prefect.store import schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import consistency, status_counts

UPGRADE = "run: alchemiscale-prefect db upgrade"
MEND = "run: alchemiscale-prefect db check --mend"
RESTORE = "no command of ours does this; restore a backup, or mend it by hand while API and dispatcher are stopped"
DIFFERENCES = "schema as declared"
COUNTS = "counts of Tasks"
ROWS = "rows agree"


def reachable(database: Database) -> list[Check]:
    """Whether it answers, in a version that will do, with this version's schema. Quick."""
    try:
        version = database.version()
        current, needed = schema.revisions(database)
    except AlchemiscaleError as error:
        return [
            checks.failed("database", cause(error), fix(error)),
            checks.skipped("schema", "the database cannot be used"),
        ]
    found = [checks.ok("database", f"Postgres {version}")]
    if current != needed:
        ahead = current is not None and not schema.is_known(current)
        then = "this program is older than the database's schema: install the newer version" if ahead else UPGRADE
        return [*found, checks.failed("schema", f"revision {current or 'none'}, needed is {needed}", then)]
    return [*found, checks.ok("schema", f"revision {current}"), _row_security(database)]


def thorough(database: Database) -> list[Check]:
    """`reachable`, and whether schema, counts and rows are what they should be. Looks at every row.

    It can be done while the system works: each of the looks is at one moment.
    """
    found = reachable(database)
    if not checks.passed(found):
        why = "the schema is another" if checks.passed(found[:1]) else "the database cannot be used"
        return [*found, *(checks.skipped(name, why) for name in (DIFFERENCES, COUNTS, ROWS))]
    return [*found, _differences(database), counts(database), *_rows(database)]


def mend(database: Database) -> str:
    """Count the Tasks anew and put actions into their place in the queue; says what was done."""
    with database.transaction() as connection:
        wrong = len(status_counts.differences(connection))
        if wrong:
            status_counts.recount(connection)
        requeued = consistency.requeue(connection)
    return f"{wrong} counts made anew, {requeued} Tasks put into their place in the queue"


def cause(error: AlchemiscaleError) -> str:
    """Why the database could not be used, for who may see its address and user: in psycopg's own words, if it has any.

    These tell a wrong password from a wrong address and from a database that is not there.
    """
    # of several tries the last one's; lines that go on are indented
    lines = [line for line in _said(error).splitlines() if not line[:1].isspace()]
    if not lines:
        return error.message
    return f"{error.message.partition(';')[0]}: {lines[-1].removeprefix('- ')}"


def fix(error: AlchemiscaleError) -> str:
    """What to do about a database that could not be used."""
    if _missing(error):
        return "make it with: alchemiscale-prefect db init; or set ALCHEMISCALE_DATABASE_URL to another"
    return "see that Postgres runs and that ALCHEMISCALE_DATABASE_URL is its address, user, password and database"


def _said(error: AlchemiscaleError) -> str:
    origin = getattr(error.__cause__, "orig", None)
    return str(origin).strip() if isinstance(error, Unavailable) and origin is not None else ""


def _missing(error: AlchemiscaleError) -> bool:
    # psycopg gives no SQLSTATE for what fails before there is a connection
    said = _said(error)
    return 'database "' in said and '" does not exist' in said


def _row_security(database: Database) -> Check:
    try:
        schema.check_row_security(database)
    except Unavailable as error:
        return checks.failed("row-level security", error.message, UPGRADE)
    return checks.ok("row-level security", "requests can be kept to their Scopes")


def _differences(database: Database) -> Check:
    found = schema.differences(database)
    if found:
        return checks.failed(DIFFERENCES, f"it was changed by hand: {found}", RESTORE)
    return checks.ok(DIFFERENCES, "tables, columns, indexes and defaults")


def counts(database: Database) -> Check:
    """Whether the counts of Tasks by status equal a recount. Looks at every Task."""
    with database.transaction() as connection:
        wrong = status_counts.differences(connection)
    if wrong:
        first = wrong[0]
        detail = (
            f"{len(wrong)} differ: {first.kept} instead of {first.counted} {first.status} of {first.transformation}"
        )
        return checks.failed(COUNTS, detail, MEND)
    return checks.ok(COUNTS, "equal a recount")


def _rows(database: Database) -> list[Check]:
    with database.transaction() as connection:
        found = consistency.contradictions(connection)
    if not found:
        return [checks.ok(ROWS, f"{len(consistency.CONTRADICTIONS)} kinds of contradiction looked for")]
    return [
        checks.failed(
            ROWS,
            f"{item.count} {item.what}: {', '.join(item.examples)}{' …' if item.count > len(item.examples) else ''}",
            MEND if item.what == consistency.OUT_OF_PLACE else RESTORE,
        )
        for item in found
    ]
