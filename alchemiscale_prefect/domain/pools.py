"""Work pools, as far as a dispatcher fills them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from alchemiscale_prefect.domain.attempts import Capacity
from alchemiscale_prefect.domain.losses import AT_ONCE, BackOff
from alchemiscale_prefect.domain.shares import Shares

BEAT = timedelta(seconds=30)
"""A dispatcher to which nothing happens is heard of so often; seldom, as an idle one is to leave the database alone."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A work pool and how far to fill it.

    Attributes
    ----------
    name
        The Prefect work pool.
    buffer
        Flow runs kept waiting for a worker, beyond those that the work pool's limits leave room for. Small, so that
        weights and priorities steer until the last moment.
    max_in_flight
        Flow runs waiting and running together.
    start_timeout
        How long a flow run may be Pending (its worker took it) without beginning. How long it is Scheduled does not
        matter: behind GPU runs that is hours.
    max_losses
        After so many losses in a row a Task is in error.
    back_off
        How long a Task rests after each of them.
    shares
        Who is to get how much of the compute; ``None``: whoever the weights of networks favour.
    silence
        A dispatcher that was not heard of for longer is away; a few times `BEAT`, and of the time between its passes.
    """

    name: str
    buffer: int
    max_in_flight: int
    start_timeout: timedelta = timedelta(minutes=15)
    max_losses: int = 5
    back_off: BackOff = AT_ONCE
    shares: Shares | None = None
    silence: timedelta = 3 * BEAT

    def room(self, capacity: Capacity, dispatched: int, in_flight: int) -> int:
        """How many more flow runs it takes; 0 or less if it is full.

        Parameters
        ----------
        dispatched, in_flight
            Attempts that wait for a worker, and those with the running ones.
        """
        ready = self.buffer - dispatched if capacity.slots is None else capacity.slots + self.buffer - in_flight
        return min(ready, self.max_in_flight - in_flight)


@dataclass(frozen=True, slots=True)
class SeenPool:
    """A work pool as its dispatcher saw it last, and the attempts that it has now.

    Attributes
    ----------
    pool
        How far its dispatcher fills it.
    capacity
        What Prefect said of it; ``None`` if that was not asked yet.
    dispatched, running
        Attempts that wait for a worker, and that run.
    heard_at, heard_until
        When a dispatcher had last made a whole pass, and until when it may be silent.
    """

    pool: Pool
    capacity: Capacity | None
    dispatched: int
    running: int
    heard_at: datetime
    heard_until: datetime

    @property
    def standstill(self) -> str | None:
        """Why nothing starts in it at all, in words that follow its name; ``None`` if things do."""
        if self.capacity is None:
            return None
        if self.capacity.paused:
            return "is paused (it, or its queue, or their limit is 0)"
        if self.capacity.workers_online is False:
            return "has no worker online"
        return None

    @property
    def obstacle(self) -> str | None:
        """Why it takes no Task now, as `standstill`; ``None`` if it does."""
        capacity = self.capacity
        in_flight = self.dispatched + self.running
        if self.standstill or capacity is None or self.pool.room(capacity, self.dispatched, in_flight) > 0:
            return self.standstill
        if capacity.slots is None and in_flight < self.pool.max_in_flight:
            return f"is full: {self.running} run there, and {self.dispatched} wait for a worker already"
        most = self.pool.max_in_flight
        places = most if capacity.slots is None else min(capacity.slots + self.pool.buffer, most)
        return (
            f"is full: {in_flight} of {places} places are taken, {self.dispatched} of them by what waits for a worker"
        )
