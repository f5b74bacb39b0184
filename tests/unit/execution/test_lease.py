"""A run that lost its lease is ended; one whose API is silent goes on while the lease lasts."""

import threading
import time

from alchemiscale_prefect.domain.errors import AttemptVoid
from alchemiscale_prefect.execution.lease import LeaseKeeper
from alchemiscale_prefect.sdk.errors import AlchemiscaleConnectionError
from alchemiscale_prefect.settings import ApiSettings, ComputeSettings


def test_renews_until_the_block_ends() -> None:
    renewals: list[float] = []
    with LeaseKeeper(lambda: renewals.append(time.monotonic()), 60.0, 0.02, lambda _: None) as keeper:
        time.sleep(0.3)
    seen = len(renewals)
    assert seen >= 3
    assert not keeper.lost
    time.sleep(0.1)
    assert len(renewals) == seen, "renewed after the end"


def test_renews_at_least_three_times_per_lease() -> None:
    renewals: list[float] = []
    with LeaseKeeper(lambda: renewals.append(time.monotonic()), 0.3, 1000.0, lambda _: None):
        time.sleep(0.45)
    assert len(renewals) >= 2


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

    with LeaseKeeper(renew, 60.0, 0.02, lost) as keeper:
        assert lost.wait(5)
    assert keeper.lost
    assert 50.0 < lost.left < 60.0


def test_a_silent_api_is_borne_until_the_lease_is_nearly_over() -> None:
    lost = Lost()
    began = time.monotonic()

    def renew() -> None:
        raise AlchemiscaleConnectionError("no answer")

    with LeaseKeeper(renew, 1.0, 0.05, lost):
        assert lost.wait(5)
        lasted = time.monotonic() - began
    assert 0.7 < lasted < 1.0
    assert lost.left < 0.2, "it must be over before the lease is"


def test_one_answer_in_time_makes_good_for_silence() -> None:
    answers = iter([False, False, True] * 100)
    lost = Lost()

    def renew() -> None:
        if not next(answers):
            raise AlchemiscaleConnectionError("no answer")

    with LeaseKeeper(renew, 2.0, 0.05, lost):
        time.sleep(1.2)
    assert not lost.is_set()


def test_a_heartbeat_that_hangs_does_not_outlast_the_lease() -> None:
    lost, over = Lost(), threading.Event()
    began = time.monotonic()

    def renew() -> None:
        over.wait(10)

    with LeaseKeeper(renew, 1.0, 0.05, lost):
        assert lost.wait(5)
        lasted = time.monotonic() - began
        over.set()
    assert 0.7 < lasted < 1.0


def test_a_lease_is_lost_once() -> None:
    losses: list[float] = []

    def renew() -> None:
        time.sleep(0.2)
        raise AttemptVoid("superseded")

    with LeaseKeeper(renew, 0.2, 0.05, losses.append):
        time.sleep(0.6)
    assert len(losses) == 1


def test_a_lease_counts_from_when_it_was_asked_for() -> None:
    with LeaseKeeper(lambda: None, 3000.0, 1000.0, lambda _: None, time.monotonic() - 500.0) as keeper:
        assert keeper._left() <= 2500.0


def test_a_lease_whose_answer_was_long_in_coming_is_renewed_first() -> None:
    renewed = threading.Event()
    with LeaseKeeper(renewed.set, 60.0, 10.0, lambda _: None, time.monotonic() - 70.0) as keeper:
        assert renewed.is_set()
        assert not keeper.lost
