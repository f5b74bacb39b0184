"""Attempts: how one that ended is spoken of."""

from datetime import UTC, datetime, timedelta

import pytest

from alchemiscale_prefect.domain.attempts import LIVE, AttemptOutcome, AttemptState, outcome_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)


@pytest.mark.parametrize("state", LIVE)
def test_what_goes_on_has_no_outcome(state):
    assert outcome_of(state, LATER, None) is None


@pytest.mark.parametrize("state", [AttemptState.complete, AttemptState.error, AttemptState.cancelled])
def test_what_ended_by_itself_or_was_cancelled_is_called_so(state):
    assert outcome_of(state, LATER, NOW) == state.value
    assert outcome_of(state, None, NOW) == state.value


@pytest.mark.parametrize(
    ("lease_expires_at", "outcome"),
    [(LATER, AttemptOutcome.released), (NOW - timedelta(seconds=1), AttemptOutcome.expired), (None, "expired")],
)
def test_what_was_lost_gave_its_lease_back_or_let_it_run_out(lease_expires_at, outcome):
    assert outcome_of(AttemptState.lost, lease_expires_at, NOW) == outcome


def test_every_state_has_an_outcome_or_none():
    outcomes = {outcome_of(state, LATER, NOW) for state in AttemptState} | {outcome_of(AttemptState.lost, None, NOW)}
    assert outcomes == {*AttemptOutcome, None}
