"""Tasks: making them, finding them, their status and priority. `services.actions` has them run."""

import json
from collections.abc import Sequence
from hashlib import sha256

from alchemiscale_prefect.domain.access import Permission, Principal
from alchemiscale_prefect.domain.errors import Conflict, InvalidInput, NotFound
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.tasks import TaskStatus, check_priority, check_reason, check_user_settable
from alchemiscale_prefect.domain.transitions import Cause, Reason, sources_of
from alchemiscale_prefect.services import audit
from alchemiscale_prefect.services.networks import scoped
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import actions, attempts, objects, scopes, tasks, transitions
from alchemiscale_prefect.store.queries.tasks import TaskRow
from alchemiscale_prefect.wire.headers import IDEMPOTENCY_KEY

TRANSFORMATIONS = ("Transformation", "NonTransformation")
TASK = "Task"


def create(
    database: Database,
    principal: Principal,
    transformations: Sequence[ScopedKey],
    extends: Sequence[ScopedKey | None] | None = None,
    *,
    request: str | None = None,
) -> list[str]:
    """New waiting Tasks, one for each entry, in this order. They run once they are actioned on a network.

    Parameters
    ----------
    transformations
        Repeat one to get several Tasks of it.
    extends
        As long as `transformations`: the Task of the same Transformation whose result each one continues from.
    request
        The caller's name for this creation. Called again with it, also after a crash, makes nothing new and gives the
        Tasks that were made the first time.

    Raises
    ------
    InvalidInput
        A key is of no Transformation, or an `extends` breaks a rule; no Task was made.
    NotFound
        A Transformation or a Task to extend is not there; no Task was made.
    Conflict
        `request` was the name of another creation.
    """
    parents: Sequence[ScopedKey | None] = extends if extends else [None] * len(transformations)
    if len(parents) != len(transformations):
        raise InvalidInput(
            "`extends` must either be `None` or have the same length as `transformations`", field="extends"
        )
    for key in transformations:
        check_transformation(key)
    for parent in parents:
        if parent is not None and parent.qualname != TASK:
            raise InvalidInput(f"`extends` ScopedKey ({parent}) does not correspond to a `Task`", field="extends")
    principal.require_all(parent.scope for parent in parents if parent is not None)
    principal.require_all((key.scope for key in transformations), Permission.write)
    with database.transaction() as connection:
        ids = objects.ids_of(connection, "transformation", list(dict.fromkeys(transformations)))
        missing = [key for key in transformations if str(key) not in ids]
        if missing:
            which = f": {missing[0]}" if len(ids) + len(set(missing)) > 1 else ""
            raise NotFound(f"No such object in database{which}", field="transformations")
        wanted = [ids[str(key)] for key in transformations]
        seed = None if request is None else _seed(principal, request)
        if seed is not None and tasks.created(connection, seed, 1):
            return _created_before(connection, seed, wanted, parents)
        parent_ids = _parents(connection, transformations, wanted, parents)
        names = tasks.create(connection, wanted, parent_ids, principal.identifier, seed)
        if seed is not None and len(names) < len(wanted):
            # a creation of this name was committed meanwhile: the same one, which has all of the Tasks, or another one
            if names:
                raise _named_twice()
            return _created_before(connection, seed, wanted, parents)
        audit.record_keys(
            connection, principal, "task.create", list(dict.fromkeys(transformations)), {"tasks": len(names)}
        )
        return names


def query(database: Database, principal: Principal, scope: Scope, status: str | None) -> list[str]:
    """Tasks in what of `scope` the principal sees, by scope and key; none for a status that does not exist."""
    if status is not None and status not in TaskStatus.__members__:
        return []
    with database.transaction() as connection:
        return tasks.query(connection, scopes.covered(connection, principal.visible(scope)), status)


def of_network(database: Database, principal: Principal, network: ScopedKey, status: str | None) -> list[str]:
    """The Tasks on a network's Transformations, actioned or not."""
    principal.require(network.scope)
    member = None if status is None else TaskStatus.parse(status)
    with database.transaction() as connection:
        return scoped(tasks.of_network(connection, network, member), network.scope)


