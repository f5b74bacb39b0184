"""Fair share: whose turn it is, whatever was used before and however long attempts take."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.shares import UNKNOWN_DURATION, Ledger, Shares, Usage
from alchemiscale_prefect.settings import ApiSettings, DispatchSettings, read

A, B, C = Scope("a"), Scope("b"), Scope("c")
HOUR = 3600.0


def ledger(shares: dict[Scope, float], *usages: Usage, hours: float = 24.0) -> Ledger:
    return Ledger(Shares(shares, timedelta(hours=hours)), usages)


# --- what can be set --------------------------------------------------------------------------------------------------


def test_organisations_and_scopes_are_read() -> None:
    shares = Shares.from_json('{"a": 3, "b-x-*": 2.5, "b": 1, "c-x-p": 4, "*": 0.5}')
    groups = {
        "a-x-p": (A, 3),
        "b-x-p": (Scope("b", "x"), 2.5),
        "b-y-p": (B, 1),
        "c-x-p": (Scope("c", "x", "p"), 4),
        # one that no pattern names is a group of its own organisation's
        "c-x-q": (C, 0.5),
        "d-x-p": (Scope("d"), 0.5),
    }
    for scope, (group, share) in groups.items():
        assert shares.group_of(Scope.from_str(scope)) == group
        assert shares.share_of(group) == share
    assert Shares({}).share_of(A) == 1.0


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("org_a: 3", "no JSON"),
        ("[]", "no object"),
        ("3", "no object"),
        ('{"a": 0}', r"share of a-\*-\* is 0; it must be a number above 0"),
        ('{"a": -1}', "above 0"),
        ('{"a": "3"}', "above 0"),
        ('{"a": true}', "above 0"),
        ('{"a": NaN}', "above 0"),
        ('{"a": 1e999}', "above 0"),
        ('{"a": {"b": 1}}', "above 0"),
        ('{"a": 1, "a-*-*": 2}', r"a-\*-\* has two shares"),
        ('{"a": 1, "a": 2}', "two shares"),
        ('{"*-x-*": 1}', "a part to its left is a wildcard"),
        ('{"a-x": 1}', "expected 'org-campaign-project'"),
        ('{"": 1}', "must begin with a letter"),
    ],
)
def test_what_is_wrong_is_said(document: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        Shares.from_json(document)


def test_a_window_has_a_length() -> None:
    with pytest.raises(InvalidInput, match="window"):
        Shares({}, timedelta(0))


# --- how a group stands -----------------------------------------------------------------------------------------------


def test_what_runs_counts_as_long_as_it_is_expected_to_run() -> None:
    ended = Usage("a-x-p", ended=4, durations=4 * 100.0, seconds=350.0, live=(0.0, 30.0, 700.0))
    standing = ledger({A: 3.0}, ended, Usage("a-x-q", live=(10.0,))).standing(A)
    assert (standing.share, standing.expected) == (3.0, 100.0)
    assert standing.used == 350.0 + 30.0 + 700.0 + 10.0
    assert standing.committed == 350.0 + 100.0 + 100.0 + 700.0 + 100.0


def test_who_has_not_run_anything_is_expected_to_take_what_others_do() -> None:
    others = ledger({}, Usage("a-x-p", ended=2, durations=50.0, seconds=50.0))
    assert others.standing(B).expected == 25.0
    assert ledger({}).standing(B).expected == UNKNOWN_DURATION
    # what fails at once is not free
    assert ledger({}, Usage("a-x-p", ended=1000)).standing(A).expected == 1.0


def test_what_ran_before_the_window_does_not_count() -> None:
    standing = ledger({}, Usage("a-x-p", live=(5 * HOUR,)), hours=2).standing(A)
    assert standing.used == standing.committed == 2 * HOUR


def test_standings_are_of_all_that_use_or_are_named() -> None:
    found = ledger({B: 2.0, Scope(): 0.5}, Usage("a-x-p", live=(1.0,))).standings()
    assert [(one.group, one.share) for one in found] == [(A, 0.5), (B, 2.0)]


# --- whose turn it is -------------------------------------------------------------------------------------------------


def test_turns_are_in_proportion_to_the_shares() -> None:
    turns = ledger({A: 3.0, B: 1.0}).turns([A, B], 400)
    assert Counter(turns) == {A: 300, B: 100}
    assert Counter(turns[:8]) == {A: 6, B: 2}


def test_short_attempts_give_more_turns() -> None:
    used = (
        Usage("a-x-p", ended=1, durations=100.0, seconds=100.0),
        Usage("b-x-p", ended=1, durations=300.0, seconds=300.0),
    )
    turns = Counter(ledger({A: 3.0, B: 1.0}, *used).turns([A, B], 1000))
    assert turns[A] * 100 / (turns[B] * 300) == pytest.approx(3.0, rel=0.02)


def test_who_is_behind_comes_first_and_only_until_it_is_not() -> None:
    used = Usage("a-x-p", ended=10, durations=10 * HOUR, seconds=10 * HOUR)
    turns = ledger({}, used).turns([A, B], 30)
    assert turns[:10] == [B] * 10
    assert Counter(turns[10:]) == {A: 10, B: 10}


def test_nobody_without_work_has_a_turn() -> None:
    assert ledger({A: 100.0}).turns([B], 3) == [B] * 3
    assert ledger({A: 100.0}).turns([], 3) == []


def test_what_is_handed_out_is_charged() -> None:
    book = ledger({A: 1.0, B: 1.0})
    (first,) = book.turns([A, B], 1)
    book.charge(f"{first.org}-x-p")
    (second,) = book.turns([A, B], 1)
    assert {first, second} == {A, B}
    assert book.standing(first).committed == UNKNOWN_DURATION
    assert book.standing(first).used == 0.0


GROUPS = st.dictionaries(
    st.sampled_from([A, B, C, Scope("d"), Scope("e", "x")]), st.floats(0.1, 10.0), min_size=1, max_size=5
)
USED = st.builds(
    Usage,
    st.sampled_from(["a-x-p", "b-x-p", "c-x-p", "d-x-p", "e-x-p", "f-x-p"]),
    st.integers(0, 50),
    st.floats(0.0, 1e6),
    st.floats(0.0, 1e5),
    st.lists(st.floats(0.0, 1e5), max_size=4).map(tuple),
)


@given(GROUPS, st.lists(USED, max_size=8), st.integers(1, 80))
def test_each_turn_is_of_who_has_used_least_for_its_share(
    shares: dict[Scope, float], used: list[Usage], count: int
) -> None:
    """One call for all is the same as one call for each, and no group is ahead by more than one attempt."""
    at_once, one_by_one = ledger(shares, *used), ledger(shares, *used)
    turns = at_once.turns(list(shares), count)
    begun = {group: one_by_one.standing(group).committed / shares[group] for group in shares}
    for turn in turns:
        assert one_by_one.turns(list(shares), 1) == [turn]
        levels = {group: one_by_one.standing(group).committed / shares[group] for group in shares}
        assert levels[turn] == min(levels.values())
        one_by_one.charge(str(turn).replace("*", "x"))
    for group in set(turns):
        last = one_by_one.standing(group)
        others = [one_by_one.standing(other).committed / shares[other] for other in shares]
        # who had a turn was at the least level then, and no level falls
        assert last.committed / last.share <= min(others) + last.expected / last.share + 1e-6
        assert last.committed / last.share >= begun[group]


# --- the settings -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[ApiSettings, DispatchSettings])
def settings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[ApiSettings | DispatchSettings]:
    monkeypatch.setenv("ALCHEMISCALE_JWT_SECRET", "0123456789abcdef" * 2)
    group: type[ApiSettings | DispatchSettings] = request.param
    return group


def test_shares_are_off_unless_they_are_set(
    settings: type[ApiSettings | DispatchSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for unset in (None, "", " "):
        if unset is not None:
            monkeypatch.setenv("ALCHEMISCALE_SHARES", unset)
        assert read(settings).fair_share is None
    monkeypatch.setenv("ALCHEMISCALE_SHARES", '{"a": 3}')
    monkeypatch.setenv("ALCHEMISCALE_SHARES_WINDOW_HOURS", "12")
    assert read(settings).fair_share == Shares({A: 3.0}, timedelta(hours=12))


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("ALCHEMISCALE_SHARES", '{"a": 0}', "must be a number above 0"),
        ("ALCHEMISCALE_SHARES", "a=3", 'no JSON .*; expected {"organisation": 3'),
        ("ALCHEMISCALE_SHARES_WINDOW_HOURS", "0", "greater than 0"),
        ("ALCHEMISCALE_SHARES_WINDOW_HOURS", "1000", "less than or equal to 744"),
    ],
)
def test_a_wrong_setting_is_named(
    settings: type[ApiSettings | DispatchSettings],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    complaint: str,
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInput, match=f"^{variable} is wrong: .*{complaint}"):
        read(settings)
