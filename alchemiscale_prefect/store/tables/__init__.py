"""Every table, one file per area. Alembic's migrations make them; a test holds the two equal."""

from alchemiscale_prefect.store.tables.attempts import attempt, checkpoint, unit_result
from alchemiscale_prefect.store.tables.base import metadata
from alchemiscale_prefect.store.tables.hosts import host
from alchemiscale_prefect.store.tables.identities import audit, identity, identity_key, identity_scope
from alchemiscale_prefect.store.tables.networks import (
    chemical_system,
    network,
    network_chemical_system,
    network_transformation,
    transformation,
)
from alchemiscale_prefect.store.tables.objects import gufe_object
from alchemiscale_prefect.store.tables.pools import work_pool
from alchemiscale_prefect.store.tables.restarts import restart_count, restart_pattern
from alchemiscale_prefect.store.tables.results import result
from alchemiscale_prefect.store.tables.scopes import scope
from alchemiscale_prefect.store.tables.status_counts import task_count
from alchemiscale_prefect.store.tables.strategies import strategy, strategy_proposal
from alchemiscale_prefect.store.tables.tasks import action, task, task_history

__all__ = [
    "action",
    "attempt",
    "audit",
    "checkpoint",
    "chemical_system",
    "gufe_object",
    "host",
    "identity",
    "identity_key",
    "identity_scope",
    "metadata",
    "network",
    "network_chemical_system",
    "network_transformation",
    "restart_count",
    "restart_pattern",
    "result",
    "scope",
    "strategy",
    "strategy_proposal",
    "task",
    "task_count",
    "task_history",
    "transformation",
    "unit_result",
    "work_pool",
]
