"""The only wiring: settings in, the system out."""

import io
import logging
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Event

import structlog

from alchemiscale_prefect import settings as environment
from alchemiscale_prefect.domain.checks import CheckStatus
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.pools import BEAT, Pool
from alchemiscale_prefect.domain.reconcile import Found
from alchemiscale_prefect.services import database_checks, dispatch, dispatcher, iterations, reconcile
from alchemiscale_prefect.services.shares import Books
from alchemiscale_prefect.services.strategy_processes import StrategyProcesses
from alchemiscale_prefect.settings import (
    ApiSettings,
    DatabaseSettings,
    DispatchSettings,
    ObjectStoreSettings,
    ReconcileSettings,
    StrategySettings,
)
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.notifications import QueueListener
from alchemiscale_prefect.store.objects.local import LocalObjectStore
from alchemiscale_prefect.store.objects.port import ObjectStore
from alchemiscale_prefect.wire.strategies import StrategyProposal


@dataclass(frozen=True, slots=True)
class System:
    """The parts that the API and the dispatcher work with. Nothing is connected before its first use."""

    database: Database
    objects: ObjectStore
    api: ApiSettings

    def close(self) -> None:
        """Give up what is held."""
        self.database.close()


class _Lines(io.StringIO):
    """Lines to standard error. One that cannot be written, for a full disk or a reader that is gone, ends no server."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure_logs() -> None:
    """Logs of a server process: one JSON object per line, readable text on a terminal.

    Tracebacks never show the values of variables, which may be secrets (structlog's own default does).
    """
    terminal = sys.stderr.isatty()
    render: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(_Lines()),
        cache_logger_on_first_use=True,
    )


def make_database(settings: DatabaseSettings | None = None) -> Database:
    """The database that the settings name, by default those of the environment."""
    settings = settings or environment.read(DatabaseSettings)
    return Database(settings.database_url.get_secret_value(), settings.database_pool_size)


def make_objects(settings: ObjectStoreSettings | None = None) -> ObjectStore:
    """The object store that the settings name, by default those of the environment."""
    settings = settings or environment.read(ObjectStoreSettings)
    return LocalObjectStore(settings.object_store)


def make_system(
    database: DatabaseSettings | None = None,
    objects: ObjectStoreSettings | None = None,
    api: ApiSettings | None = None,
) -> System:
    """The system that the settings describe; those left out are read from the environment."""
    return System(
        database=make_database(database),
        objects=make_objects(objects),
        api=api or environment.read(ApiSettings),
    )


def warn_of_database(database: Database) -> None:
    """Say in the log what is wrong with the database, if anything is.

    For a server that starts all the same, and whose database may be on its way.
    """
    for check in database_checks.reachable(database):
        if check.status is CheckStatus.failed:
            structlog.get_logger(__name__).warning("database_unfit", what=check.name, why=check.detail, fix=check.fix)


def run_dispatcher(stop: Event) -> None:
    """Dispatch, as the environment's settings say, until `stop` is set."""
    # Prefect takes seconds to import, and the API server, which is wired here too, has no use for it
    from alchemiscale_prefect.orchestration.launcher import PrefectLauncher
    from alchemiscale_prefect.orchestration.reach import impatient

    settings = environment.read(DispatchSettings)
    database = make_database()
    launcher = PrefectLauncher(settings.deployment)
    pool = _pool(settings)
    listener = QueueListener(database)
    books = Books()
    # an idle dispatcher says nothing else
    structlog.get_logger(__name__).info("dispatching", pool=pool.name, deployment=settings.deployment)
    try:
        with impatient():
            dispatcher.run(
                lambda: dispatch.dispatch(database, launcher, pool, books),
                listener,
                settings.dispatch_interval_seconds,
                stop,
            )
    finally:
        listener.close()
        launcher.close()
        database.close()


def run_reconcile(*, objects: bool = False, dry_run: bool = False, however_many: bool = False) -> list[Found]:
    """Hold tables, Prefect and object store against each other once, as the environment's settings say.

    Parameters
    ----------
    objects
        Also list all that is kept in the object store, and delete what no row names.
    dry_run
        Change nothing.
    however_many
        See `services.reconcile.orphans`.
    """
    from alchemiscale_prefect.orchestration.flow_runs import connect

    settings = environment.read(ReconcileSettings)
    database, store, act = make_database(), make_objects(), not dry_run
    try:
        with connect(settings.deployment) as (launcher, flow_runs):
            found = reconcile.attempts_and_flow_runs(database, launcher, flow_runs, _pool(settings), act=act)
        found += reconcile.checkpoints(database, store, act=act)
        if objects:
            age = timedelta(days=settings.orphan_days)
            found += reconcile.orphans(database, store, age, act=act, however_many=however_many)
    finally:
        database.close()
    return found


def strategies_due() -> list[ScopedKey]:
    """The networks whose Strategy is to be performed now; see `services.iterations.due`."""
    minimum = timedelta(seconds=environment.read(StrategySettings).strategy_min_interval_seconds)
    database = make_database()
    try:
        return iterations.due(database, minimum)
    finally:
        database.close()


def strategy_processes() -> StrategyProcesses:
    """Where Strategies are asked for their proposals, within the limits of the environment's settings; to be closed."""
    chosen = environment.read(StrategySettings)
    memory = chosen.strategy_memory_gib
    return StrategyProcesses(
        # it needs gufe, which this room does without
        "alchemiscale_prefect.strategies.performing:propose",
        chosen.strategy_timeout_seconds,
        None if memory is None else int(memory * 2**30),
    )


def perform_strategy(network: ScopedKey, processes: StrategyProcesses) -> StrategyProposal | None:
    """One iteration of a network's Strategy; see `services.iterations.perform`."""
    database = make_database()
    try:
        return iterations.perform(database, make_objects(), processes.propose, network)
    finally:
        database.close()


def _pool(settings: DispatchSettings) -> Pool:
    return Pool(
        settings.pool,
        settings.buffer,
        settings.max_in_flight,
        timedelta(seconds=settings.start_timeout_seconds),
        settings.max_losses,
        settings.back_off,
        settings.fair_share,
        silence=3 * max(BEAT, timedelta(seconds=settings.dispatch_interval_seconds)),
    )
