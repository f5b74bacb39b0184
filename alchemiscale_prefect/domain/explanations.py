"""What stands before a Task to run: the facts, and what is said of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alchemiscale_prefect.domain.attempts import AttemptState
from alchemiscale_prefect.domain.pools import SeenPool
from alchemiscale_prefect.domain.tasks import TaskStatus

MOST_COUNTED = 10_000
"""No more Tasks than these are counted: where there are more, a count is one higher, and means "more than these"."""


class HindranceCode(StrEnum):
    """What stands before a Task.

    ``final``: it has run, or is never to. ``error``: it failed. ``running``: it runs. ``launch``, ``worker``: it was
    claimed, and waits for its flow run, or for a worker to begin that. ``rest``: it rests after losses. ``parent``:
    what it extends is not complete. ``unactioned``, ``weight``, ``network_weight``: no network has it run; it, or its
    network, has weight 0. ``queue``: other Tasks of its network come first. ``share``: its Scope has used more than
    its share. ``pool``: no work pool takes a Task now.
    """

    final = "final"
    error = "error"
    running = "running"
    launch = "launch"
    worker = "worker"
    rest = "rest"
    parent = "parent"
    unactioned = "unactioned"
    weight = "weight"
    network_weight = "network_weight"
    queue = "queue"
    share = "share"
    pool = "pool"


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Something that stands before a Task, and what is said of it."""

    code: HindranceCode
    text: str


@dataclass(frozen=True, slots=True)
class LiveAttempt:
    """The attempt of a Task that is under way; times as in its row."""

    n: int
    pool: str
    state: AttemptState
    host: str | None
    claimed_at: datetime
    launched_at: datetime | None
    pending_since: datetime | None
    started_at: datetime | None
    lease_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """An action of a Task, and where it stands among those of its network.

    Attributes
    ----------
    network, state
        The network's ScopedKey as a string; its state, which hinders nothing.
    network_weight, weight
        The network's among networks, the Task's among those of its priority.
    queued
        Whether the Task may be claimed through it, but for the network's weight.
    by_priority, by_draw
        Tasks of the network that come before it: of lower priority numbers, and of its own by the draw. At most
        `MOST_COUNTED` and one; as things stand: who comes in later may come before it.
    chance
        That the next Task is one of this network; with fair share, the next of its group. ``None`` if it has no queue.
    """

    network: str
    state: str
    network_weight: float
    weight: float
    queued: bool
    by_priority: int
    by_draw: int
    chance: float | None = None

    @property
    def open(self) -> bool:
        """Whether the Task may be claimed through it."""
        return self.queued and self.network_weight > 0.0

    @property
    def before(self) -> int:
        """Tasks of the network that come before it."""
        return self.by_priority + self.by_draw


@dataclass(frozen=True, slots=True)
class SharePlace:
    """How the group of a Task's Scope stands by fair share.

    Attributes
    ----------
    group
        A Scope; what it covers shares with others as one.
    share
        What is set for it.
    due, used
        Of all the compute of the window, the part that is its share among the groups that used something or are named,
        and the part that it used.
    hours
        The window.
    """

    group: str
    share: float
    due: float
    used: float
    hours: float


