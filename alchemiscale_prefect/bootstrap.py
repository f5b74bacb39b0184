"""The only wiring: settings in, the system out."""

from dataclasses import dataclass
from datetime import timedelta
from threading import Event

from alchemiscale_prefect.orchestration.launcher import PrefectLauncher
from alchemiscale_prefect.services import dispatch, dispatcher
from alchemiscale_prefect.settings import ApiSettings, DatabaseSettings, DispatchSettings, ObjectStoreSettings
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.notifications import QueueListener
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


def run_dispatcher(stop: Event) -> None:
    """Dispatch, as the environment's settings say, until `stop` is set."""
    settings = DispatchSettings()
    database = make_database()
    launcher = PrefectLauncher(settings.deployment)
    pool = dispatch.Pool(
        settings.pool,
        settings.buffer,
        settings.max_in_flight,
        timedelta(seconds=settings.start_timeout_seconds),
        settings.max_losses,
    )
    listener = QueueListener(database)
    try:
        dispatcher.run(
            lambda: dispatch.dispatch(database, launcher, pool), listener, settings.dispatch_interval_seconds, stop
        )
    finally:
        listener.close()
        database.close()
