"""The queue: which Task runs next. Its index is ``ix_action_queue`` in `store.tables.tasks`.

An action (a Task on a network) is ``queued`` while its Task may be claimed through it. `refresh` says when that is,
once, and is called after every change that could matter. Whoever changes Tasks locks them first, with `lock`, always
in the order of their ids, so that two changes never wait for each other in a circle; the claim skips what is locked.
Locks are `for no key update`: a Task that is updated twice in a transaction has Postgres look at the Task that it
extends, with a lock that waits for `for update`, out of the order.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Double

from alchemiscale_prefect.domain.attempts import AttemptId, Launch
from alchemiscale_prefect.domain.selection import LEAST_WEIGHT, Contender, draw_networks
from alchemiscale_prefect.domain.shares import Ledger
from alchemiscale_prefect.store.queries.scopes import NAME
from alchemiscale_prefect.store.statements import fetch

CHANNEL = "alchemiscale_queue"

_CHANCE = Random()  # noqa: S311  not a secret

_LOCK = text("select id from task where id = any(:tasks) order by id for no key update")

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

# The statements of a claim read indexes in their order, and no further than they must: that costs the same however many
# Tasks wait. Postgres, which does not know how short a limit is that comes from a column, or goes by a plan of the time
# when the queue was empty, would now and then rather sort, or read a whole table. So that is switched off, until the
# transaction ends.
_IN_ORDER = text(
    """
    select set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_sort', 'off', true),
           set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
           set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)
    """
)

# The networks that have queued Tasks, by one step of the index for each: networks without cost nothing, nor do the
# Tasks behind the first.
_CONTENDERS = text(
    f"""
    with recursive busy as (
        (select network_id from action where queued order by network_id, priority, draw limit 1)
        union all
        select (select a.network_id from action a where a.queued and a.network_id > busy.network_id
                order by a.network_id, a.priority, a.draw limit 1)
        from busy where busy.network_id is not null)
    select n.id, n.weight, {NAME} as scope
    from busy join network n on n.id = busy.network_id join scope s on s.id = n.scope_id
    where n.weight > 0
    """  # noqa: S608  the interpolated text is a constant
)

# The heads of the networks' indexes are picked and locked. The Task is locked first, as everybody does, so what a claim
# skips it leaves unlocked; then the action, whose `queued` is read anew if the claim lost a race.
_PICK = text(
    """
    select head.priority, head.draw, place.network_id, head.task_id
    from unnest(cast(:networks as bigint[]), cast(:counts as bigint[])) as place(network_id, count), lateral (
        select a.task_id, a.priority, a.draw
        from action a join task t on t.id = a.task_id
        where a.network_id = place.network_id and a.queued
        order by a.priority, a.draw
        limit place.count
        for no key update of t, a skip locked) head
    """
)

# A statement of its own, whose snapshot is younger than the locks on the Tasks: it sees their actions on other networks
# that were committed while the claim was under way. One left in the queue would be claimed, and refused by
# uq_attempt_live, again and again.
_TAKE = text(
    f"""
    with given as materialized (
        select * from unnest(cast(:tasks as bigint[]), cast(:networks as bigint[])) as given(task_id, network_id)),
    taken as (update action set queued = false where task_id = any(:tasks) and queued),
    claimed as (
        update task t set attempts = t.attempts + 1 where t.id = any(:tasks)
        returning t.id, t.key, t.attempts as n, t.scope_id, t.transformation_id),
    launched as materialized (
        select c.id, c.n, scope.name as scope, c.key || '-' || scope.name as task, jsonb_build_array(
            'alchemiscale',
            'scope:' || scope.name,
            'network:' || (select o.key from gufe_object o where o.id = given.network_id) || '-' || scope.name,
            'transformation:' || (select o.key from gufe_object o where o.id = c.transformation_id) || '-' || scope.name
            ) as tags
        from claimed c join given on given.task_id = c.id
        join (select s.id, {NAME} as name from scope s) scope on scope.id = c.scope_id),
    made as (
        insert into attempt (task_id, n, pool, state, tags) select id, n, :pool, 'dispatched', tags from launched)
    select id, task, n, tags, scope from launched
    """  # noqa: S608  the interpolated text is a constant
)

_LOCK_POOL = text("select pg_try_advisory_xact_lock(hashtextextended('pool:' || :pool, 0))")

_IN_FLIGHT = text(
    """
    select count(*) filter (where state = 'dispatched') as dispatched, count(*) as in_flight
    from attempt where pool = :pool and state in ('dispatched', 'running')
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
    ((locked,),) = fetch(connection, _LOCK_POOL, {"pool": pool})
    return bool(locked)


