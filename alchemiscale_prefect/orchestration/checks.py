"""Whether Prefect is there, and has what the dispatcher, the workers and the control pool need."""

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import prefect
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain.checks import Check
from alchemiscale_prefect.orchestration.control_checks import check_control
from alchemiscale_prefect.orchestration.deployments import ENTRYPOINT
from alchemiscale_prefect.orchestration.pool_checks import DEPLOY, check_pool

TIMEOUT_SECONDS = 10.0
NOT_SET = "PREFECT_API_URL is not set, neither in the environment nor in Prefect's profile"


def check_prefect(pool: str, deployment: str) -> list[Check]:
    """Look at the Prefect API that is configured, a work pool there, its workers, a deployment and the control pool.

    Parameters
    ----------
    pool
        The work pool that the dispatcher fills.
    deployment
        ``<flow>/<deployment>``, whose flow runs it creates.
    """
    url = PREFECT_API_URL.value()
    if not url:
        # without one, Prefect would start a server of its own
        return [checks.skipped("Prefect API", NOT_SET)]
    with get_client(httpx_settings={"timeout": TIMEOUT_SECONDS}, sync_client=True) as client:
        try:
            return [
                *_server(client, url),
                *check_pool(client, pool),
                _deployment(client, pool, deployment),
                *check_control(client, pool),
            ]
        except (httpx.HTTPError, PrefectHTTPStatusError) as error:
            what = str(error).splitlines()[0] if str(error) else type(error).__qualname__
            fix = "see that the Prefect server runs, and that PREFECT_API_URL is its address with /api at the end"
            return [checks.failed("Prefect API", f"{url}: {what}", fix)]


def _server(client: SyncPrefectClient, url: str) -> Iterator[Check]:
    sent = datetime.now(UTC)
    healthy = client.request("GET", "/health")
    answered = datetime.now(UTC)
    version = client.api_version()
    ours = prefect.__version__
    if version.split(".")[:2] == ours.split(".")[:2]:
        yield checks.ok("Prefect API", f"{url}, version {version}")
    else:
        fix = "install the same major and minor version of Prefect on the server, here and on the workers"
        yield checks.warning("Prefect API", f"{url} is version {version}, here is {ours}", fix)
    yield checks.http_clock("Prefect's clock", healthy.headers.get("date"), sent, answered)


def _deployment(client: SyncPrefectClient, pool: str, name: str) -> Check:
    fix = DEPLOY.format(pool=pool)
    try:
        deployment = client.read_deployment_by_name(name)
    except (ObjectNotFound, ValueError):
        return checks.failed("deployment", f"there is no {name!r}", fix)
    if deployment.work_pool_name != pool:
        return checks.failed(
            "deployment", f"{name!r} is of the work pool {deployment.work_pool_name!r}, not {pool!r}", fix
        )
    if deployment.paused:
        # only schedules of a paused deployment stop, and ours has none
        return checks.warning("deployment", f"{name!r} is paused", "switch it on in Prefect's pages, under Deployments")
    if deployment.entrypoint != ENTRYPOINT:
        return checks.failed("deployment", f"{name!r} starts {deployment.entrypoint}, not {ENTRYPOINT}", fix)
    return checks.ok("deployment", f"{name!r}")
