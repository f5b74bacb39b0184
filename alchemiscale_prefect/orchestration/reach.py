"""What it means that Prefect cannot be reached, said once."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

from alchemiscale_prefect.domain.errors import InvalidInput, Unavailable


def require_api_url() -> str:
    """The configured ``PREFECT_API_URL``; `InvalidInput` if there is none."""
    url: str | None = PREFECT_API_URL.value()
    if not url:
        # without one, Prefect would start a server of its own, and forget all when that ends
        raise InvalidInput("PREFECT_API_URL is not set; it is the Prefect server's address with /api at the end")
    return url


@contextmanager
def reached() -> Iterator[None]:
    """Turn what a Prefect server that is away, or refuses, makes its client raise into `Unavailable`."""
    try:
        yield
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__qualname__
        raise Unavailable(f"Prefect at {PREFECT_API_URL.value()}: {what}") from error