def load(connection: Connection, pool: str) -> Load:
    """How full `pool` is."""
    ((dispatched, in_flight),) = fetch(connection, _IN_FLIGHT, {"pool": pool})
    return Load(dispatched, in_flight)


def read_in_order(connection: Connection) -> None:
    """Have indexes read until the transaction ends, in their order: what is asked costs the same however much waits."""
    fetch(connection, _IN_ORDER)


def contenders(connection: Connection) -> list[Contender]:
    """The networks that have Tasks to run, and how they share; after `read_in_order`."""
    return [Contender(*row) for row in fetch(connection, _CONTENDERS)]


def claim(connection: Connection, pool: str, count: int, ledger: Ledger | None = None) -> tuple[Launch, ...]:
    """Take up to `count` Tasks off the queue, each with a new attempt in `pool`.

    The network is drawn anew for each Task, so that weights hold within one call too. The number of statements does not
    depend on `count`.

    Parameters
    ----------
    ledger
        Fair share: whose turn it is; each claim is charged to it.

    Returns
    -------
    tuple of Launch
        In the order of the draws. Fewer than `count` when the queue is empty, or its rest is locked by somebody else
        now.
    """
    if count <= 0:
        return ()
    read_in_order(connection)
    left = contenders(connection)
    launches: list[Launch] = []
    while left and len(launches) < count:
        drawn = draw_networks(left, count - len(launches), _CHANCE, ledger)
        wanted = Counter(drawn)
        heads = _pick(connection, wanted)
        # who has fewer than it was drawn for has no more, or they are locked
        short = {network_id for network_id, drawn_for in wanted.items() if len(heads[network_id]) < drawn_for}
        left = [contender for contender in left if contender.network_id not in short]
        chosen: dict[int, int] = {}
        for network_id in drawn:
            if heads[network_id]:
                # a Task that two networks gave is taken once
                chosen.setdefault(heads[network_id].popleft(), network_id)
        launches += _take(connection, pool, chosen, ledger)
    return tuple(launches)


def _pick(connection: Connection, wanted: Counter[int]) -> dict[int, deque[int]]:
    """Lock the heads of networks: each network's Tasks, in order."""
    rows = fetch(connection, _PICK, {"networks": list(wanted), "counts": list(wanted.values())})
    heads: dict[int, deque[int]] = defaultdict(deque)
    for _priority, _draw, network_id, task_id in sorted(rows):
        heads[network_id].append(task_id)
    return heads


def _take(connection: Connection, pool: str, chosen: Mapping[int, int], ledger: Ledger | None) -> list[Launch]:
    """Make attempts of locked Tasks, each with the network that it was picked from; in this order."""
    if not chosen:
        return []
    parameters = {"tasks": list(chosen), "networks": list(chosen.values()), "pool": pool}
    launches: dict[int, Launch] = {}
    for task_id, task, n, tags, scope in fetch(connection, _TAKE, parameters):
        launches[task_id] = Launch(AttemptId(task, n), tuple(tags))
        if ledger is not None:
            ledger.charge(scope)
    return [launches[task_id] for task_id in chosen]