@dataclass(frozen=True, slots=True)
class RestartPlace:
    """A restart pattern of a network that has the Task actioned, and how often it has restarted it."""

    network: str
    pattern: str
    max_retries: int
    num_retries: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A Task, and all that decides when it runs.

    Attributes
    ----------
    status_changed_at
        When it got its status.
    losses
        Attempts lost in a row.
    not_before
        When its rest after the last of them ends.
    extends, extends_status
        The Task it extends, a ScopedKey as a string.
    attempt
        What is under way.
    places
        Its actions.
    restarts
        Of the networks that have it actioned.
    share
        ``None`` without fair share.
    pools
        The work pools that ever had a dispatcher, where it matters: of a Task that may be claimed or was.
    now
        The database's clock.
    """

    status: TaskStatus
    status_changed_at: datetime
    reason: str | None
    priority: int
    losses: int
    not_before: datetime | None
    extends: str | None
    extends_status: TaskStatus | None
    attempt: LiveAttempt | None
    places: Sequence[QueuePlace]
    restarts: Sequence[RestartPlace]
    share: SharePlace | None
    pools: Sequence[SeenPool]
    now: datetime


def hindrances(standing: Standing) -> tuple[Hindrance, ...]:
    """All that stands before a Task; nothing if it is the next of its network.

    What would hinder it only later is not told: of a Task that runs or that is resting, where it would stand in the
    queue.
    """
    if standing.attempt is not None:
        return (_of_attempt(standing.attempt, standing.pools, standing.now),)
    if standing.status is TaskStatus.error:
        return (_of_error(standing),)
    if standing.status is not TaskStatus.waiting:
        why = f": {standing.reason}" if standing.reason else ""
        return (Hindrance(HindranceCode.final, f"it is {standing.status}{why}"),)
    return tuple(_of_waiting(standing))


def _of_attempt(attempt: LiveAttempt, pools: Sequence[SeenPool], now: datetime) -> Hindrance:
    of = f"attempt {attempt.n}, for the work pool {attempt.pool},"
    if attempt.state is AttemptState.running:
        expires = attempt.lease_expires_at
        if expires is not None and expires < now:
            lease = f"it was last heard of long ago: its lease ran out at {_time(expires)}, and it is about to be lost"
        else:
            lease = f"its lease holds until {_time(expires)}"
        return Hindrance(
            HindranceCode.running, f"{of} runs on {attempt.host} since {_time(attempt.started_at)}; {lease}"
        )
    if attempt.launched_at is None:
        return Hindrance(
            HindranceCode.launch, f"{of} was claimed at {_time(attempt.claimed_at)}; it has no flow run yet"
        )
    if attempt.pending_since is not None:
        return Hindrance(
            HindranceCode.worker, f"{of} was taken by a worker at {_time(attempt.pending_since)} and has not begun yet"
        )
    why = next((f": it {pool.standstill}" for pool in pools if pool.pool.name == attempt.pool and pool.standstill), "")
    return Hindrance(HindranceCode.worker, f"{of} waits for a worker since {_time(attempt.launched_at)}{why}")


def _of_error(standing: Standing) -> Hindrance:
    text = f"it failed at {_time(standing.status_changed_at)}"
    if standing.reason:
        text += f": {standing.reason}"
    if not standing.places:
        # as restart patterns leave it that do not know its error, or have restarted it often enough
        text += "; no network has it actioned; actioned and set to waiting it runs again"
        return Hindrance(HindranceCode.error, text)
    if standing.restarts:
        text += "; the restart patterns of its networks leave it"
    return Hindrance(HindranceCode.error, f"{text}; set to waiting it runs again")


def _of_waiting(standing: Standing) -> Iterator[Hindrance]:
    if standing.not_before is not None:
        yield Hindrance(HindranceCode.rest, f"it rests until {_time(standing.not_before)}: {_after(standing.losses)}")
    if standing.extends is not None and standing.extends_status is not TaskStatus.complete:
        yield Hindrance(HindranceCode.parent, f"it extends {standing.extends}, which is {standing.extends_status}")
    if not standing.places:
        yield Hindrance(HindranceCode.unactioned, "no network has it actioned")
    elif all(place.weight == 0.0 for place in standing.places):
        yield Hindrance(HindranceCode.weight, f"it has weight 0 on {_names(standing.places)}")
    else:
        weighed = [place for place in standing.places if place.weight > 0.0]
        if all(place.network_weight == 0.0 for place in weighed):
            yield Hindrance(HindranceCode.network_weight, f"its network has weight 0: {_names(weighed)}")
    open_places = [place for place in standing.places if place.open]
    if open_places:
        yield from _of_queue(min(open_places, key=lambda place: place.before))
        yield from _of_share(standing.share)
        yield from _of_pools(standing.pools, standing.now)


def _after(losses: int) -> str:
    """What it rests after."""
    if not losses:  # neither counts as one
        return "its last attempt was given back, or refused by its host"
    return "one attempt was lost" if losses == 1 else f"{losses} attempts in a row were lost"


def _of_queue(place: QueuePlace) -> Iterator[Hindrance]:
    if place.before:
        parts = [
            f"{counted(number)} of {which}"
            for number, which in ((place.by_priority, "lower priority numbers"), (place.by_draw, "its own priority"))
            if number
        ]
        part = "" if place.chance is None else f", which has {percent(place.chance)} of the next Tasks"
        yield Hindrance(HindranceCode.queue, f"before it on {place.network}{part}: {' and '.join(parts)}")


def _of_share(share: SharePlace | None) -> Iterator[Hindrance]:
    if share is not None and share.used > share.due:
        yield Hindrance(
            HindranceCode.share,
            f"{share.group} has used {percent(share.used)} of the compute of the last {share.hours:g} hours, and its "
            f"share is {percent(share.due)}: others who have work come first",
        )


def _of_pools(pools: Sequence[SeenPool], now: datetime) -> Iterator[Hindrance]:
    heard = [pool for pool in pools if pool.heard_until > now]
    if not heard:
        since = f" since {_time(max(pool.heard_at for pool in pools))}" if pools else ""
        text = f"no dispatcher has been heard of{since}: none runs, or it cannot reach Prefect"
        yield Hindrance(HindranceCode.pool, text)
    elif all(pool.obstacle for pool in heard):
        told = "; ".join(f"{pool.pool.name} {pool.obstacle}" for pool in heard)
        yield Hindrance(HindranceCode.pool, f"no work pool takes a Task now: {told}")


def percent(part: float) -> str:
    """A part as it is said."""
    return "less than 1 %" if 0.0 < part < 0.01 else f"{100 * part:.0f} %"


def counted(number: int) -> str:
    """A count as it is said."""
    if number > MOST_COUNTED:
        return f"more than {MOST_COUNTED:,} Tasks"
    return "1 Task" if number == 1 else f"{number:,} Tasks"


def _names(places: Sequence[QueuePlace]) -> str:
    return ", ".join(place.network for place in places)


def _time(moment: datetime | None) -> str:
    return "–" if moment is None else moment.isoformat(sep=" ", timespec="seconds")
