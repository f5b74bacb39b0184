"""What a run tells Prefect of itself does not hold up the run."""

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient

from alchemiscale_prefect.orchestration.reporting import PROGRESS_SECONDS, PrefectReport


@pytest.mark.filterwarnings("ignore:Artifact creation outside of a flow:FutureWarning")
def test_units_do_not_wait_long_for_a_prefect_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def away(request: httpx.Request) -> httpx.Response:
        asked.append(request.extensions["timeout"]["read"])
        return httpx.Response(503, headers={"Retry-After": "0"})

    def get_client(*, sync_client: bool) -> SyncPrefectClient:
        assert sync_client
        return SyncPrefectClient("http://127.0.0.1:1/api", httpx_settings={"transport": httpx.MockTransport(away)})

    monkeypatch.setattr("prefect.artifacts.get_client", get_client)
    # who has units to run takes no notice of this, see `execution.attempt`
    with pytest.raises(httpx.HTTPStatusError, match="503"):
        PrefectReport("Task-1-org-campaign-project").progress(1, 4)
    assert asked == [PROGRESS_SECONDS]
