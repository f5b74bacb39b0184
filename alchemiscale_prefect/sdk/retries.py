"""When to try a request again, and how long to wait before."""

import math
import random
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.sdk.errors import AlchemiscaleClientError

RETRIED = frozenset({429, 502, 503, 504})
"""Statuses of a server or gateway that may do better later. (alchemiscale also retries 404; a missing object stays
missing.)"""

NOT_HANDLED = frozenset({429, 503})
"""Of these, the ones that say that the request had no effect."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with jitter.

    Parameters
    ----------
    max_retries
        Tries after the first one; ``-1`` for no end.
    base_seconds
        The wait before the n-th retry grows as ``base_seconds ** n``; greater than 1.
    max_seconds
        The wait's upper bound, before the jitter of up to ``base_seconds`` (or `max_seconds`, if that is less). It
        bounds what a server may ask for with ``Retry-After`` too.

    Raises
    ------
    InvalidInput
    """

    max_retries: int = 5
    base_seconds: float = 2.0
    max_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.base_seconds <= 1.0:
            raise InvalidInput("'retry_base_seconds' must be greater than 1.0", field="retry_base_seconds")
        if self.max_retries < -1:
            raise InvalidInput("'max_retries' must be -1 (retry forever), 0 or more", field="max_retries")
        if self.max_seconds < 0.0:
            raise InvalidInput("'retry_max_seconds' must not be negative", field="retry_max_seconds")

    def allows(self, retry: int) -> bool:
        """Whether a `retry`-th retry, counted from 1, may be made."""
        return self.max_retries == -1 or retry <= self.max_retries

    def wait_seconds(self, retry: int, retry_after: float | None = None) -> float:
        """How long to wait before the `retry`-th retry, counted from 1.

        Parameters
        ----------
        retry_after
            What the server asked for, in seconds.
        """
        # compared as logarithms: the power itself overflows after a thousand retries
        capped = retry * math.log(self.base_seconds) > math.log(self.max_seconds) if self.max_seconds > 0 else True
        wait = self.max_seconds if capped else self.base_seconds**retry
        if retry_after is not None:
            wait = min(max(retry_after, 0.0), self.max_seconds)
        jitter = min(self.base_seconds, self.max_seconds)
        return wait + jitter * random.random()  # noqa: S311  not a secret


def is_retryable(error: AlchemiscaleClientError, idempotent: bool) -> bool:
    """Whether the request behind an error answer may be sent again."""
    return error.status_code in (RETRIED if idempotent else NOT_HANDLED)


def is_permanent(error: httpx.RequestError) -> bool:
    """Whether a request failed for a reason that time does not mend: a certificate, or a request that is no HTTP."""
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.DecodingError):
        return True
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def was_sent(error: httpx.RequestError) -> bool:
    """Whether a request that failed without an answer may have reached the server."""
    return not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def retry_after_seconds(response: httpx.Response) -> float | None:
    """The seconds of a ``Retry-After`` header, whether it gives seconds or a date; ``None`` if there is none."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    # RFC 9110: a date without a zone is in GMT
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