def of_transformation(
    database: Database,
    principal: Principal,
    transformation: ScopedKey,
    status: str | None = None,
    after: ScopedKey | None = None,
) -> dict[str, str | None]:
    """The Tasks of a Transformation, each with the one it extends.

    Parameters
    ----------
    after
        Only those that extend this Task, directly or not.
    """
    principal.require(transformation.scope)
    member = None if status is None else TaskStatus.parse(status)
    scope = transformation.scope
    if after is not None and after.scope != scope:
        return {}
    with database.transaction() as connection:
        found = tasks.of_transformation(connection, transformation, member, after)
    return {f"{key}-{scope}": None if parent is None else f"{parent}-{scope}" for key, parent in found.items()}


def get_statuses(database: Database, principal: Principal, keys: Sequence[ScopedKey]) -> list[str | None]:
    """The status of each Task, in this order; ``None`` for one that is not there or not the principal's."""
    found = _find(database, principal, keys)
    return [found[name].status if name in found else None for name in map(str, keys)]


def get_priorities(database: Database, principal: Principal, keys: Sequence[ScopedKey]) -> list[int | None]:
    """The priority of each Task, in this order; ``None`` for one that is not there or not the principal's."""
    found = _find(database, principal, keys)
    return [found[name].priority if name in found else None for name in map(str, keys)]


def set_priority(
    database: Database, principal: Principal, keys: Sequence[ScopedKey], priority: int
) -> list[str | None]:
    """Give Tasks a priority, 1 or more; lower runs sooner.

    Returns
    -------
    list
        The keys in this order, ``None`` for a Task that is not there or not the principal's.

    Raises
    ------
    PermissionDenied
        The principal may read one of them but not change it; nothing was changed.
    """
    check_priority(priority)
    writable = _writable(principal, keys)
    with database.transaction() as connection:
        found = tasks.find(connection, writable)
        ids = [row.id for row in found.values()]
        queue.lock(connection, ids)
        tasks.set_priority(connection, ids, priority)
        queue.refresh(connection, ids)
        changed = [key for key in writable if str(key) in found]
        audit.record_keys(connection, principal, "task.set_priority", changed, {"priority": priority})
    return [name if name in found else None for name in map(str, keys)]


def set_status(
    database: Database, principal: Principal, keys: Sequence[ScopedKey], status: str, reason: str | None = None
) -> list[str | None]:
    """Set Tasks ``waiting``, ``invalid`` or ``deleted``.

    A running Task that is set waiting runs again from its checkpoint; its present run is stopped. ``invalid`` and
    ``deleted`` also stop runs, take Tasks off every network, and do the same to all Tasks that extend them, save those
    that are ``invalid`` or ``deleted`` already.

    Returns
    -------
    list
        The keys in this order; ``None`` for a Task that is not there, not the principal's, or may not take the status
        from the one it has (`domain.transitions`).

    Raises
    ------
    PermissionDenied
        The principal may read one of them but not change it; nothing was changed.
    """
    new = TaskStatus.parse(status)
    check_user_settable(new)
    check_reason(new, reason)
    writable = _writable(principal, keys)
    with database.transaction() as connection:
        found = tasks.find(connection, writable)
        allowed = _set_status(
            connection, {row.id for row in found.values()}, new, Reason(Cause.user, principal.identifier, reason)
        )
        changed = [key for key in writable if str(key) in found and found[str(key)].id in allowed]
        audit.record_keys(connection, principal, "task.set_status", changed, {"status": new.value, "reason": reason})
    return [name if name in found and found[name].id in allowed else None for name in map(str, keys)]


def _seed(principal: Principal, request: str) -> str:
    """What the keys of a creation are made of: nobody's but this identity's."""
    return sha256(json.dumps([principal.kind, principal.identifier, request]).encode()).hexdigest()


def _created_before(
    connection: Connection, seed: str, transformation_ids: Sequence[int], parents: Sequence[ScopedKey | None]
) -> list[str]:
    # one more than asked for, to tell a longer creation from this one
    found = tasks.created(connection, seed, len(transformation_ids) + 1)
    asked = zip(transformation_ids, (None if parent is None else parent.gufe_key for parent in parents), strict=True)
    if [(row.transformation_id, row.extends) for row in found] != list(asked):
        raise _named_twice()
    return [row.name for row in found]


