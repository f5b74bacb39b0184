"""The table of transitions between the statuses of a Task, with what may cause each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.tasks import USER_SETTABLE, TaskStatus
from alchemiscale_prefect.domain.transitions import TRANSITIONS, Cause, may_become, sources_of

# a row for each status, a column for each in the order of the header; = is staying, a letter is a cause:
# user, begin, outcome, loss, reGain, stop, restart pattern
TABLE = """
            waiting running complete error invalid deleted
waiting     =       bg      -        ls    u       u
running     uls     =       o        ols   u       u
complete    -       -       =        -     u       u
error       ur      g       -        =     u       u
invalid     -       -       -        -     =       -
deleted     -       -       -        -     -       =
"""
LETTERS = {
    "u": Cause.user,
    "b": Cause.begin,
    "o": Cause.outcome,
    "l": Cause.loss,
    "g": Cause.regain,
    "s": Cause.stop,
    "r": Cause.restart,
}
_HEADER, *_ROWS = (line.split() for line in TABLE.strip().splitlines())
CASES = [(row[0], new, mark) for row in _ROWS for new, mark in zip(_HEADER, row[1:], strict=True)]


@pytest.mark.parametrize(("current", "new", "mark"), CASES)
def test_every_transition(current, new, mark):
    current, new = TaskStatus(current), TaskStatus(new)
    causes = set(Cause) if mark == "=" else {LETTERS[letter] for letter in mark.strip("-")}
    for cause in Cause:
        assert may_become(current, new, cause) is (cause in causes)
        assert (current in sources_of(new, cause)) is (cause in causes)


def test_the_table_is_whole_and_cannot_be_changed():
    assert len(CASES) == len(TaskStatus) ** 2
    assert set(LETTERS.values()) == set(Cause)
    assert set(TRANSITIONS) == set(TaskStatus)
    with pytest.raises(TypeError):
        TRANSITIONS[TaskStatus.invalid] = {}
    with pytest.raises(TypeError):
        TRANSITIONS[TaskStatus.invalid][TaskStatus.waiting] = frozenset(Cause)


def test_users_bring_about_what_they_may_ask_for_and_nothing_else():
    asked = {new for current in TaskStatus for new in TaskStatus if new is not current and may_become(current, new)}
    assert asked == set(USER_SETTABLE)


@given(st.lists(st.tuples(st.sampled_from(list(TaskStatus)), st.sampled_from(list(Cause))), max_size=20))
def test_nothing_leaves_a_final_status(asked):
    status = TaskStatus.waiting
    for new, cause in asked:
        if may_become(status, new, cause):
            assert status not in (TaskStatus.invalid, TaskStatus.deleted) or new is status
            status = new
