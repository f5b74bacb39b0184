"""What Prefect knows of flow runs and work pools that our tables may not."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound

from alchemiscale_prefect.domain.attempts import AttemptId
from alchemiscale_prefect.domain.reconcile import FlowRunUnderWay
from alchemiscale_prefect.orchestration.deployments import FLOW_NAME
from alchemiscale_prefect.orchestration.launcher import PrefectLauncher
from alchemiscale_prefect.orchestration.reach import reached, require_api_url
from alchemiscale_prefect.orchestration.states import UNDER_WAY, run_state

# the server's limit
PAGE = 200


@contextmanager
def connect(deployment: str) -> "Iterator[tuple[PrefectLauncher, PrefectFlowRuns]]":
    """Both at the configured ``PREFECT_API_URL``.

    Parameters
    ----------
    deployment
        Of the launcher.

    Raises
    ------
    InvalidInput
        None is configured.
    Unavailable
        Prefect cannot be reached there, or refuses.
    """
    require_api_url()
    with reached(), get_client(sync_client=True) as client:
        yield PrefectLauncher(deployment, client), PrefectFlowRuns(client)


class PrefectFlowRuns:
    """`domain.reconcile.FlowRuns` of a Prefect server.

    Parameters
    ----------
    client
        Its client, open.
    """

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client

    def under_way(self) -> Sequence[FlowRunUnderWay]:
        """The flow runs of `flows.run_task` that have not ended, of whatever deployment."""
        found = {}
        for run in self._pages():
            attempt = (run["parameters"] or {}).get("attempt")
            if isinstance(attempt, int):
                since = datetime.fromisoformat(run["state"]["timestamp"])
                flow_run_id = UUID(run["id"])
                found[flow_run_id] = FlowRunUnderWay(
                    flow_run_id, AttemptId(run["name"], attempt), run_state(run), since
                )
        return list(found.values())

    def closed(self, pools: Collection[str]) -> Mapping[str, str]:
        """Those of these work pools that are paused, limited to 0 or deleted."""
        closed = {}
        with reached():
            for name in pools:
                try:
                    pool = self._client.read_work_pool(name)
                except ObjectNotFound:
                    closed[name] = "its work pool was deleted"
                    continue
                if pool.is_paused or pool.concurrency_limit == 0:
                    closed[name] = "its work pool is paused"
        return closed

    def end(self, flow_run_ids: Collection[UUID]) -> None:
        """Move flow runs to Cancelled."""
        state = {"type": StateType.CANCELLED.value, "message": "ended by reconcile: no attempt has it any more"}
        with reached():
            for flow_run_id in flow_run_ids:  # few, and each has hung for a quarter of an hour
                self._post(f"/flow_runs/{flow_run_id}/set_state", {"state": state, "force": True})

    def _pages(self) -> Iterator[Mapping[str, Any]]:
        body = {
            "flows": {"name": {"any_": [FLOW_NAME]}},
            "flow_runs": {"state": {"type": {"any_": [type_.value for type_ in UNDER_WAY]}}},
            "sort": "ID_DESC",
            "limit": PAGE,
        }
        offset = 0
        while True:
            with reached():
                page = self._post("/flow_runs/filter", {**body, "offset": offset})
            yield from page
            if len(page) < PAGE:
                return
            offset += PAGE

    def _post(self, path: str, body: Any) -> Any:
        return self._client.request("POST", cast(Any, path), json=body).json()
