"""Tasks in the database. What changes them locks them first, with `store.queue.lock`, and refreshes the queue after."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.store.queries.objects import IN_SCOPE
from alchemiscale_prefect.store.queries.scopes import NAME

# ids are given in the order of the insertion, which is the order of the input
_KEY = "'Task-' || left(encode(sha256(convert_to(:seed || ' ' || n, 'UTF8')), 'hex'), 32)"
"""Of the `n`-th Task of a creation: the same for the same seed."""

_CREATE = text(
    f"""
    with new as (
        insert into task (key, scope_id, transformation_id, extends_id, creator)
        select {_KEY}, tf.scope_id, tf.id, given.extends_id, :creator
        from unnest(:transformations, :extends) with ordinality as given(transformation_id, extends_id, n)
        join transformation tf on tf.id = given.transformation_id
        order by given.n
        on conflict (key) do nothing
        returning id, key, scope_id)
    select new.key || '-' || {NAME} from new join scope s on s.id = new.scope_id order by new.id
    """  # noqa: S608  the interpolated text is a constant
).bindparams(bindparam("transformations", type_=ARRAY(BigInteger)), bindparam("extends", type_=ARRAY(BigInteger)))

_CREATED = text(
    f"""
    select t.key || '-' || {NAME} as name, t.transformation_id, parent.key as extends
    from generate_series(1, :count) as n
    join task t on t.key = {_KEY}
    join scope s on s.id = t.scope_id
    left join task parent on parent.id = t.extends_id
    order by n
    """  # noqa: S608  the interpolated text is a constant
)

_DESCENDANTS = text(
    """
    with recursive family(id) as (
        select id from task where id = any(:tasks)
        union
        select child.id from family join task child on child.extends_id = family.id)
    select id from family order by id
    """
)


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A Task as it stands."""

    id: int
    transformation_id: int
    status: str
    priority: int


@dataclass(frozen=True, slots=True)
class CreatedTask:
    """A Task as it was asked for: `name` is its ScopedKey, `extends` the key of the Task it extends."""

    name: str
    transformation_id: int
    extends: str | None


def find(connection: Connection, keys: Sequence[ScopedKey]) -> dict[str, TaskRow]:
    """Those of `keys` that are Tasks, by the ScopedKey as a string; a Task of another scope is none of them."""
    rows = connection.execute(
        text(
            f"""
            select o.key || '-' || {NAME} as name, o.id, o.transformation_id, o.status, o.priority
            from task o join scope s on s.id = o.scope_id where o.key = any(:keys)
            """  # noqa: S608  the interpolated text is a constant
        ),
        {"keys": [key.gufe_key for key in keys]},
    ).all()
    found = {row.name: TaskRow(row.id, row.transformation_id, row.status, row.priority) for row in rows}
    return {name: found[name] for name in map(str, keys) if name in found}


def create(
    connection: Connection,
    transformation_ids: Sequence[int],
    extends_ids: Sequence[int | None],
    creator: str,
    seed: str | None = None,
) -> list[str]:
    """New waiting Tasks, one per entry, in this order; their ScopedKeys.

    Parameters
    ----------
    seed
        Their keys are made of it, and no Task is made a second time of the same one: see `created`. Default: a random
        one.
    """
    parameters = {"transformations": list(transformation_ids), "extends": list(extends_ids), "creator": creator}
    return list(connection.execute(_CREATE, {**parameters, "seed": seed or secrets.token_hex()}).scalars())


def created(connection: Connection, seed: str, count: int) -> list[CreatedTask]:
    """Those of the first `count` Tasks of a creation with this seed that are there, in its order."""
    rows = connection.execute(_CREATED, {"seed": seed, "count": count})
    return [CreatedTask(row.name, row.transformation_id, row.extends) for row in rows]


