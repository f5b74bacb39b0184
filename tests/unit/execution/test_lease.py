"""A run that lost its lease is ended; one whose API is silent goes on while the lease lasts."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from alchemiscale_prefect.domain.errors import AttemptVoid
from alchemiscale_prefect.execution import lease as lease_module
from alchemiscale_prefect.execution.lease import LeaseKeeper
from alchemiscale_prefect.sdk.errors import AlchemiscaleConnectionError
from alchemiscale_prefect.settings import ApiSettings, ComputeSettings
from tests.waiting import wait_for

LONG = 600.0
"""A lease that does not end while a test runs."""


def silent() -> None:
    raise AlchemiscaleConnectionError("no answer")


def test_renews_until_the_block_ends() -> None:
    renewals: list[float] = []
    with LeaseKeeper(lambda: renewals.append(time.monotonic()), LONG, 0.02, lambda _: None) as keeper:
        wait_for(lambda: len(renewals) >= 3, "renewals", every=0.01)
    seen = len(renewals)
    assert not keeper.lost
    time.sleep(0.1)
    assert len(renewals) == seen, "renewed after the end"


def test_renews_at_least_three_times_per_lease() -> None:
    assert LeaseKeeper(lambda: None, 0.3, 1000.0, lambda _: None)._every_seconds == pytest.approx(0.1)
    assert LeaseKeeper(lambda: None, 0.3, 0.05, lambda _: None)._every_seconds == 0.05


def test_a_run_that_nobody_wants_hears_of_it_within_ten_seconds_where_nothing_is_set() -> None:
    every, lease = (
        group.model_fields[name].default
        for group, name in ((ComputeSettings, "heartbeat_seconds"), (ApiSettings, "lease_seconds"))
    )
    assert LeaseKeeper(lambda: None, lease, every, lambda _: None)._every_seconds <= 10.0


class Lost(threading.Event):
    """Set when a lease is lost, with what was left of it."""

    def __call__(self, left: float) -> None:
        self.left = left
        self.set()


def test_a_void_attempt_is_lost_at_once() -> None:
    lost = Lost()

    def renew() -> None:
        raise AttemptVoid("superseded")

    with LeaseKeeper(renew, LONG, 0.02, lost) as keeper:
        assert lost.wait(60)
    assert keeper.lost
    assert LONG - 100.0 < lost.left < LONG


def test_a_silent_api_is_borne() -> None:
    tries: list[int] = []

    def renew() -> None:
        tries.append(1)
        silent()

    with LeaseKeeper(renew, LONG, 0.02, lambda _: None) as keeper:
        wait_for(lambda: len(tries) >= 3, "heartbeats that fail", every=0.01)
    assert not keeper.lost


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], tuple[float, Lost]]:
    """Watches a lease by a clock that goes on only while the watch waits: when, and with what left, it was lost."""

    def watch(lease_seconds: float) -> tuple[float, Lost]:
        now, lost = [1000.0], Lost()
        monkeypatch.setattr(lease_module, "time", SimpleNamespace(monotonic=lambda: now[0]))

        class Never(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                now[0] += timeout or 0.0
                return False

        keeper = LeaseKeeper(silent, lease_seconds, 1.0, lost)
        keeper._stopped = Never()
        keeper._watch()
        return now[0] - 1000.0, lost

    return watch


@pytest.mark.parametrize("lease_seconds", [1.0, 90.0])
def test_silence_ends_when_the_lease_is_nearly_over(
    watched: Callable[[float], tuple[float, Lost]], lease_seconds: float
) -> None:
    lasted, lost = watched(lease_seconds)
    assert lasted == pytest.approx(0.85 * lease_seconds)
    assert lost.left == pytest.approx(0.15 * lease_seconds), "it must be over before the lease is"


def test_one_answer_in_time_makes_good_for_silence() -> None:
    answers = iter([False, False, True])
    again = threading.Event()

    def renew() -> None:
        if not next(answers, False):
            silent()
        again.set()

    with LeaseKeeper(renew, LONG, 0.02, lambda _: None) as keeper:
        began = keeper._renewed_at
        assert again.wait(60)
        wait_for(lambda: keeper._renewed_at > began, "the lease to begin anew", every=0.01)


def test_a_heartbeat_that_hangs_does_not_outlast_the_lease() -> None:
    lost, hangs, over = Lost(), threading.Event(), threading.Event()
    began = time.monotonic()

    def renew() -> None:
        hangs.set()
        over.wait(120)

    with LeaseKeeper(renew, 1.0, 0.05, lost):
        assert hangs.wait(60)
        assert lost.wait(60)
        assert time.monotonic() - began > 0.7
        assert not over.is_set()
        over.set()


def test_a_lease_is_lost_once() -> None:
    losses: list[float] = []

    def renew() -> None:
        time.sleep(0.2)
        raise AttemptVoid("superseded")

    # the heartbeat says so, and the time is over
    with LeaseKeeper(renew, 0.2, 0.05, losses.append) as keeper:
        for thread in keeper._threads:
            thread.join(60)
    assert len(losses) == 1


def test_a_lease_counts_from_when_it_was_asked_for() -> None:
    with LeaseKeeper(lambda: None, 3000.0, 1000.0, lambda _: None, time.monotonic() - 500.0) as keeper:
        assert keeper._left() <= 2500.0


def test_a_lease_whose_answer_was_long_in_coming_is_renewed_first() -> None:
    renewed = threading.Event()
    with LeaseKeeper(renewed.set, 60.0, 10.0, lambda _: None, time.monotonic() - 70.0) as keeper:
        assert renewed.is_set()
        assert not keeper.lost
