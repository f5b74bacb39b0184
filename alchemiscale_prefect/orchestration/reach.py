"""What it means that Prefect cannot be reached, said once."""

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError

import httpx
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)
from pydantic import ValidationError

from alchemiscale_prefect.domain.errors import InvalidInput, Unavailable


def require_api_url() -> str:
    """The configured ``PREFECT_API_URL``; `InvalidInput` if there is none."""
    url: str | None = PREFECT_API_URL.value()
    if not url:
        # without one, Prefect would start a server of its own, and forget all when that ends
        raise InvalidInput("PREFECT_API_URL is not set; it is the Prefect server's address with /api at the end")
    return url


@contextmanager
def impatient(retries: int = 1, seconds: float = 30.0) -> Iterator[None]:
    """Do not wait long for a Prefect server that is away, unless its settings say so: for who asks again anyway.

    Prefect's own client tries six times, a minute each.

    Parameters
    ----------
    retries
        Further tries.
    seconds
        To wait for each answer.
    """
    with temporary_settings(set_defaults={PREFECT_CLIENT_MAX_RETRIES: retries, PREFECT_API_REQUEST_TIMEOUT: seconds}):
        yield


@contextmanager
def reached() -> Iterator[None]:
    """Turn what a Prefect server that is away, or refuses, makes its client raise into `Unavailable`.

    So too an answer that is none: who stands before the server says that it is down, and with 200.
    """
    try:
        yield
    except (httpx.HTTPError, PrefectHTTPStatusError, JSONDecodeError, ValidationError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__qualname__
        raise Unavailable(f"Prefect at {PREFECT_API_URL.value()}: {what}") from error
