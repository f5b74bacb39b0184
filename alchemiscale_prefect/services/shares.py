"""Fair share: what each group of Scopes has used of the compute, beside what it should have."""

from alchemiscale_prefect.domain.shares import Ledger, Shares, Standing
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import shares as queries


def hand_out(connection: Connection, shares: Shares | None) -> Ledger | None:
    """What the claims of this transaction are charged to, read once; ``None`` without shares.

    Until the transaction ends, no other one hands out Tasks by shares.
    """
    if shares is None:
        return None
    queries.alone(connection)
    return Ledger(shares, queries.usages(connection, shares.window))


def standings(database: Database, shares: Shares) -> list[Standing]:
    """How every group stands that used something, or that a share is set for; by name."""
    with database.transaction() as connection:
        return Ledger(shares, queries.usages(connection, shares.window)).standings()
