"""What attempts say of the hosts that they ran on: random histories against what must hold, and the cases in words."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alchemiscale_prefect.domain.verdicts import HostAttempt, judge, loss_failure, unit_failure

EXAMPLES = int(os.environ.get("ALCHEMISCALE_HOST_EXAMPLES", "60"))
THRESHOLD = 3
START = datetime(2026, 1, 1, tzinfo=UTC)
NAN = "SimulationUnit: SimulationNaNError"


def ran(
    host, task, transformation=0, failure=None, at=0.0, seconds=60.0, *, live=False, pool="pool", image=None
) -> HostAttempt:
    """An attempt that ended `at` seconds after the start, or runs then."""
    ended = START + timedelta(seconds=at)
    return HostAttempt(host, pool, image, task, transformation, failure, live, ended, seconds)


def bad(attempts, **named):
    return {name for name, verdict in judge(attempts, THRESHOLD, **named).items() if verdict.bad}


@st.composite
def histories(draw):
    """Attempts on a few hosts, of few Transformations, so that much coincides."""
    failures = st.sampled_from([None, NAN, "its lease ran out"])
    attempts = []
    for at in range(draw(st.integers(1, 25))):
        task = draw(st.integers(0, 11))
        live = draw(st.booleans()) and draw(st.booleans())
        failure = None if live else draw(failures)
        seconds = draw(st.sampled_from([1.0, 60.0, 1000.0]))
        attempts.append(ran(draw(st.sampled_from("abcd")), task, task % 4, failure, at, seconds, live=live))
    return attempts


@settings(max_examples=EXAMPLES)
@given(histories(), st.randoms())
def test_what_holds_of_every_history(attempts, chance):
    verdicts = judge(attempts, THRESHOLD)
    found = {name for name, verdict in verdicts.items() if verdict.bad}
    # what most hosts do is no host's fault, and one that is alone is not bad
    assert 2 * len(found) <= len(verdicts)
    for name, verdict in verdicts.items():
        here = [attempt for attempt in attempts if attempt.host == name]
        failed = {attempt.task for attempt in here if attempt.failure}
        assert verdict.blamed <= failed
        assert verdict.strikes <= len(verdict.blamed)
        if verdict.bad:
            assert verdict.strikes >= THRESHOLD
    # the order in which they come says nothing
    shuffled = list(attempts)
    chance.shuffle(shuffled)
    again = judge(shuffled, THRESHOLD)
    assert {name: (v.blamed, v.strikes, v.bad) for name, v in again.items()} == {
        name: (v.blamed, v.strikes, v.bad) for name, v in verdicts.items()
    }
    assert not any(verdict.bad for verdict in judge(attempts, 0).values())


@settings(max_examples=EXAMPLES)
@given(histories())
def test_who_fails_nothing_is_not_bad_and_what_fails_likewise_everywhere_makes_nobody_bad(attempts):
    found = bad(attempts)
    assert not found & bad([attempt for attempt in attempts if attempt.failure is None])
    # each Transformation that failed fails likewise elsewhere, more often than it succeeded anywhere
    elsewhere = [
        ran(other, 100 + 20 * n + m, attempt.transformation, attempt.failure, 0, 1.0)
        for n, attempt in enumerate(attempts)
        if attempt.failure
        for m in range(13)
        for other in ("x", "y")
    ]
    finished = [attempt for attempt in attempts if not attempt.live]
    assert not bad(finished + elsewhere) & set("abcd")


@settings(max_examples=EXAMPLES)
@given(st.permutations(range(12)), st.integers(3, 12))
def test_a_host_where_tasks_fail_that_do_well_elsewhere_is_bad_and_no_other(order, failing):
    attempts = [ran("good", 100 + n, n % 3, at=at) for at, n in enumerate(order)]
    attempts += [ran("fine", 200 + n, n % 3, at=at) for at, n in enumerate(order)]
    attempts += [ran("bad", n, n % 3, NAN, at) for at, n in enumerate(order[:failing])]
    assert bad(attempts) == {"bad"}


def test_a_task_that_fails_everywhere_bans_nobody():
    again_and_again = [ran(host, 1, 1, NAN, at) for at in range(6) for host in ("a", "b", "c")]
    others = [ran(host, 10 + n, 2, at=n) for n, host in enumerate("abc")]
    assert bad(again_and_again + others) == set()
    assert bad([ran("a", 1, 1, NAN, at) for at in range(9)] + others) == set()


def test_a_bad_transformation_bans_nobody_whoever_has_it_first():
    good = [ran(host, 100 + n, 2, at=n) for n in range(4) for host in ("a", "b", "c")]
    # a dozen different Tasks of it, before any other host had one
    first = [ran("a", n, 1, NAN, 10 + n) for n in range(12)]
    assert judge(good + first, THRESHOLD)["a"].strikes == 1
    assert bad(good + first) == set()
    everywhere = [ran(host, 20 + n, 1, NAN, 30 + n) for n in range(5) for host in ("a", "b", "c")]
    verdicts = judge(good + first + everywhere, THRESHOLD)
    assert {verdict.strikes for verdict in verdicts.values()} == {0}
    assert verdicts["a"].failed == 17


def test_what_failed_in_another_way_elsewhere_is_no_excuse():
    attempts = [ran("a", n, n, "Unit: OSError", n) for n in range(3)]
    attempts += [ran("b", 10 + n, n, NAN, n) for n in range(3)] + [ran("b", 20 + n, n, at=n) for n in range(3)]
    assert bad([*attempts, ran("c", 30, 5)]) == {"a"}


def test_a_bad_network_of_many_transformations_bans_no_host():
    """None of them ran on two hosts; but what all hosts do is none's fault."""
    attempts = [ran("abc"[n % 3], n, n, NAN, n) for n in range(12)]
    attempts += [ran(host, 50 + n, 99, at=-100) for n, host in enumerate("abc")]
    verdicts = judge(attempts, THRESHOLD)
    assert all(verdict.failing for verdict in verdicts.values())
    assert bad(attempts) == set()


