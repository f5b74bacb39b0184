"""What each Scope has used of the compute of late, for fair share."""

from datetime import timedelta

from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.shares import Usage
from alchemiscale_prefect.store.queries.scopes import NAME

# both parts have an index; a copied Task brought its attempts along, and used nothing
_USAGE = text(
    f"""
    with ended as (
        select t.scope_id, count(*) as ended,
               sum(extract(epoch from a.ended_at - a.started_at)) as durations,
               sum(extract(epoch from a.ended_at - greatest(a.started_at, now() - :window))) as seconds
        from attempt a join task t on t.id = a.task_id
        where a.ended_at > now() - :window and a.started_at <= a.ended_at and t.copied_from_id is null
        group by t.scope_id),
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


def alone(connection: Connection) -> None:
    """Be the only one that hands out Tasks by shares, until the end of the transaction.

    Who comes next sees what this one has handed out; else dispatchers of several pools would all give to the group that
    was behind before.
    """
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended('shares', 0))"))


def usages(connection: Connection, window: timedelta) -> list[Usage]:
    """What Scopes used in the last `window`, and what is under way; none of those that used nothing."""
    rows = connection.execute(_USAGE, {"window": window})
    return [
        Usage(row.scope, row.ended, row.durations, row.seconds, tuple(seconds or 0.0 for seconds in row.live))
        for row in rows
    ]
