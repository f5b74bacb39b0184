"""The whole system on one machine: Postgres, Prefect server, API, dispatcher and worker, started and stopped together.

The parts are the real ones, as an operator would run them; only their number and place are a laptop's.
"""

import fcntl
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

import httpx

from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.errors import Conflict
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.local.layout import Layout, StackConfig, load_config
from alchemiscale_prefect.local.processes import (
    StackError,
    StackProcess,
    flow_runs,
    remember,
    start,
    stop,
    stop_all,
    stop_children,
    stop_remembered,
    wait_until,
)
from alchemiscale_prefect.services import identities
from alchemiscale_prefect.store import schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.embedded import EmbeddedPostgres

POOL = "alchemiscale"
USER = "local-user"
COMPUTE = "local-compute"
START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How the local stack differs from an operator's.

    Attributes
    ----------
    flow_runs
        Flow runs that each worker executes at once.
    parallel_units
        ProtocolUnits that each of them runs at once.
    lease_seconds
        A run that is silent for so long has lost its Task.
    workers
        How many.
    dispatchers
        How many; one, while Prefect is on SQLite.
    prefect_database_url
        Prefect's database; SQLite in the stack's folder if ``None``.
    environment
        Added to every process.
    """

    flow_runs: int = 2
    parallel_units: int = 2
    lease_seconds: float = 60.0
    workers: int = 1
    dispatchers: int = 1
    prefect_database_url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class LocalStack:
    """A running local stack; use it as a context manager.

    Parameters
    ----------
    folder
        Where everything lies, from one start to the next.
    options
        Sizes.
    say
        Told what is being started.

    Raises
    ------
    Conflict
        Another process runs a stack on this folder.
    StackError
        A part did not start; the message ends with its log.
    """

    def __init__(
        self, folder: Path, options: StackOptions | None = None, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.layout = Layout(folder.resolve())
        self.options = options or StackOptions()
        self.processes: dict[str, StackProcess] = {}
        self._say = say
        self._postgres = EmbeddedPostgres(self.layout.postgres)
        self._lock: IO[str] | None = None
        self._config: StackConfig | None = None
        self._database_url: str | None = None

    @property
    def config(self) -> StackConfig:
        """Addresses and keys; there once the stack is started."""
        if self._config is None:
            raise StackError("the stack is not started")
        return self._config

    @property
    def database_url(self) -> str:
        """Our tables; there once the stack is started."""
        if self._database_url is None:
            raise StackError("the stack is not started")
        return self._database_url

    def __enter__(self) -> "LocalStack":
        self.layout.create()
        self._take_lock()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise `StackError` if a part has ended by itself."""
        for process in self.processes.values():
            process.check()

    def stop(self) -> None:
        """Stop every part, those that depend on others first."""
        for name in [name for name in self.processes if name.startswith("dispatcher")]:
            stop(self.processes.pop(name))
        for name in [name for name in self.processes if name.startswith("worker")]:
            worker = self.processes.pop(name)
            # first the flow runs, which then give their Tasks back; a worker that stops would kill them
            stop_children(worker)
            stop(worker)
        # and those of workers that were killed
        stop_all(flow_runs(self.layout.shared))
        for name in list(self.processes):
            stop(self.processes.pop(name))
        if self._database_url is not None:
            self._postgres.stop()
            self._database_url = None
        self.layout.processes.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def start_process(self, name: str, *command: str) -> StackProcess:
        """Start one more process with the stack's environment; it is stopped with the others."""
        process = start(name, command, self.layout.logs / f"{name}.log", self.environment(), self.layout.work)
        self.processes[name] = process
        remember(self.layout.processes, list(self.processes.values()))
        return process

    def start_postgres(self) -> None:
        """Start Postgres, also after it was killed."""
        self._database_url = self._postgres.start()

    def start_prefect_server(self) -> StackProcess:
        """Start Prefect's server."""
        port = str(self.config.prefect_port)
        return self.start_process(
            "prefect-server",
            *(sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port),
        )

    def start_api(self) -> StackProcess:
        """Start the API server."""
        port = str(self.config.api_port)
        return self.start_process(
            "api", *(sys.executable, "-m", "alchemiscale_prefect", "api", "--host", "127.0.0.1", "--port", port)
        )

    def start_dispatcher(self, name: str = "dispatcher") -> StackProcess:
        """Start a dispatcher."""
        return self.start_process(name, sys.executable, "-m", "alchemiscale_prefect", "dispatch")

    def start_worker(self, name: str = "worker") -> StackProcess:
        """Start a worker."""
        return self.start_process(
            name,
            *(sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"),
            *("--limit", str(self.options.flow_runs), "--name", name.replace("worker", "local")),
        )

    def environment(self) -> dict[str, str]:
        """The environment of every process: settings of ours and of Prefect."""
        config, layout = self.config, self.layout
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ALCHEMISCALE_"))
        }
        kept = {name: os.environ[name] for name in ("ALCHEMISCALE_ALLOWED_MODULES",) if name in os.environ}
        return {
            **inherited,
            **kept,
            "ALCHEMISCALE_DATABASE_URL": self.database_url,
            "ALCHEMISCALE_OBJECT_STORE": str(layout.objects),
            "ALCHEMISCALE_JWT_SECRET": config.jwt_secret,
            "ALCHEMISCALE_LEASE_SECONDS": str(self.options.lease_seconds),
            "ALCHEMISCALE_POOL": POOL,
            "ALCHEMISCALE_DEPLOYMENT": f"run-task/{POOL}",
            "ALCHEMISCALE_BUFFER": str(self.options.workers * self.options.flow_runs + 2),
            "ALCHEMISCALE_COMPUTE_API_URL": config.api_url,
            "ALCHEMISCALE_COMPUTE_IDENTIFIER": COMPUTE,
            "ALCHEMISCALE_COMPUTE_KEY": config.compute_key,
            "ALCHEMISCALE_COMPUTE_SHARED_BASEDIR": str(layout.shared),
            "ALCHEMISCALE_COMPUTE_SCRATCH_BASEDIR": str(layout.scratch),
            "ALCHEMISCALE_COMPUTE_MAX_PARALLEL_UNITS": str(self.options.parallel_units),
            "PREFECT_HOME": str(layout.prefect),
            "PREFECT_API_URL": config.prefect_api_url,
            "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": self.options.prefect_database_url
            or f"sqlite+aiosqlite:///{layout.prefect / 'prefect.db'}",
            # it writes to every run that is due, for which SQLite has no room beside the others; we hold few such runs
            "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS": "90",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_CLI_PROMPT": "false",
            "DO_NOT_TRACK": "1",
            **self.options.environment,
        }

    # --- starting ----------------------------------------------------------------------------------------------------

    def _take_lock(self) -> None:
        lock = self.layout.lock.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise Conflict(f"another alchemiscale-prefect runs on {self.layout.folder}; stop it first") from error
        self._lock = lock

    def _start(self) -> None:
        left = stop_remembered(self.layout.processes) + stop_all(flow_runs(self.layout.shared))
        if left:
            self._say(f"stopped {left} processes that a former stack left behind")
        self._say("Postgres")
        self.start_postgres()
        self._config = load_config(self.layout)
        self._prepare_database()
        self._say("Prefect server and API")
        config = self.config
        python = sys.executable
        self.start_prefect_server()
        self.start_api()
        parts = list(self.processes.values())
        wait_until(lambda: _answers(f"{config.api_url}/ping"), parts, "the API", START_SECONDS)
        wait_until(lambda: _answers(f"{config.prefect_api_url}/health"), parts, "the Prefect server", START_SECONDS)
        self._say("work pool, dispatcher and worker")
        deploy = self.start_process(
            "deploy",
            # one worker for all: it reaches the database, and another one would cost 200 MB
            *(python, "-m", "alchemiscale_prefect", "deploy", "--pool", POOL, "--control-pool", POOL),
            *("--working-directory", str(self.layout.work), "--command", f"{python} -m prefect.engine"),
        )
        if deploy.popen.wait(START_SECONDS) != 0:
            deploy.check()
        del self.processes["deploy"]
        for number in range(self.options.workers):
            self.start_worker("worker" if number == 0 else f"worker-{number + 1}")
        for number in range(self.options.dispatchers):
            self.start_dispatcher("dispatcher" if number == 0 else f"dispatcher-{number + 1}")

    def _prepare_database(self) -> None:
        database = Database(self.database_url, pool_size=1)
        try:
            schema.upgrade(database)
            operator = Principal.operating("up")
            everything = (Scope(),)
            for kind, identifier, key in (
                (IdentityKind.user, USER, self.config.user_key),
                (IdentityKind.compute, COMPUTE, self.config.compute_key),
            ):
                try:
                    identities.create(database, operator, kind, identifier, key, everything)
                except Conflict:
                    # a later start; the folder's keys may have been made anew
                    identities.set_key(database, operator, kind, identifier, key)
        finally:
            database.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5.0, verify=False).is_success  # noqa: S501  http: no certificates to read
    except httpx.HTTPError:
        return False
