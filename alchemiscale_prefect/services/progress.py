"""How far a network is."""

from datetime import timedelta

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services.networks import require_network
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import progress, status_counts
from alchemiscale_prefect.wire.networks import Progress, RunningTask

WINDOW = timedelta(hours=1)


def of_network(database: Database, principal: Principal, network: ScopedKey) -> Progress:
    """Tasks by status, those that run, and how many were completed of late; `NotFound` if there is no such network."""
    principal.require(network.scope)
    with database.transaction() as connection:
        network_id = require_network(connection, network)
        counts = status_counts.of_networks(connection, [network_id])[network_id]
        running = progress.running(connection, network_id)
        waiting = progress.waiting(connection, network_id)
        completed = progress.completed(connection, network_id, WINDOW)
    since = max([completed.since_seconds or 0.0, *(row.seconds for row in running)])
    return Progress(
        status=counts,
        units_done=sum(row.units_done for row in running),
        units_total=sum(row.units_total for row in running),
        waiting=waiting,
        running=[
            RunningTask(
                task=ScopedKey.of(row.key, network.scope),
                seconds=row.seconds,
                units_done=row.units_done,
                units_total=row.units_total,
                flow_run_id=row.flow_run_id,
                fraction=row.fraction,
            )
            for row in running
        ],
        completed=completed.tasks,
        mean_seconds=completed.mean_seconds,
        window_seconds=min(since, WINDOW.total_seconds()),
    )
