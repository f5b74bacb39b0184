"""Fair share: what each group of Scopes has used of the compute, beside what it should have."""

from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain.checks import Check
from alchemiscale_prefect.domain.shares import Ledger, Part, Shares
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import shares as queries


def hand_out(connection: Connection, shares: Shares | None) -> Ledger | None:
    """What the claims of this transaction are charged to, read once; ``None`` without shares.

    Until the transaction ends, no other one hands out Tasks by shares.
    """
    if shares is None:
        return None
    queries.alone(connection)
    # else all Tasks are read, to know the Scopes of some
    queue.read_in_order(connection)
    return Ledger(shares, queries.usages(connection, shares.window))


def parts(database: Database, shares: Shares | None) -> list[Part]:
    """What every group should have that used something or that a share is set for, and what it had; by name."""
    if shares is None:
        return []
    with database.transaction() as connection:
        queue.read_in_order(connection)
        return Ledger(shares, queries.usages(connection, shares.window)).parts()


def check(database: Database, shares: Shares | None) -> Check:
    """For `doctor`: fair share as it is set, and what came of it."""
    name = "fair share"
    if shares is None:
        return checks.skipped(name, "ALCHEMISCALE_SHARES is not set: weights alone decide")
    told = [f"{part.group} due {part.due:.0%}, used {part.used:.0%}" for part in parts(database, shares)]
    hours = shares.window.total_seconds() / 3600
    return checks.ok(name, f"{'; '.join(told) or 'nobody has used anything'} (of the last {hours:g} hours)")
