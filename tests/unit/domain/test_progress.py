"""How long a network will take."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alchemiscale_prefect.domain.progress import Run, seconds_left

HOUR = 3600.0


def runs(least_done: int = 0) -> st.SearchStrategy[Run]:
    return st.builds(
        lambda seconds, total, part: Run(seconds, min(total, max(least_done, int(part * total))), total),
        st.floats(0.1, 1e6),
        st.integers(1, 1000),
        st.floats(0, 1),
    )


def test_nothing_to_do_takes_no_time():
    assert seconds_left(0, []) == 0.0
    assert seconds_left(0, [], completed=12, mean_seconds=60.0, window_seconds=HOUR) == 0.0


def test_nothing_is_told_while_nothing_is_done():
    assert seconds_left(5, [Run(30.0, 0, 10)], window_seconds=30.0) is None
    assert seconds_left(5, [Run(30.0, 0, 0)], window_seconds=30.0) is None


def test_what_running_units_say_counts_before_one_is_done():
    assert seconds_left(0, [Run(30.0, 0, 10, told=0.05)], window_seconds=30.0) == pytest.approx(570.0)
    # less than what is done, as it may have been said before: then that counts
    assert Run(30.0, 1, 2, told=0.4).fraction == 0.5


def test_nothing_is_told_while_tasks_wait_for_a_worker():
    assert seconds_left(5, [], completed=20, mean_seconds=60.0, window_seconds=HOUR) is None


def test_the_first_tasks_tell_before_one_is_complete():
    # four workers half-way after 100 s: 100 Tasks of 200 s each take 5000 s, of which 100 are over
    running = [Run(100.0, 5, 10)] * 4
    assert seconds_left(96, running, window_seconds=100.0) == pytest.approx(4900.0)


def test_a_steady_state_goes_on_as_it_went():
    # 60 Tasks of 4 min in the last hour by four workers, each half-way; 28 wait
    running = [Run(120.0, 1, 2)] * 4
    expected = (28 + 2) * HOUR / (60 + 2)
    assert seconds_left(28, running, 60, 240.0, HOUR) == pytest.approx(expected)


def test_of_a_task_longer_than_the_window_only_what_it_did_in_it_counts():
    # ten hours for half of it: the other half takes ten hours more
    assert seconds_left(0, [Run(10 * HOUR, 5, 10)], window_seconds=HOUR) == pytest.approx(10 * HOUR)
    assert seconds_left(1, [Run(10 * HOUR, 5, 10)], window_seconds=HOUR) == pytest.approx(30 * HOUR)


def test_the_last_task_takes_its_time_however_fast_the_others_were():
    assert seconds_left(0, [Run(100.0, 1, 2)], 99, 10.0, HOUR) == pytest.approx(100.0)


def test_a_task_that_tells_nothing_takes_as_long_as_the_others():
    assert seconds_left(0, [Run(20.0, 0, 0)], 600, 50.0, HOUR) == pytest.approx(30.0)
    # and one that took longer already may end at any moment
    assert Run(80.0, 0, 0).seconds_left(50.0) == 0.0


@pytest.mark.parametrize(("done", "total", "fraction"), [(0, 0, 0.0), (3, 0, 0.0), (1, 4, 0.25), (5, 4, 1.0)])
def test_a_fraction_is_between_nothing_and_all(done, total, fraction):
    assert Run(1.0, done, total).fraction == fraction


@given(
    st.integers(0, 10**6),
    st.lists(runs(), max_size=20),
    st.integers(0, 10**6),
    st.none() | st.floats(0.1, 1e6),
    st.floats(0.1, HOUR),
)
def test_an_estimate_is_a_time_or_none(waiting, running, completed, mean, window):
    found = seconds_left(waiting, running, completed, mean, window)
    if not waiting and not running:
        assert found == 0.0
    elif found is not None:
        assert running
        assert math.isfinite(found)
        assert found >= max(run.seconds_left(mean) for run in running)
    else:
        assert not running or (not completed and not any(run.fraction for run in running))


@given(
    st.integers(0, 1000), st.integers(1, 1000), st.lists(runs(1), min_size=1), st.integers(0, 1000), st.floats(1, HOUR)
)
def test_more_that_waits_takes_no_less_time(waiting, more, running, completed, window):
    shorter = seconds_left(waiting, running, completed, None, window)
    longer = seconds_left(waiting + more, running, completed, None, window)
    assert shorter is not None
    assert longer is not None
    assert longer >= shorter


@given(st.integers(1, 64), st.integers(1, 1000), st.integers(2, 50), st.floats(1, 1e4))
def test_equal_tasks_on_equal_workers_are_foretold_exactly(workers, rounds, units, per_unit):
    """Evenly working workers, `rounds` Tasks each still waiting, in the middle of their first one."""
    done = units // 2
    running = [Run(done * per_unit, done, units)] * workers
    window = done * per_unit
    exact = rounds * units * per_unit + (units - done) * per_unit
    assert seconds_left(rounds * workers, running, 0, None, window) == pytest.approx(exact)
