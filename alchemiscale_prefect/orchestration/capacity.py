"""What a work pool has room for: its limits and its queue's, less what others run there."""

from typing import Any, cast
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType, WorkPoolStatus

from alchemiscale_prefect.domain.attempts import Capacity

# the states that hold a slot of a limit in Prefect
_TAKEN = (StateType.PENDING.value, StateType.RUNNING.value)
_WORKERS_ONLINE = {WorkPoolStatus.READY: True, WorkPoolStatus.NOT_READY: False}


def read_capacity(client: SyncPrefectClient, deployment: str) -> Capacity:
    """What the work pool and the queue of a deployment have room for.

    Parameters
    ----------
    deployment
        ``<flow name>/<deployment name>``.
    """
    found = client.read_deployment_by_name(deployment)
    if found.work_pool_name is None or found.work_queue_id is None:
        return Capacity(paused=True)
    pool = client.read_work_pool(found.work_pool_name)
    queue = client.read_work_queue(found.work_queue_id)
    limits = {"work_pools": (pool.concurrency_limit, pool.id), "work_pool_queues": (queue.concurrency_limit, queue.id)}
    slots = [
        max(0, limit - _taken_by_others(client, found.id, {place: {"id": {"any_": [str(key)]}}}))
        for place, (limit, key) in limits.items()
        if limit is not None
    ]
    # nothing ever runs under a limit of 0
    closed = any(limit == 0 for limit, _ in limits.values())
    return Capacity(
        slots=min(slots, default=None),
        paused=pool.is_paused or queue.is_paused or closed,
        # the server keeps it by the workers' heartbeats; of a paused pool it is no matter
        workers_online=_WORKERS_ONLINE.get(pool.status) if pool.status else None,
    )


def _taken_by_others(client: SyncPrefectClient, deployment_id: UUID, place: dict[str, Any]) -> int:
    body = {
        **place,
        "flow_runs": {"state": {"type": {"any_": _TAKEN}}},
        "deployments": {"id": {"not_any_": [str(deployment_id)]}},
    }
    # the client's own method does not know `not_any_`
    return int(client.request("POST", cast(Any, "/flow_runs/count"), json=body).json())
