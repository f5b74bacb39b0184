"""Whether a host may run Tasks: where it stands, and what becomes of a flow run that asks to begin on it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from alchemiscale_prefect.domain.losses import AT_ONCE, BackOff
from alchemiscale_prefect.domain.verdicts import Verdict

# 2 to a power beyond this is no duration any more
_MOST_DOUBLINGS = 40
_FAILING = "Tasks fail on it that do not fail elsewhere"


class HostState(StrEnum):
    """What a host may do.

    ``banned``: begin nothing. ``probation``: run one Task at a time, until one succeeds.
    """

    healthy = "healthy"
    probation = "probation"
    banned = "banned"


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """What an operator sets.

    Attributes
    ----------
    failures
        So many different Tasks must have failed on a host; 0: no host is ever banned by itself.
    window
        How far back attempts count.
    first_ban, longest_ban
        Each ban in a row is twice as long as the one before.
    hold
        How long at most a flow run that was refused keeps its place at the worker, so that the host does not go through
        the queue by refusing it.
    avoidances
        So often in a row a Task is refused on hosts where it failed, while others are there.
    rest
        How long it rests after each of these.
    """

    failures: int = 3
    window: timedelta = timedelta(hours=6)
    first_ban: timedelta = timedelta(minutes=5)
    longest_ban: timedelta = timedelta(hours=6)
    hold: timedelta = timedelta(minutes=5)
    avoidances: int = 3
    rest: BackOff = AT_ONCE

    def ban(self, bans: int) -> timedelta:
        """How long the last one of `bans` in a row lasts; 1 or more."""
        seconds = self.first_ban.total_seconds() * 2.0 ** min(bans - 1, _MOST_DOUBLINGS)
        return timedelta(seconds=min(seconds, self.longest_ban.total_seconds()))


DEFAULT_POLICY = HostPolicy()
"""What holds where nothing is set."""


@dataclass(frozen=True, slots=True)
class Health:
    """Where a host stands.

    Attributes
    ----------
    bans
        In a row: since something last succeeded on it, or an operator pardoned it.
    since
        When it came to be in this state.
    until
        When the ban ends; ``None`` without an end.
    banned_by
        The operator; ``None`` if it came about by itself.
    reason
        Why it is banned.
    counts_from
        Failures up to then do not count any more.
    probe
        Task id and number of the attempt that it is tried with.
    """

    state: HostState = HostState.healthy
    bans: int = 0
    since: datetime | None = None
    until: datetime | None = None
    banned_by: str | None = None
    reason: str | None = None
    counts_from: datetime | None = None
    probe: tuple[int, int] | None = None

    def failures_from(self, now: datetime, window: timedelta) -> datetime:
        """From when on failures count: those that brought about a ban do as long as it lasts."""
        began = now if self.state is HostState.healthy or self.since is None else self.since
        return max(began - window, self.counts_from or began - window)


class Trial(StrEnum):
    """What became of the attempt that a host on probation is tried with; ``void``: nothing that says anything."""

    live = "live"
    succeeded = "succeeded"
    failed = "failed"
    void = "void"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a flow run may not begin on its host, and how long it is to keep its place there."""

    reason: str
    hold: timedelta = timedelta(0)


def admit(
    health: Health, attempt: tuple[int, int], verdict: Verdict, trial: Trial, policy: HostPolicy, now: datetime
) -> tuple[Health, Refusal | None]:
    """What becomes of a host on which an attempt is to begin, and whether it may.

    Parameters
    ----------
    attempt
        Task id and number.
    verdict
        What the attempts that count say of the host.
    trial
        What became of `health.probe`.
    """
    if health.state is HostState.banned:
        return _admit_banned(health, attempt, verdict, policy, now)
    if health.state is HostState.probation and health.probe != attempt:
        if trial is Trial.live:
            return health, Refusal("it is on probation and tried with another Task", policy.hold)
        if trial is Trial.succeeded:
            return Health(since=now, counts_from=now), None
        if trial is Trial.failed and health.probe is not None and health.probe[0] in verdict.blamed:
            return _ban(health, verdict, policy, now)
        return replace(health, probe=attempt), None
    if health.state is HostState.healthy and verdict.bad:
        return _ban(health, verdict, policy, now)
    return health, None


def standing(health: Health, verdict: Verdict, now: datetime) -> HostState:
    """What a host may do by now: as `admit` would find it."""
    if health.state is HostState.banned:
        over = health.until is not None and health.until <= now
        if health.banned_by is not None:
            return HostState.healthy if over else HostState.banned
        if not verdict.bad:
            return HostState.healthy
        return HostState.probation if over else HostState.banned
    if health.state is HostState.healthy and verdict.bad:
        return HostState.banned
    return health.state


def _admit_banned(
    health: Health, attempt: tuple[int, int], verdict: Verdict, policy: HostPolicy, now: datetime
) -> tuple[Health, Refusal | None]:
    if health.until is None or now < health.until:
        if health.banned_by is None and not verdict.bad:
            # its Tasks fail elsewhere too, or there is no other host any more
            return Health(since=now, counts_from=health.counts_from), None
        return health, refusal(health, policy, now)
    if health.banned_by is not None or not verdict.bad:
        return Health(since=now, counts_from=health.until), None
    return replace(health, state=HostState.probation, until=None, probe=attempt), None


def _ban(health: Health, verdict: Verdict, policy: HostPolicy, now: datetime) -> tuple[Health, Refusal]:
    last = verdict.last_failure
    bans = health.bans + 1
    banned = Health(
        HostState.banned,
        bans,
        since=now if health.state is HostState.healthy else health.since,
        until=now + policy.ban(bans),
        reason=f"{_FAILING}, the last one: {last.failure if last else 'unknown'}",
        counts_from=health.counts_from,
    )
    return banned, refusal(banned, policy, now)


def refusal(health: Health, policy: HostPolicy, now: datetime) -> Refusal:
    """What a flow run is told on a banned host."""
    # whose Tasks they are, it must not learn: they may be of another Scope
    why = _FAILING if health.banned_by is None else health.reason
    if health.until is None:
        return Refusal(f"it is banned: {why}", policy.hold)
    ends = health.until.isoformat(" ", "seconds")
    return Refusal(f"it is banned until {ends}: {why}", min(policy.hold, health.until - now))


# --- telling ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HostReport:
    """A host as an operator sees it.

    Attributes
    ----------
    state
        What it may do now.
    health
        Where it stood when it was last asked for.
    verdict
        What its attempts say.
    pools, images
        That ran on it.
    """

    name: str
    state: HostState
    health: Health
    verdict: Verdict
    pools: tuple[str, ...]
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlaceReport:
    """A work pool, or an image, with what its attempts say; `hosts` is on how many it ran."""

    name: str
    hosts: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Hosts, pools and images that were active in the window; and all hosts that may not run everything."""

    hosts: tuple[HostReport, ...]
    pools: tuple[PlaceReport, ...]
    images: tuple[PlaceReport, ...]
