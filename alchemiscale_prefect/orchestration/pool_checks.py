"""Whether a work pool starts what is sent to it."""

from collections.abc import Iterator

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectNotFound

from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain.checks import Check

DEPLOY = "run: alchemiscale-prefect deploy --pool {pool}"


def check_pool(
    client: SyncPrefectClient, name: str, check: str = "work pool", workers_check: str = "workers"
) -> Iterator[Check]:
    """Look at a work pool and its workers; `check` and `workers_check` are what that is called."""
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        yield checks.failed(check, f"there is no {name!r}", DEPLOY.format(pool=name))
        yield checks.skipped(workers_check, "there is no work pool")
        return
    if pool.is_paused:
        yield checks.warning(check, f"{name!r} is paused: nothing starts", f"run: prefect work-pool resume {name}")
    elif pool.concurrency_limit == 0:
        fix = f"run: prefect work-pool clear-concurrency-limit {name}"
        yield checks.warning(check, f"{name!r} has the concurrency limit 0: nothing starts", fix)
    else:
        yield checks.ok(check, f"{name!r}, type {pool.type}")
    yield _workers(client, pool, workers_check)


def _workers(client: SyncPrefectClient, pool: WorkPool, check: str) -> Check:
    statuses = [
        str(getattr(worker.status, "value", worker.status)) for worker in client.read_workers_for_work_pool(pool.name)
    ]
    online = statuses.count("ONLINE")
    if online:
        return checks.ok(check, f"{online} online")
    seen = f"; {len(statuses)} were there before" if statuses else ""
    return checks.warning(check, f"none is online{seen}", f"run on a machine: prefect worker start --pool {pool.name}")
