"""Whether what the server needs can be reached."""

import uuid

from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.store import schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.objects.port import ObjectStore


def check(database: Database, objects: ObjectStore) -> None:
    """Raise `Unavailable` unless the database answers with this version's schema and the object store keeps bytes."""
    current, needed = schema.revisions(database)
    if current != needed:
        raise Unavailable(f"the database has schema {current}, this version needs {needed}; upgrade it")
    schema.check_row_security(database)
    location = f"check/{uuid.uuid4().hex}"
    objects.put(location, b"check")
    kept = objects.get(location)
    objects.delete([location])
    if kept != b"check":
        raise Unavailable("the object store does not give back what it was given")
