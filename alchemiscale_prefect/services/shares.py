"""Fair share: what each group of Scopes has used of the compute, beside what it should have."""

import time
from datetime import datetime, timedelta

from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain.checks import Check
from alchemiscale_prefect.domain.shares import Ledger, Part, Shares, Usage
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import shares as queries

MOST_AGE = timedelta(seconds=60)
"""So long a dispatcher takes what had ended by then for what it was, and adds to it what has ended since."""


class Books:
    """What was used, for a dispatcher that asks several times a second: what has ended is added up now and then."""

    def __init__(self) -> None:
        self._window = timedelta(0)
        self._read_at = 0.0
        self._until: datetime | None = None
        self._ended: list[Usage] = []

    def usages(self, connection: Connection, window: timedelta) -> list[Usage]:
        """What Scopes used in the last `window`, and what is under way; several may be of one Scope.

        What slides out of the window is still counted for `MOST_AGE`, or a hundredth of the window if that is less.
        """
        now = time.monotonic()
        age = now - self._read_at
        if self._until is None or window != self._window or age > min(MOST_AGE, window / 100).total_seconds():
            self._until, self._ended = queries.ended(connection, window)
            self._window, self._read_at = window, now
        return [*self._ended, *queries.usages(connection, window, after=self._until)]


def hand_out(connection: Connection, shares: Shares | None, books: Books | None = None) -> Ledger | None:
    """What the claims of this transaction are charged to, read once; ``None`` without shares.

    Until the transaction ends, no other one hands out Tasks by shares.

    Parameters
    ----------
    books
        The dispatcher's; without them, all of the window is read.
    """
    if shares is None:
        return None
    queries.alone(connection)
    # else all Tasks are read, to know the Scopes of some
    queue.read_in_order(connection)
    return Ledger(shares, (queries if books is None else books).usages(connection, shares.window))


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
