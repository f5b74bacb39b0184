"""The only wiring: settings in, the system out."""

from dataclasses import dataclass

from alchemiscale_prefect.settings import ApiSettings, DatabaseSettings, ObjectStoreSettings
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.objects.local import LocalObjectStore
from alchemiscale_prefect.store.objects.port import ObjectStore


@dataclass(frozen=True, slots=True)
class System:
    """The parts that the API and the dispatcher work with. Nothing is connected before its first use."""

    database: Database
    objects: ObjectStore
    api: ApiSettings

    def close(self) -> None:
        """Give up what is held."""
        self.database.close()


def make_database(settings: DatabaseSettings | None = None) -> Database:
    """The database that the settings name, by default those of the environment."""
    settings = settings or DatabaseSettings()
    return Database(settings.database_url.get_secret_value(), settings.database_pool_size)


def make_system(
    database: DatabaseSettings | None = None,
    objects: ObjectStoreSettings | None = None,
    api: ApiSettings | None = None,
) -> System:
    """The system that the settings describe; those left out are read from the environment."""
    object_settings = objects or ObjectStoreSettings()
    return System(
        database=make_database(database),
        objects=LocalObjectStore(object_settings.object_store),
        api=api or ApiSettings(),
    )
