"""What attempts say of the hosts, pools and images that they ran on: one pure rule, `judge`."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

# an attempt that still runs has got over a failure if it has run this many times as long, and so much longer
_OUTLIVES = 3.0
_OUTLIVES_BY_SECONDS = 30.0

LEASE_RAN_OUT = "its lease ran out"
"""What happened to an attempt that nothing is heard of any more; then why follows, if that is known."""

NOT_THE_HOSTS = frozenset({"its time on the host was over", "its job was ended from outside"})
"""Why flow runs crashed, in the words of ``orchestration.states``, where that is a loss but not against a host."""


@dataclass(frozen=True, slots=True)
class HostAttempt:
    """An attempt, as far as it says something of what it ran on: one that succeeded, failed, or still runs.

    Those that were cancelled, told to stop or preempted, and those whose ProtocolDAG could not be made, say nothing.

    Attributes
    ----------
    task, transformation
        Ids.
    failure
        How it failed (`unit_failure`, or why it was lost); ``None`` if it did not.
    live
        Whether it still runs.
    at
        When it ended; of one that runs, now.
    seconds
        How long it ran until then.
    """

    host: str
    pool: str
    image: str | None
    task: int
    transformation: int
    failure: str | None
    live: bool
    at: datetime
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether it is over and did not fail."""
        return not self.live and self.failure is None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the attempts say of a host, a pool or an image.

    Attributes
    ----------
    running, succeeded, failed
        Different Tasks in the window.
    blamed
        Those of the failed ones that speak against it. The others failed in the same way elsewhere, so that it is
        their own fault.
    strikes
        How many of `blamed` count: of a Transformation that has not run elsewhere, one.
    failing
        Whether as many as are needed failed lately, and hardly any succeeded in between.
    bad
        Whether it is `failing` and most others are not.
    last_failure
        The most recent attempt that failed.
    """

    running: int = 0
    succeeded: int = 0
    failed: int = 0
    blamed: frozenset[int] = frozenset()
    strikes: int = 0
    failing: bool = False
    bad: bool = False
    last_failure: HostAttempt | None = None


def unit_failure(source_key: str, exception: str) -> str:
    """How a ProtocolUnit failed, for comparing failures: its class and that of the exception.

    Parameters
    ----------
    source_key
        The unit's key, ``<class>-<token>``.
    exception
        ``<class>(<arguments>)``.
    """
    return f"{source_key.rpartition('-')[0] or source_key}: {exception.partition('(')[0]}"[:200]


def loss_failure(reason: str, host: str = "") -> str | None:
    """How an attempt was lost, for comparing failures: what its reason begins with, without the names in it.

    ``None`` if that says nothing of the host.

    Parameters
    ----------
    reason
        ``<what happened>: <details>``, or, where Prefect was asked why, ``<what happened>: <why>: <details>``.
    host
        Where that was; left out of the answer.
    """
    what, _, rest = reason.partition(": ")
    why = rest.partition(": ")[0] if what == LEASE_RAN_OUT else ""
    if why in NOT_THE_HOSTS:
        return None
    plain = what.replace(host, "") if host else what
    return ": ".join(filter(None, (plain.strip(), why)))[:200]


# --- judging ---------------------------------------------------------------------------------------------------------


def judge(
    attempts: Iterable[HostAttempt],
    threshold: int,
    of: Callable[[HostAttempt], str | None] = lambda attempt: attempt.host,
    since: Mapping[str, datetime] | None = None,
) -> dict[str, Verdict]:
    """What the attempts of the window say of each host.

    A failure is the Task's own if its Transformation failed in the same way elsewhere at least as often as it went
    well there. Otherwise it speaks against the host: once for each Task, or, where the Transformation has neither
    failed nor gone well elsewhere, once for the Transformation. An attempt that runs elsewhere and has got over the
    time at which the other failed goes well. What most hosts do is not a host's fault; a host that is alone is never
    bad.

    Parameters
    ----------
    threshold
        So many different Tasks must have failed for a host to be bad; 0: none is.
    of
        What is judged: the host of an attempt, its pool, or its image; an attempt without one is left out.
    since
        Failures up to then do not count against this host any more.
    """
    by_name: dict[str, list[HostAttempt]] = defaultdict(list)
    evidence: dict[int, _Evidence] = defaultdict(_Evidence)
    for attempt in attempts:
        name = of(attempt)
        if name is not None:
            by_name[name].append(attempt)
            evidence[attempt.transformation].add(name, attempt)
    records = {
        name: _Record.of(name, found, evidence, threshold, (since or {}).get(name)) for name, found in by_name.items()
    }
    failing = {name for name, record in records.items() if record.failing}
    return {name: record.verdict(_mostly_well(name, records, failing)) for name, record in records.items()}


class _Evidence:
    """How a Transformation fared, by where it ran."""

    def __init__(self) -> None:
        self._succeeded: dict[str, set[int]] = defaultdict(set)
        self._failed: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        self._running: list[tuple[str, float]] = []

    def add(self, name: str, attempt: HostAttempt) -> None:
        if attempt.live:
            self._running.append((name, attempt.seconds))
        elif attempt.failure is None:
            self._succeeded[name].add(attempt.task)
        else:
            self._failed[attempt.failure][name].add(attempt.task)

    def elsewhere(self, name: str, failure: str, seconds: float) -> tuple[int, int]:
        """How often it failed likewise, and how often it went well, in other places than `name`."""
        likewise = sum(len(tasks) for other, tasks in self._failed[failure].items() if other != name)
        succeeded = sum(len(tasks) for other, tasks in self._succeeded.items() if other != name)
        outlived = sum(other != name and _outlives(running, seconds) for other, running in self._running)
        return likewise, succeeded + outlived


@dataclass(frozen=True, slots=True)
class _Record:
    """What happened in one place."""

    attempts: Sequence[HostAttempt]
    blamed: frozenset[int]
    strikes: Sequence[datetime]
    failing: bool

    @classmethod
    def of(
        cls,
        name: str,
        attempts: Sequence[HostAttempt],
        evidence: Mapping[int, _Evidence],
        threshold: int,
        since: datetime | None,
    ) -> "_Record":
        alike: dict[tuple[int, str], list[HostAttempt]] = defaultdict(list)
        for attempt in attempts:
            if attempt.failure is not None and (since is None or attempt.at > since):
                alike[attempt.transformation, attempt.failure].append(attempt)
        # task, or transformation, -> the last time it failed here
        of_tasks: dict[int, datetime] = {}
        doubtful: dict[int, list[HostAttempt]] = defaultdict(list)
        for (transformation, failure), failed in alike.items():
            longest = max(attempt.seconds for attempt in failed)
            likewise, well = evidence[transformation].elsewhere(name, failure, longest)
            if likewise and likewise >= well:
                continue
            if not well:
                doubtful[transformation] += failed
                continue
            for attempt in failed:
                of_tasks[attempt.task] = max(attempt.at, of_tasks.get(attempt.task, attempt.at))
        of_transformations = {
            transformation: max(attempt.at for attempt in failed)
            for transformation, failed in doubtful.items()
            if any(attempt.task not in of_tasks for attempt in failed)
        }
        blamed = frozenset(of_tasks).union(attempt.task for failed in doubtful.values() for attempt in failed)
        strikes = sorted((*of_tasks.values(), *of_transformations.values()))
        return cls(attempts, blamed, strikes, _failing(strikes, attempts, threshold))

    def well(self, seconds: float) -> bool:
        """Whether something went well here, beside a failure after `seconds`."""
        return any(
            attempt.succeeded or (attempt.live and _outlives(attempt.seconds, seconds)) for attempt in self.attempts
        )

    def verdict(self, others_are_well: bool) -> Verdict:
        failures = [attempt for attempt in self.attempts if attempt.failure is not None]
        return Verdict(
            running=len({attempt.task for attempt in self.attempts if attempt.live}),
            succeeded=len({attempt.task for attempt in self.attempts if attempt.succeeded}),
            failed=len({attempt.task for attempt in failures}),
            blamed=self.blamed,
            strikes=len(self.strikes),
            failing=self.failing,
            bad=self.failing and others_are_well,
            last_failure=max(failures, key=lambda attempt: attempt.at, default=None),
        )


def _failing(strikes: Sequence[datetime], attempts: Sequence[HostAttempt], threshold: int) -> bool:
    # what went well before the failing began, for months perhaps, does not count
    if not threshold or len(strikes) < threshold:
        return False
    began = strikes[-threshold]
    since = {attempt.task for attempt in attempts if attempt.succeeded and attempt.at > began}
    return 2 * len(since) < threshold


def _mostly_well(name: str, records: Mapping[str, _Record], failing: set[str]) -> bool:
    """Whether there are others beside `name` of which something is known, and most of them are not failing."""
    if name not in failing:
        return False
    of_blamed = (attempt.seconds for attempt in records[name].attempts if attempt.task in records[name].blamed)
    longest = max(of_blamed, default=0.0)
    states = Counter(
        other in failing
        for other, record in records.items()
        if other != name and (other in failing or record.well(longest))
    )
    return states[True] < states[False]


def _outlives(running: float, failed: float) -> bool:
    return running > _OUTLIVES * failed + _OUTLIVES_BY_SECONDS
