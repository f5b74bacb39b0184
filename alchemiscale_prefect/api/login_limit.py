"""How often logins are refused before the caller has to wait."""

import ipaddress
import math
import time
from typing import TypeAlias

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from alchemiscale_prefect.domain.errors import TooManyRequests

Caller: TypeAlias = tuple[str, str, str]
"""Kind and name of the identity, and the address that a login comes from."""

_REMEMBERED = 10_000
_LONGEST_NAME = 255


class LoginLimit:
    """Two limits on refused logins: of an identity, wherever they come from, and from an address, whoever they are for.

    Logins that succeed are not counted: alchemiscale's own client logs in once per Transformation when it fetches a
    network's results. Where an identity has logged in before its refusals are counted apart, so that strangers who try
    its name do not lock its owner out. Each process counts for itself.

    Parameters
    ----------
    identity_per_minute, address_per_minute
        Refusals in any minute.
    """

    def __init__(self, identity_per_minute: int, address_per_minute: int) -> None:
        self._of_identity = RateLimitItemPerMinute(identity_per_minute, namespace="identity")
        self._of_address = RateLimitItemPerMinute(address_per_minute, namespace="address")
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._at_home: dict[Caller, None] = {}

    def check(self, caller: Caller) -> None:
        """Raise `TooManyRequests` if the caller was refused too often of late."""
        for limit, counted in self._counters(caller):
            if not self._limiter.test(limit, *counted):
                reset = self._limiter.get_window_stats(limit, *counted).reset_time
                wait = max(1, math.ceil(reset - time.time()))
                raise TooManyRequests(f"too many refused logins; try again in {wait} s", retry_after=wait)

    def refused(self, caller: Caller) -> None:
        """Count a refusal."""
        for limit, counted in self._counters(caller):
            self._limiter.hit(limit, *counted)

    def succeeded(self, caller: Caller) -> None:
        """Note where an identity logs in from."""
        if len(self._at_home) >= _REMEMBERED:
            self._at_home.clear()
        self._at_home[_known_as(caller)] = None

    def _counters(self, caller: Caller) -> tuple[tuple[RateLimitItemPerMinute, tuple[str, ...]], ...]:
        caller = _known_as(caller)
        kind, identifier, network = caller
        of_identity = (kind, identifier, network if caller in self._at_home else "elsewhere")
        return (self._of_address, (network,)), (self._of_identity, of_identity)


def _known_as(caller: Caller) -> Caller:
    kind, identifier, address = caller
    return kind, identifier[:_LONGEST_NAME], _network(address)


def _network(address: str) -> str:
    """An IPv6 address as its /64, all of which one machine may have."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False)) if parsed.version == 6 else address
