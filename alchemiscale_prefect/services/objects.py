"""gufe objects by their key, whatever they are."""

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.errors import NotFound
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import objects
from alchemiscale_prefect.store.queries.objects import Chain


def exists(database: Database, principal: Principal, key: ScopedKey) -> bool:
    """Whether there is a gufe object, Task or result of this name."""
    principal.require(key.scope)
    with database.transaction() as connection:
        return objects.exists(connection, key)


def get_chain(database: Database, principal: Principal, key: ScopedKey) -> Chain:
    """The keyed chain of an object, as it was sent; `NotFound` if there is none."""
    principal.require(key.scope)
    with database.transaction() as connection:
        object_id = objects.id_of(connection, key)
        if object_id is None:
            raise NotFound("No such object in database")
        return objects.read(connection, object_id)
