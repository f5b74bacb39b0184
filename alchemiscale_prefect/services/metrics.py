"""What computes, and how it goes: for administrators."""

from datetime import timedelta

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.metrics import ComputeMetrics, PoolMetrics, RunningAttempt
from alchemiscale_prefect.domain.shares import Shares
from alchemiscale_prefect.services import shares
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import metrics, status_counts

MAXIMUM_HOURS = 24 * 366
MAXIMUM_RUNNING = 1_000
"""Running attempts told one by one: those that run longest."""


def compute(
    database: Database, principal: Principal, hours: float = 24.0, fair_share: Shares | None = None
) -> ComputeMetrics:
    """Tasks by status, and attempts, over all Scopes.

    Parameters
    ----------
    hours
        How far back attempts that ended are counted; more than 0, at most a year.
    fair_share
        As the dispatcher has it.
    """
    principal.require_administrator()
    if not 0.0 < hours <= MAXIMUM_HOURS:
        raise InvalidInput(f"`hours` must be more than 0 and at most {MAXIMUM_HOURS}", field="hours")
    with database.transaction() as connection:
        tasks = status_counts.of_each_scope(connection)
        live, ended = metrics.live(connection), metrics.ended(connection, timedelta(hours=hours))
        running = metrics.running(connection, MAXIMUM_RUNNING)
    pools = tuple(
        PoolMetrics(
            pool,
            dispatched=live.get(pool, {}).get("dispatched", 0),
            running=live.get(pool, {}).get("running", 0),
            ended=ended.get(pool, {}),
        )
        for pool in sorted({*live, *ended})
    )
    attempts = tuple(RunningAttempt(row.task, row.n, row.pool, row.host, row.started_at) for row in running)
    return ComputeMetrics(hours, tasks, pools, attempts, tuple(shares.parts(database, fair_share)))