def lock_repeats(connection: Connection, transformation_ids: Sequence[int]) -> dict[int, list[str]]:
    """Transformation id → own keys of its repeats, oldest first; who else asks waits until this transaction ends.

    A repeat extends no other Task and is neither invalid nor deleted.
    """
    parameters = {"transformations": list(transformation_ids)}
    # weaker than `for update`: whoever makes Tasks or networks of them goes on
    connection.execute(
        text("select id from transformation where id = any(:transformations) order by id for no key update"), parameters
    )
    # a statement of its own, which sees what was committed while the first one waited
    rows = connection.execute(
        text(
            "select transformation_id, key from task where transformation_id = any(:transformations) "
            "and extends_id is null and status not in ('invalid', 'deleted') order by id"
        ),
        parameters,
    )
    repeats: dict[int, list[str]] = {transformation_id: [] for transformation_id in transformation_ids}
    for row in rows:
        repeats[row.transformation_id].append(row.key)
    return repeats


def query(connection: Connection, scope_ids: Sequence[int], status: str | None) -> list[str]:
    """ScopedKeys of Tasks in these scopes with this status (``None``: any), by scope and key."""
    rows = connection.execute(
        text(
            f"""
            select o.key || '-' || {NAME}
            from task o join scope s on s.id = o.scope_id
            where o.scope_id = any(:scopes) and (cast(:status as text) is null or o.status = :status)
            order by s.org collate "C", s.campaign collate "C", s.project collate "C", o.key collate "C"
            """  # noqa: S608  the interpolated text is a constant
        ),
        {"scopes": list(scope_ids), "status": status},
    )
    return list(rows.scalars())


def of_network(connection: Connection, network: ScopedKey, status: str | None) -> list[str]:
    """Keys of the Tasks on a network's Transformations, actioned or not, oldest first."""
    statement = text(
        f"""
        select t.key from gufe_object o
        join network_transformation link on link.network_id = o.id
        join task t on t.transformation_id = link.transformation_id
        where {IN_SCOPE} and (cast(:status as text) is null or t.status = :status) order by t.id
        """  # noqa: S608  the interpolated text is a constant
    )
    return list(connection.execute(statement, {**network.to_dict(), "status": status}).scalars())


def of_transformation(
    connection: Connection, transformation: ScopedKey, status: str | None, after: ScopedKey | None
) -> dict[str, str | None]:
    """Keys of a Transformation's Tasks, each with the key of the Task it extends, oldest first.

    Parameters
    ----------
    after
        Only Tasks that extend this one, directly or not.
    """
    statement = text(
        f"""
        with recursive descendant(id) as (
            select child.id from task parent join task child on child.extends_id = parent.id where parent.key = :after
            union
            select child.id from descendant join task child on child.extends_id = descendant.id)
        select t.key, parent.key as extends
        from gufe_object o
        join task t on t.transformation_id = o.id
        left join task parent on parent.id = t.extends_id
        where {IN_SCOPE}
          and (cast(:status as text) is null or t.status = :status)
          and (cast(:after as text) is null or t.id in (select id from descendant))
        order by t.id
        """  # noqa: S608  the interpolated text is a constant
    )
    parameters = {**transformation.to_dict(), "status": status, "after": None if after is None else after.gufe_key}
    return {row.key: row.extends for row in connection.execute(statement, parameters)}


def with_descendants(connection: Connection, task_ids: Collection[int]) -> list[int]:
    """These Tasks and all that extend them, directly or not."""
    return list(connection.execute(_DESCENDANTS, {"tasks": list(task_ids)}).scalars())


def with_status(connection: Connection, task_ids: Collection[int], statuses: Collection[TaskStatus]) -> list[int]:
    """Those of these Tasks that have one of these statuses."""
    rows = connection.execute(
        text("select id from task where id = any(:tasks) and status = any(:statuses)"),
        {"tasks": list(task_ids), "statuses": [status.value for status in statuses]},
    )
    return list(rows.scalars())


def set_priority(connection: Connection, task_ids: Collection[int], priority: int) -> None:
    """Give Tasks a priority."""
    connection.execute(
        text("update task set priority = :priority where id = any(:tasks)"),
        {"tasks": list(task_ids), "priority": priority},
    )
