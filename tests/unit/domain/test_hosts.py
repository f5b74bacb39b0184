"""What becomes of a flow run that asks to begin on a host, and of the host."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alchemiscale_prefect.domain.hosts import Health, HostPolicy, HostState, Trial, admit, standing
from alchemiscale_prefect.domain.verdicts import Verdict
from tests.unit.domain.test_verdicts import EXAMPLES, NAN, ran

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = HostPolicy(first_ban=5 * MINUTE, longest_ban=60 * MINUTE, hold=MINUTE)
FINE = Verdict(succeeded=3)
BAD = Verdict(
    failed=3, blamed=frozenset({1, 2, 3}), strikes=3, failing=True, bad=True, last_failure=ran("a", 3, 0, NAN)
)
THIS, OTHER = (9, 1), (8, 1)


def banned(bans=1, minutes=5, **changes) -> Health:
    return Health(HostState.banned, bans, START, START + minutes * MINUTE, reason="Tasks fail", **changes)


def trying(bans=1, probe=OTHER) -> Health:
    return Health(HostState.probation, bans, START, probe=probe)


def test_a_bad_host_is_banned_and_says_why():
    health, refused = admit(Health(), THIS, BAD, Trial.void, POLICY, START)
    assert (health.state, health.bans, health.until) == (HostState.banned, 1, START + 5 * MINUTE)
    assert NAN in health.reason
    assert NAN not in refused.reason, "that may be of a Task of another Scope"
    assert refused.hold == MINUTE
    assert admit(Health(), THIS, FINE, Trial.void, POLICY, START) == (Health(), None)


def test_nobody_keeps_a_place_for_longer_than_the_ban_lasts():
    health, refused = admit(banned(), THIS, BAD, Trial.void, POLICY, START + 4.5 * MINUTE)
    assert health == banned()
    assert refused.hold == 0.5 * MINUTE


def test_a_ban_ends_early_when_the_tasks_turn_out_to_be_at_fault():
    health, refused = admit(banned(bans=2), THIS, FINE, Trial.void, POLICY, START + MINUTE)
    assert refused is None
    assert (health.state, health.bans) == (HostState.healthy, 0)


def test_after_a_ban_one_task_is_tried_at_a_time():
    health, refused = admit(banned(), THIS, BAD, Trial.void, POLICY, START + 6 * MINUTE)
    assert refused is None
    assert (health.state, health.probe) == (HostState.probation, THIS)
    assert admit(health, THIS, BAD, Trial.live, POLICY, START + 6 * MINUTE) == (health, None)  # asks twice
    same, refused = admit(health, OTHER, BAD, Trial.live, POLICY, START + 7 * MINUTE)
    assert same == health
    assert "probation" in refused.reason


def test_a_success_ends_probation_and_a_void_attempt_gives_way_to_another():
    health, refused = admit(trying(bans=3), THIS, BAD, Trial.succeeded, POLICY, START + MINUTE)
    assert refused is None
    assert health == Health(since=START + MINUTE, counts_from=START + MINUTE)
    assert admit(trying(), THIS, BAD, Trial.void, POLICY, START) == (trying(probe=THIS), None)
    # it failed, but not by the host's fault
    assert admit(trying(probe=(7, 1)), THIS, BAD, Trial.failed, POLICY, START) == (trying(probe=THIS), None)


def test_each_ban_in_a_row_is_twice_as_long_up_to_a_limit():
    health = trying(bans=1, probe=(1, 1))
    lengths = []
    for _ in range(6):
        health, refused = admit(health, THIS, BAD, Trial.failed, POLICY, START)
        assert refused is not None
        lengths.append((health.until - START) / MINUTE)
        health = replace(trying(health.bans, probe=(1, 1)), since=START)
    assert lengths == [10, 20, 40, 60, 60, 60]
    assert HostPolicy().ban(2000) == HostPolicy().longest_ban


@pytest.mark.parametrize("verdict", [FINE, BAD])
def test_what_an_operator_bans_stays_so_whatever_happens_until_the_end_that_was_set(verdict):
    for_good = replace(banned(banned_by="root"), until=None)
    health, refused = admit(for_good, THIS, verdict, Trial.succeeded, POLICY, START + timedelta(days=99))
    assert health == for_good
    assert refused.hold == MINUTE
    by_hand = banned(banned_by="root")
    assert admit(by_hand, THIS, verdict, Trial.void, POLICY, START + MINUTE)[1] is not None
    health, refused = admit(by_hand, THIS, verdict, Trial.void, POLICY, START + 6 * MINUTE)
    assert refused is None
    assert (health.state, health.counts_from) == (HostState.healthy, START + 5 * MINUTE)


def test_failures_that_brought_about_a_ban_count_as_long_as_it_lasts():
    window = 10 * MINUTE
    assert Health().failures_from(START, window) == START - window
    assert banned().failures_from(START + 99 * MINUTE, window) == START - window
    pardoned = Health(since=START, counts_from=START)
    assert pardoned.failures_from(START + MINUTE, window) == START
    assert pardoned.failures_from(START + 99 * MINUTE, window) == START + 89 * MINUTE


@settings(max_examples=EXAMPLES)
@given(st.lists(st.tuples(st.sampled_from(Trial), st.booleans(), st.integers(0, 30)), max_size=40))
def test_any_history_keeps_to_the_rules(steps):
    health, now = Health(), START
    for number, (trial, is_bad, minutes) in enumerate(steps, 1):
        now += minutes * MINUTE
        verdict = replace(BAD, blamed=frozenset(range(number))) if is_bad else FINE
        before = standing(health, verdict, now)
        new, refused = admit(health, (number, 1), verdict, trial, POLICY, now)
        if refused is not None:
            assert timedelta(0) <= refused.hold <= POLICY.hold
            assert before is not HostState.healthy
            assert new.state is not HostState.healthy
        elif new.state is HostState.probation:
            assert new.probe == (number, 1)
            assert trial is not Trial.live or health.state is HostState.banned
        else:
            assert new.state is HostState.healthy
            assert new.bans == 0
        if new.state is HostState.banned:
            assert now < new.until <= now + POLICY.longest_ban
            assert new.bans in (health.bans, health.bans + 1)
        health = new
