"""Refused logins: how many, of whom, from where."""

import pytest

from alchemiscale_prefect.api.login_limit import LoginLimit
from alchemiscale_prefect.domain.errors import TooManyRequests

HOME, WORK, STRANGE = "192.0.2.1", "192.0.2.2", "203.0.113.9"


def refused(limit: LoginLimit, *caller: str) -> bool:
    """Try a wrong key, as the route does; whether it had to wait."""
    kind, identifier, address = caller
    try:
        limit.check((kind, identifier, address))
    except TooManyRequests:
        return True
    limit.refused((kind, identifier, address))
    return False


def test_an_identity_is_slowed_wherever_the_tries_come_from() -> None:
    limit = LoginLimit(3, 100)
    waits = [refused(limit, "user", "alice", f"203.0.113.{n}") for n in range(5)]
    assert waits == [False, False, False, True, True]
    assert not refused(limit, "user", "bob", "203.0.113.1")
    assert not refused(limit, "compute", "alice", "203.0.113.1")


def test_an_address_is_slowed_whomever_it_tries() -> None:
    limit = LoginLimit(100, 3)
    waits = [refused(limit, "user", f"user{n}", STRANGE) for n in range(5)]
    assert waits == [False, False, False, True, True]
    assert refused(limit, "admin", "root", STRANGE)
    assert not refused(limit, "user", "user1", HOME)


def test_the_wait_is_told() -> None:
    limit = LoginLimit(1, 100)
    refused(limit, "user", "alice", STRANGE)
    with pytest.raises(TooManyRequests, match="try again in") as caught:
        limit.check(("user", "alice", STRANGE))
    assert 1 <= caught.value.retry_after <= 60


def test_strangers_do_not_lock_an_owner_out_of_where_it_logs_in() -> None:
    limit = LoginLimit(3, 100)
    limit.succeeded(("user", "alice", HOME))
    while not refused(limit, "user", "alice", STRANGE):
        pass
    limit.check(("user", "alice", HOME))
    with pytest.raises(TooManyRequests):
        limit.check(("user", "alice", WORK))
    # the owner's own mistakes count all the same
    assert [refused(limit, "user", "alice", HOME) for _ in range(4)] == [False, False, False, True]


def test_addresses_of_one_ipv6_network_are_one() -> None:
    limit = LoginLimit(100, 3)
    waits = [refused(limit, "user", f"user{n}", f"2001:db8:0:1::{n}") for n in range(5)]
    assert waits == [False, False, False, True, True]
    assert not refused(limit, "user", "user1", "2001:db8:0:2::1")


def test_an_address_that_is_none_and_a_name_that_is_too_long_count_too() -> None:
    limit = LoginLimit(3, 100)
    waits = [refused(limit, "user", "a" * (255 + n), "") for n in range(5)]
    assert waits == [False, False, False, True, True]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alchemiscale_prefect.api.login_limit._REMEMBERED", 5)
    limit = LoginLimit(3, 100)
    for n in range(20):
        limit.succeeded(("user", f"user{n}", HOME))
    assert len(limit._at_home) <= 5
