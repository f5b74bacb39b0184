"""Work pools, as far as a dispatcher fills them."""

from dataclasses import dataclass
from datetime import timedelta

from alchemiscale_prefect.domain.losses import AT_ONCE, BackOff
from alchemiscale_prefect.domain.shares import Shares


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
    """

    name: str
    buffer: int
    max_in_flight: int
    start_timeout: timedelta = timedelta(minutes=15)
    max_losses: int = 5
    back_off: BackOff = AT_ONCE
    shares: Shares | None = None
