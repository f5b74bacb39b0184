"""What each Scope has used of the compute of late, for fair share."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, TextClause, text

from alchemiscale_prefect.domain.shares import Usage
from alchemiscale_prefect.store.queries.scopes import NAME

# an attempt's end is the beginning of the transaction that writes it; one that takes longer is counted later
_UNDER_WAY = timedelta(seconds=10)

# what ended within the window
_WINDOW = """
        attempt a join task t on t.id = a.task_id
        where a.ended_at > now() - :window and a.started_at <= a.ended_at"""

# what ended of late: the order has the index on the end read, whatever a planner thinks of a moment it does not know
_LATELY = """
        (select * from attempt where ended_at > :after and started_at <= ended_at order by ended_at offset 0) a
        join task t on t.id = a.task_id
        where a.ended_at > now() - :window"""


def _ended(attempts: str) -> str:
    # a copied Task brought its attempts along, and used nothing
    return f"""
        select t.scope_id, count(*) as ended,
               sum(extract(epoch from a.ended_at - a.started_at)) as durations,
               sum(extract(epoch from a.ended_at - greatest(a.started_at, now() - :window))) as seconds
        from {attempts} and t.copied_from_id is null
        group by t.scope_id"""  # noqa: S608  the interpolated text is a constant


def _usage(attempts: str) -> TextClause:
    return text(
        f"""
        with ended as ({_ended(attempts)}),
        live as (
            select t.scope_id,
                   array_agg(cast(extract(epoch from greatest(now() - a.started_at, interval '0')) as double precision))
                       as seconds
            from attempt a join task t on t.id = a.task_id
            where a.state in ('dispatched', 'running')
            group by t.scope_id)
        select {NAME} as scope, coalesce(ended.ended, 0) as ended,
               cast(coalesce(ended.durations, 0) as double precision) as durations,
               cast(coalesce(ended.seconds, 0) as double precision) as seconds, coalesce(live.seconds, '{{}}') as live
        from ended full join live on live.scope_id = ended.scope_id
        join scope s on s.id = coalesce(ended.scope_id, live.scope_id)
        """  # noqa: S608  the interpolated text is a constant
    )


# all parts have an index
_OF_WINDOW, _SINCE = _usage(_WINDOW), _usage(_LATELY)

_BEFORE = text(
    f"""
    with ended as ({_ended(f"{_WINDOW} and a.ended_at <= :until")})
    select {NAME} as scope, ended.ended, cast(ended.durations as double precision) as durations,
           cast(ended.seconds as double precision) as seconds
    from ended join scope s on s.id = ended.scope_id
    """  # noqa: S608  the interpolated text is a constant
)


def alone(connection: Connection) -> None:
    """Be the only one that hands out Tasks by shares, until the end of the transaction.

    Who comes next sees what this one has handed out; else dispatchers of several pools would all give to the group that
    was behind before.
    """
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended('shares', 0))"))


def ended(connection: Connection, window: timedelta) -> tuple[datetime, list[Usage]]:
    """What attempts used that ended in the last `window`, up to a moment at which all of them have been written down.

    Returns
    -------
    tuple
        That moment, and what Scopes used; none of those that used nothing.
    """
    until = connection.execute(text("select now() - :margin"), {"margin": _UNDER_WAY}).scalar_one()
    rows = connection.execute(_BEFORE, {"window": window, "until": until})
    return until, [Usage(row.scope, row.ended, row.durations, row.seconds) for row in rows]


def usages(connection: Connection, window: timedelta, after: datetime | None = None) -> list[Usage]:
    """What Scopes used in the last `window`, and what is under way; none of those that used nothing.

    Parameters
    ----------
    after
        What ended up to then is left out.
    """
    if after is None:
        rows = connection.execute(_OF_WINDOW, {"window": window})
    else:
        rows = connection.execute(_SINCE, {"window": window, "after": after})
    return [
        Usage(row.scope, row.ended, row.durations, row.seconds, tuple(seconds or 0.0 for seconds in row.live))
        for row in rows
    ]
