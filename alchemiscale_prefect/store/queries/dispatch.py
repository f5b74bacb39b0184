"""What there is to do for a pool's dispatcher, in one statement: an idle one asks nothing else."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.attempts import Capacity
from alchemiscale_prefect.domain.losses import SETTLE_LOST
from alchemiscale_prefect.domain.pools import BEAT
from alchemiscale_prefect.store.queries.attempts import UNWANTED

# the last of the probes is the claim's, see store.queue
_DUE = text(
    f"""
    select
        exists (select 1 from attempt where state = 'running' and lease_expires_at < now()) as expired,
        exists (select 1 from task where not_before <= now()) as rested,
        exists (select 1 from attempt where pool = :pool and state = 'dispatched'
                and flow_run_id is not null and launched_at < now() - :ask_after) as not_begun,
        exists (select 1 from attempt where pool = :pool and {UNWANTED}) as unsettled,
        exists (select 1 from attempt where pool = :pool and state = 'dispatched'
                and flow_run_id is null and created_at < now() - :launch_grace) as unlaunched,
        exists (select 1 from (select id from network where weight > 0 offset 0) n
                where exists (select 1 from action q where q.network_id = n.id and q.queued
                              order by q.priority, q.draw limit 1 offset 0)) as queued,
        coalesce(p.heard_at < now() - :beat, true) as unheard, p.slots, p.paused, p.workers_online
    from (select 1) one left join work_pool p on p.name = :pool
    """  # noqa: S608  the interpolated text is a constant
)


@dataclass(frozen=True, slots=True)
class Due:
    """What waits for a dispatcher.

    Attributes
    ----------
    expired
        Leases that ran out, of any pool.
    rested
        Tasks whose rest after a loss is over.
    not_begun
        Flow runs that were made so long ago that Prefect is to be asked about them.
    unsettled
        Flow runs that Prefect is to stop.
    unlaunched
        Claims that got no flow run.
    queued
        Tasks that may be claimed.
    unheard
        That no dispatcher of the pool was heard of lately.
    noted
        What was last written down of what the pool has room for; ``None`` if nothing.
    """

    expired: bool
    rested: bool
    not_begun: bool
    unsettled: bool
    unlaunched: bool
    queued: bool
    unheard: bool
    noted: Capacity | None


def written_at(connection: Connection) -> datetime:
    """The time that rows have which this transaction makes."""
    moment: datetime = connection.execute(text("select now()")).scalar_one()
    return moment


def due(connection: Connection, pool: str, *, ask_after: timedelta, launch_grace: timedelta) -> Due:
    """What there is to do for `pool` now."""
    parameters = {"pool": pool, "ask_after": ask_after, "launch_grace": launch_grace, "settle_lost": SETTLE_LOST}
    found = dict(connection.execute(_DUE, {**parameters, "beat": BEAT}).one()._mapping)
    slots, paused, workers_online = (found.pop(name) for name in ("slots", "paused", "workers_online"))
    return Due(**found, noted=None if paused is None else Capacity(slots, paused, workers_online))
