"""The local stack with two workers and two dispatchers, whose parts are killed and started again, as by an operator's
service manager."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from alchemiscale_prefect.local import processes
from alchemiscale_prefect.local.stack import LocalStack
from tests import debian_postgres
from tests.chaos.injuries import Injury, Kind

RESTART_SECONDS = 1.0


@dataclass
class Down:
    """What is to be started again, and when."""

    at: float
    start: Callable[[], object]


class BatteredStack:
    """A running stack and what is done to it.

    Parameters
    ----------
    stack
        With two workers and two dispatchers.
    prefect_postgres
        Folder of the Postgres of Prefect's server; ``None`` if it runs on SQLite.
    """

    def __init__(self, stack: LocalStack, prefect_postgres: Path | None) -> None:
        self.stack = stack
        self.done: Counter[str] = Counter()
        self._prefect_postgres = prefect_postgres
        self._down: list[Down] = []

    def injure(self, injury: Injury) -> None:
        """Kill something; it is started again by `tend`."""
        kill = {
            Kind.api: lambda: self._kill("api", self.stack.start_api),
            Kind.prefect: lambda: self._kill("prefect-server", self.stack.start_prefect_server),
            Kind.postgres: self._kill_postgres,
            Kind.prefect_postgres: self._kill_prefect_postgres,
            Kind.dispatcher: lambda: self.kill_dispatcher(injury.which),
            Kind.worker: lambda: self.kill_worker(injury.which),
            Kind.machine: lambda: self.kill_worker(injury.which, flow_runs_too=True),
            Kind.flow_run: lambda: self._kill_flow_run(injury.which),
        }[injury.kind]
        start = kill()
        self.done[injury.kind.name] += 1
        if start is not None:
            self._down.append(Down(time.monotonic() + injury.down, start))

    def tend(self) -> None:
        """Start what has been down for long enough, and what has ended by itself."""
        now = time.monotonic()
        due = [down for down in self._down if down.at <= now]
        self._down = [down for down in self._down if down.at > now]
        for down in due:
            down.start()
        for name, process in list(self.stack.processes.items()):
            if process.popen.poll() is not None:
                # a Prefect worker gives up when its server is away for long
                self.done[f"{name} ended by itself"] += 1
                del self.stack.processes[name]
                self._down.append(Down(now + RESTART_SECONDS, self._starter(name)))

    @property
    def whole(self) -> bool:
        """Whether nothing is down."""
        return not self._down

    def flow_runs(self) -> list[psutil.Process]:
        """The processes of its flow runs, by their pid."""
        return sorted(processes.flow_runs(self.stack.layout.shared), key=lambda process: process.pid)

    def worker_of(self, flow_run: psutil.Process) -> str | None:
        """The name of the worker that started a flow run."""
        parents = {parent.pid for parent in flow_run.parents()}
        return next((name for name in self._names("worker") if self.stack.processes[name].popen.pid in parents), None)

    def kill_worker(self, which: int | str, *, flow_runs_too: bool = False) -> Callable[[], object]:
        """Kill a worker, by number or name, as if it, or its machine, had failed; what starts it again."""
        names = self._names("worker")
        name = which if isinstance(which, str) else names[which % len(names)]
        return self._kill(name, self._starter(name), children_too=flow_runs_too)

    def kill_dispatcher(self, which: int) -> Callable[[], object]:
        """Kill a dispatcher; what starts it again."""
        names = self._names("dispatcher")
        name = names[which % len(names)]
        return self._kill(name, self._starter(name))

    def _names(self, kind: str) -> list[str]:
        return sorted(name for name in self.stack.processes if name.startswith(kind))

    def _starter(self, name: str) -> Callable[[], object]:
        if name.startswith("worker"):
            return lambda: self.stack.start_worker(name)
        if name.startswith("dispatcher"):
            return lambda: self.stack.start_dispatcher(name)
        return {"api": self.stack.start_api, "prefect-server": self.stack.start_prefect_server}[name]

    def _kill(
        self, name: str, start: Callable[[], object], *, children_too: bool = True
    ) -> Callable[[], object] | None:
        process = self.stack.processes.pop(name, None)
        if process is None:
            return None  # it is down already
        family = psutil.Process(process.popen.pid)
        for child in family.children(recursive=True) if children_too else []:
            _kill(child)
        _kill(family)
        process.popen.wait()
        return start

    def _kill_flow_run(self, which: int) -> None:
        running = self.flow_runs()
        if running:
            _kill(running[which % len(running)])

    def _kill_postgres(self) -> Callable[[], object] | None:
        killed = debian_postgres.kill(self.stack.layout.postgres)
        return self.stack.start_postgres if killed else None

    def _kill_prefect_postgres(self) -> Callable[[], object] | None:
        folder = self._prefect_postgres
        if folder is None or not debian_postgres.kill(folder / "data"):
            return None
        return lambda: debian_postgres.start_again(folder)


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
