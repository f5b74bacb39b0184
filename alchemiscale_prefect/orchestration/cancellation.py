"""Whether somebody cancelled a flow run in Prefect, asked by the flow run itself when it is told to stop."""

from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

# who tells a process to stop kills it after 30 s or less
TIMEOUT_SECONDS = 3.0


def is_cancelled(flow_run_id: UUID) -> bool:
    """Whether Prefect has the flow run as Cancelling or Cancelled; False if it does not answer at once."""
    try:
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(sync_client=True, httpx_settings={"timeout": TIMEOUT_SECONDS}) as client,
        ):
            state = client.read_flow_run(flow_run_id).state_type
    except (httpx.HTTPError, PrefectHTTPStatusError, ObjectNotFound, ValueError):  # the last: an answer that is none
        return False
    return state in (StateType.CANCELLING, StateType.CANCELLED)
