"""The queue: which Task runs next. Its index is ``ix_action_queue`` in `store.tables.tasks`.

An action (a Task on a network) is ``queued`` while its Task may be claimed through it. `refresh` says when that is,
once, and is called after every change that could matter. Whoever changes Tasks locks them first, with `lock`, always
in the order of their ids, so that two changes never wait for each other in a circle; the claim skips what is locked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Double

from alchemiscale_prefect.domain.attempts import AttemptId, Launch
from alchemiscale_prefect.domain.selection import LEAST_WEIGHT

CHANNEL = "alchemiscale_queue"

# draws in a row that may come to nothing before a claim is content with less: what a network has can be locked
_MISSES = 3

_LOCK = text("select id from task where id = any(:tasks) order by id for update")

# whether the Task ``t``, which extends ``parent``, may be claimed through an action
_MAY_BE_CLAIMED = """t.status = 'waiting' and t.not_before is null
                   and (t.extends_id is null or parent.status = 'complete')
                   and not exists (
                       select 1 from attempt
                       where attempt.task_id = t.id and attempt.state in ('dispatched', 'running'))"""

# The head of a (network, priority) is where a newcomer's draw starts, see domain.selection. A new action is written as
# `refresh` would leave it; writing it twice takes twice as long. The Tasks that were actioned here before are given
# back: `refresh` has them.
_ENQUEUE = text(
    f"""
    with given as materialized (
        select t.id as task_id, t.scope_id, t.priority, t.attempts, given.weight,
               given.weight > 0 and {_MAY_BE_CLAIMED} as queued,
               exists (select 1 from action a where a.network_id = :network and a.task_id = t.id) as known
        from unnest(:tasks, :weights) as given(task_id, weight)
        join task t on t.id = given.task_id
        left join task parent on parent.id = t.extends_id),
    heads as materialized (
        select place.priority, head.draw
        from (select distinct priority from given) place left join lateral (
            select a.draw from action a
            where a.network_id = :network and a.priority = place.priority and a.queued
            order by a.draw limit 1) head on true),
    enqueued as (
        insert into action (network_id, task_id, scope_id, weight, priority, draw, queued)
        select :network, given.task_id, given.scope_id, given.weight, given.priority,
               case when given.weight = 0 then 'infinity'
                    when given.queued and given.attempts > 0 and not given.known and heads.draw is not null
                        then heads.draw
                    else coalesce(heads.draw, 0) - ln(1 - random()) / greatest(given.weight, {LEAST_WEIGHT}) end,
               given.queued
        from given join heads on heads.priority = given.priority
        on conflict (network_id, task_id) do update set weight = excluded.weight, draw = excluded.draw)
    select task_id from given where known
    """  # noqa: S608  the interpolated text is a constant
).bindparams(bindparam("tasks", type_=ARRAY(BigInteger)), bindparam("weights", type_=ARRAY(Double)))

# A Task that comes (back) to the queue never takes a place before its head, else the head, and with it every newcomer,
# would go back in the order. One that had its turn before (its attempt was lost, its error is mended) shares the head.
# The heads are looked up once for each (network, priority): for each row, the look-up would step over all the entries
# that this very statement has put into the index. Rows are written by where they lie, which the lock on their Tasks
# keeps as it is: by their key, planners that saw the table empty hold each row against each that is due.
_REFRESH = text(
    f"""
    with due as materialized (
        select * from (
            select a.ctid as place, a.network_id, a.task_id, a.weight, a.draw, a.priority as priority_was,
                   a.queued as queued_was, t.priority, t.attempts,
                   a.weight > 0 and {_MAY_BE_CLAIMED} as queued
            from action a
            join task t on t.id = a.task_id
            left join task parent on parent.id = t.extends_id
            where a.task_id = any(:tasks) offset 0) every
        where priority <> priority_was or queued <> queued_was),
    heads as materialized (
        select place.network_id, place.priority, head.draw
        from (select distinct network_id, priority from due) place left join lateral (
            select other.draw from action other
            where other.network_id = place.network_id and other.priority = place.priority and other.queued
            order by other.draw limit 1) head on true)
    update action a
    set queued = due.queued, priority = due.priority,
        draw = case when due.weight = 0 then due.draw
                    when due.priority <> due.priority_was
                        then coalesce(head.draw, 0) - ln(1 - random()) / greatest(due.weight, {LEAST_WEIGHT})
                    when not due.queued or due.queued_was then due.draw
                    when due.attempts > 0 then coalesce(head.draw, due.draw)
                    else greatest(due.draw, head.draw) end
    from due join heads head on head.network_id = due.network_id and head.priority = due.priority
    where a.ctid = due.place
    """  # noqa: S608  the interpolated text is a constant
).bindparams(bindparam("tasks", type_=ARRAY(BigInteger)))

# One statement picks and locks. A network by weight (an exponential race among those that have work), then the head
# of its index. Both `offset 0` are fences: without them every network is probed, and without the order the probe reads
# the table, past all that was ever claimed, when most of it seems to be queued. The Task is locked first, as everybody
# does, so what a claim skips it leaves unlocked; then the action, whose `queued` is read anew if the claim lost a race.
_CLAIM = text(
    f"""
    with net as materialized (
        select id from (
            select id from network where weight > 0
            order by -ln(1 - random()) / greatest(weight, {LEAST_WEIGHT}) offset 0) n
        where exists (
            select 1 from action q where q.network_id = n.id and q.queued
            order by q.priority, q.draw limit 1 offset 0)
        limit 1),
    pick as materialized (
        select q.task_id, q.network_id from net, lateral (
            select a.task_id, a.network_id
            from action a join task t on t.id = a.task_id
            where a.network_id = net.id and a.queued
            order by a.priority, a.draw
            limit 1
            for update of t, a skip locked) q),
    claimed as (
        update task t set attempts = t.attempts + 1
        from pick where t.id = pick.task_id
        returning t.id, t.key, t.attempts as n, t.scope_id, t.transformation_id, pick.network_id)
    insert into attempt (task_id, n, pool, state, tags)
    select c.id, c.n, :pool, 'dispatched',
           to_jsonb(array[
               'alchemiscale',
               'scope:' || s.name,
               'network:' || net_object.key || '-' || s.name,
               'transformation:' || tf_object.key || '-' || s.name])
    from claimed c
    join (select id, org || '-' || campaign || '-' || project as name from scope) s on s.id = c.scope_id
    join gufe_object net_object on net_object.id = c.network_id
    join gufe_object tf_object on tf_object.id = c.transformation_id
    returning task_id, n, tags
    """  # noqa: S608  the interpolated text is a constant
)

# A statement of its own, whose snapshot is younger than the lock on the Task: it sees the Task's actions on other
# networks that were committed while the claim was under way. One left in the queue would be claimed, and refused by
# uq_attempt_live, again and again.
_TAKE = text("update action set queued = false where task_id = :task and queued")

_IN_FLIGHT = text(
    """
    select count(*) filter (where state = 'dispatched') as dispatched, count(*) as in_flight
    from attempt where pool = :pool and state in ('dispatched', 'running')
    """
)

_NAMES = text(
    """
    select t.id, t.key || '-' || s.org || '-' || s.campaign || '-' || s.project as name
    from task t join scope s on s.id = t.scope_id where t.id = any(:tasks)
    """
)


@dataclass(frozen=True, slots=True)
class Load:
    """What a pool has: attempts that wait for a worker, and those with the running ones."""

    dispatched: int
    in_flight: int


def lock(connection: Connection, task_ids: Sequence[int]) -> None:
    """Lock Tasks until the end of the transaction, in the one order everybody uses."""
    connection.execute(_LOCK, {"tasks": sorted(task_ids)})


def enqueue(connection: Connection, network_id: int, task_ids: Sequence[int], weights: Sequence[float]) -> None:
    """Action Tasks on a network, or change the weight of those that are; each gets a new draw.

    Parameters
    ----------
    task_ids, weights
        Of equal length; each Task once, locked by the caller.
    """
    parameters = {"network": network_id, "tasks": list(task_ids), "weights": list(weights)}
    known = connection.execute(_ENQUEUE, parameters).scalars().all()
    if known:
        refresh(connection, known)
    else:
        notify(connection)


def refresh(connection: Connection, task_ids: Sequence[int]) -> None:
    """Set anew whether Tasks may be claimed, after any change of status, priority, weight, parent or attempt."""
    connection.execute(_REFRESH, {"tasks": list(task_ids)})
    notify(connection)


def notify(connection: Connection) -> None:
    """Wake the dispatchers when this transaction commits."""
    connection.execute(text(f"notify {CHANNEL}"))


def try_lock_pool(connection: Connection, pool: str) -> bool:
    """Be the only one to fill `pool` until the end of the transaction; False if another is at it."""
    return bool(
        connection.execute(
            text("select pg_try_advisory_xact_lock(hashtextextended('pool:' || :pool, 0))"), {"pool": pool}
        ).scalar_one()
    )


def load(connection: Connection, pool: str) -> Load:
    """How full `pool` is."""
    return Load(*connection.execute(_IN_FLIGHT, {"pool": pool}).one())


def claim(connection: Connection, pool: str, count: int) -> tuple[Launch, ...]:
    """Take up to `count` Tasks off the queue, each with a new attempt in `pool`.

    The network is drawn anew for each Task, so that weights hold within one call too.

    Returns
    -------
    tuple of Launch
        Fewer than `count` when the queue is empty, or its rest is locked by somebody else now.
    """
    rows: list[Row[Any]] = []
    misses = 0
    while len(rows) < count and misses < _MISSES:
        row = connection.execute(_CLAIM, {"pool": pool}).one_or_none()
        if row is None:
            misses += 1
            continue
        connection.execute(_TAKE, {"task": row.task_id})
        rows.append(row)
    names: dict[int, str] = {
        row.id: row.name for row in connection.execute(_NAMES, {"tasks": [row.task_id for row in rows]})
    }
    return tuple(Launch(AttemptId(names[row.task_id], row.n), tuple(row.tags)) for row in rows)