def _named_twice() -> Conflict:
    return Conflict(
        f"this {IDEMPOTENCY_KEY} was sent with another request; give every request its own", field=IDEMPOTENCY_KEY
    )


def _set_status(connection: Connection, task_ids: set[int], new: TaskStatus, reason: Reason) -> set[int]:
    # the status is read after the lock; what was found before it may have changed
    sources = sources_of(new, reason.cause)
    if new is TaskStatus.waiting:
        queue.lock(connection, list(task_ids))
        allowed = set(tasks.with_status(connection, task_ids, sources))
        changed = transitions.move(connection, allowed, new, reason)
    else:
        family = _lock_family(connection, task_ids)
        allowed = set(tasks.with_status(connection, task_ids, sources))
        cascade = family & set(tasks.with_descendants(connection, allowed))
        changed = transitions.move(connection, cascade, new, reason, shown=reason.why)
        actions.remove_everywhere(connection, changed)
    attempts.cancel_live(connection, changed, f"its Task was set {new}")
    queue.refresh(connection, changed)
    return allowed


def _lock_family(connection: Connection, task_ids: set[int]) -> set[int]:
    """Lock Tasks and all that extend them; whoever adds to the family locks the Task it extends."""
    locked: set[int] = set()
    family = set(tasks.with_descendants(connection, task_ids))
    while family - locked:
        queue.lock(connection, list(family - locked))
        locked |= family
        family = set(tasks.with_descendants(connection, task_ids))
    return locked


def check_transformation(key: ScopedKey) -> None:
    """Raise `InvalidInput` unless `key` is of a Transformation."""
    if key.qualname not in TRANSFORMATIONS:
        raise InvalidInput(f"Got an unsupported `Transformation` type: {key.qualname}", field="transformations")


def _parents(
    connection: Connection,
    transformations: Sequence[ScopedKey],
    transformation_ids: Sequence[int],
    parents: Sequence[ScopedKey | None],
) -> list[int | None]:
    given = list(dict.fromkeys(parent for parent in parents if parent is not None))
    if not given:
        return [None] * len(parents)
    queue.lock(connection, [row.id for row in tasks.find(connection, given).values()])
    # again, now that no status can change
    found = tasks.find(connection, given)
    ids: list[int | None] = []
    for transformation, transformation_id, parent in zip(transformations, transformation_ids, parents, strict=True):
        if parent is None:
            ids.append(None)
            continue
        row = found.get(str(parent))
        if row is None:
            raise NotFound(f"No such object in database: {parent}", field="extends")
        _check_extends(row, parent, transformation, transformation_id)
        ids.append(row.id)
    return ids


def _check_extends(row: TaskRow, parent: ScopedKey, transformation: ScopedKey, transformation_id: int) -> None:
    if row.status in (TaskStatus.invalid, TaskStatus.deleted):
        raise InvalidInput(f"Cannot extend a `deleted` or `invalid` Task: {parent}", field="extends")
    if row.transformation_id != transformation_id:
        raise InvalidInput(f"{parent} extends a Transformation other than {transformation}", field="extends")


def accessible(principal: Principal, keys: Sequence[ScopedKey]) -> list[ScopedKey]:
    """Those in scopes that the principal sees."""
    may = {scope: principal.may_access(scope) for scope in {key.scope for key in keys}}
    return [key for key in keys if may[key.scope]]


def _writable(principal: Principal, keys: Sequence[ScopedKey]) -> list[ScopedKey]:
    """Those that are the principal's; `PermissionDenied` if it may only read one of them."""
    found = accessible(principal, keys)
    principal.require_all((key.scope for key in found), Permission.write)
    return found


def _find(database: Database, principal: Principal, keys: Sequence[ScopedKey]) -> dict[str, TaskRow]:
    with database.transaction() as connection:
        return tasks.find(connection, accessible(principal, keys))