def test_what_runs_on_elsewhere_has_got_over_it():
    """A host on which everything fails at once is found before anything has finished elsewhere."""
    failed = [ran("a", n, 1, NAN, 10 * n, 10.0) for n in range(3)]
    assert bad([*failed, ran("b", 10, 1, at=30, seconds=30.0, live=True)]) == set()
    assert bad([*failed, ran("b", 10, 1, at=90, seconds=90.0, live=True)]) == {"a"}


def test_a_host_that_worked_for_long_is_bad_as_soon_as_it_breaks():
    before = [ran("a", 100 + n, 1, at=n) for n in range(50)] + [ran("b", 200 + n, 1, at=n) for n in range(50)]
    broken = [ran("a", n, 1, NAN, 60 + 2 * n) for n in range(3)]
    assert bad(before + broken) == {"a"}
    assert bad(before + broken[:2]) == set()
    in_between = [ran("a", 300 + n, 1, at=61 + 2 * n) for n in range(2)]
    assert bad(before + broken + in_between) == set()


def test_what_failed_until_a_pardon_does_not_count():
    attempts = [ran("a", n, n, NAN, n) for n in range(4)] + [ran("b", 10 + n, n, at=n) for n in range(4)]
    assert bad(attempts) == {"a"}
    assert bad(attempts, since={"a": START + timedelta(seconds=1)}) == set()


def test_pools_and_images_are_judged_likewise():
    attempts = [ran(f"h{n}", n, n % 2, NAN, n, pool="gpu", image="new") for n in range(4)]
    attempts += [ran(f"g{n}", 10 + n, n % 2, at=n, pool="cpu", image="old") for n in range(4)]
    assert bad(attempts, of=lambda attempt: attempt.pool) == {"gpu"}
    assert bad(attempts, of=lambda attempt: attempt.image) == {"new"}
    assert bad([ran("a", 1)], of=lambda attempt: attempt.image) == set()


@pytest.mark.parametrize(
    ("reason", "failure"),
    [
        ("its lease ran out", "its lease ran out"),
        ("its lease ran out: its host failed: Slurm job 17 ended as NODE_FAIL", "its lease ran out: its host failed"),
        ("its lease ran out: its time on the host was over: Slurm job 17 ended as TIMEOUT", None),
        ("no room left on n17: /scratch/x", "no room left on"),
        ("RuntimeError: out of luck", "RuntimeError"),
    ],
)
def test_losses_are_compared_without_the_names_in_them(reason, failure):
    assert loss_failure(reason, "n17") == failure


def test_failures_of_units_are_compared_by_class():
    assert unit_failure("SimulationUnit-0123", "OpenMMException('NaN', 1)") == "SimulationUnit: OpenMMException"
