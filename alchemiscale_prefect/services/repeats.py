"""Repeats: so many Tasks for each Transformation, and no more, however often that is asked for."""

from collections.abc import Sequence

from alchemiscale_prefect.domain.access import Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput, NotFound
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services import audit
from alchemiscale_prefect.services.networks import check_network_key, require_network
from alchemiscale_prefect.services.tasks import check_transformation
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import members, objects, tasks
from alchemiscale_prefect.wire.tasks import MAX_TASKS_PER_CALL, SetTasks


def set_tasks(
    database: Database, principal: Principal, of: ScopedKey | Sequence[ScopedKey], count: int
) -> dict[str, SetTasks]:
    """Make the Tasks that Transformations lack to have `count` of them; no more if said again, or twice at once.

    Counted are Tasks that extend no other (those that do are no independent repeats) and that are neither invalid nor
    deleted. Those in error count: else a Transformation that fails would get more Tasks each time.

    Parameters
    ----------
    of
        A network, for all of its Transformations; or Transformations.

    Returns
    -------
    dict
        For each Transformation the Tasks that existed and those that were created.

    Raises
    ------
    InvalidInput
        A key is of no Transformation, or too many Tasks would be made; no Task was made.
    NotFound
        The network or a Transformation is not there; no Task was made.
    """
    given = [of] if isinstance(of, ScopedKey) else of
    if not isinstance(of, ScopedKey):
        for key in of:
            check_transformation(key)
    principal.require_all((key.scope for key in given), Permission.write)
    with database.transaction() as connection:
        wanted = _transformations_of(connection, of) if isinstance(of, ScopedKey) else list(dict.fromkeys(of))
        ids = objects.ids_of(connection, "transformation", wanted)
        if missing_keys := [key for key in wanted if str(key) not in ids]:
            raise NotFound(f"No such object in database: {missing_keys[0]}", field="transformations")
        repeats = tasks.lock_repeats(connection, list(ids.values()))
        missing = {key: max(0, count - len(repeats[ids[str(key)]])) for key in wanted}
        if (total := sum(missing.values())) > MAX_TASKS_PER_CALL:
            raise InvalidInput(f"{total} Tasks would be made; ask for at most {MAX_TASKS_PER_CALL}", field="count")
        new = [ids[str(key)] for key, lacking in missing.items() for _ in range(lacking)]
        made = iter(tasks.create(connection, new, [None] * len(new), principal.identifier))
        if new:
            changed = [key for key, lacking in missing.items() if lacking]
            audit.record_keys(connection, principal, "task.create", changed, {"tasks": len(new)})
    return {
        str(key): SetTasks(
            existing=[ScopedKey.of(own, key.scope) for own in repeats[ids[str(key)]]],
            created=[ScopedKey.from_str(next(made)) for _ in range(lacking)],
        )
        for key, lacking in missing.items()
    }


def _transformations_of(connection: Connection, network: ScopedKey) -> list[ScopedKey]:
    check_network_key(network)
    require_network(connection, network)
    return [ScopedKey.of(key, network.scope) for key in members.of_network(connection, "transformation", network)]
