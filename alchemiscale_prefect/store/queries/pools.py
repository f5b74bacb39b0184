"""Work pools: what their dispatchers write down of them, and what attempts they have."""

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.attempts import Capacity
from alchemiscale_prefect.domain.pools import Pool, SeenPool

_NOTE = text(
    """
    insert into work_pool (name, buffer, max_in_flight, slots, paused, workers_online, heard_at, heard_until)
    values (:name, :buffer, :max_in_flight, :slots, :paused, :workers_online, now(), now() + :silence)
    on conflict (name) do update
    set buffer = excluded.buffer, max_in_flight = excluded.max_in_flight,
        slots = case when :asked then excluded.slots else work_pool.slots end,
        paused = case when :asked then excluded.paused else work_pool.paused end,
        workers_online = case when :asked then excluded.workers_online else work_pool.workers_online end,
        heard_at = excluded.heard_at, heard_until = excluded.heard_until
    """
)

_SEEN = text(
    """
    select p.name, p.buffer, p.max_in_flight, p.slots, p.paused, p.workers_online, p.heard_at, p.heard_until,
           (select count(*) from attempt a where a.pool = p.name and a.state = 'dispatched') as dispatched,
           (select count(*) from attempt a where a.pool = p.name and a.state = 'running') as running
    from work_pool p order by p.name
    """
)


def note(connection: Connection, pool: Pool, capacity: Capacity | None) -> None:
    """A dispatcher of `pool` has made a whole pass.

    Parameters
    ----------
    capacity
        What Prefect said; ``None`` if it was not asked, so that what it said before holds.
    """
    connection.execute(
        _NOTE,
        {
            "name": pool.name,
            "buffer": pool.buffer,
            "max_in_flight": pool.max_in_flight,
            "silence": pool.silence,
            "asked": capacity is not None,
            "slots": None if capacity is None else capacity.slots,
            "paused": None if capacity is None else capacity.paused,
            "workers_online": None if capacity is None else capacity.workers_online,
        },
    )


def seen(connection: Connection) -> list[SeenPool]:
    """Every pool that ever had a dispatcher, by name."""
    return [
        SeenPool(
            pool=Pool(row.name, row.buffer, row.max_in_flight),
            capacity=None if row.paused is None else Capacity(row.slots, row.paused, row.workers_online),
            dispatched=row.dispatched,
            running=row.running,
            heard_at=row.heard_at,
            heard_until=row.heard_until,
        )
        for row in connection.execute(_SEEN)
    ]
