"""The processes of a local stack: started with a log each, stopped with all their children."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from alchemiscale_prefect.domain.errors import AlchemiscaleError

STOP_SECONDS = 15.0

# in the environment of a flow run: Prefect's, and ours
_FLOW_RUN = "PREFECT__FLOW_RUN_ID"
_SHARED = "ALCHEMISCALE_COMPUTE_SHARED_BASEDIR"


@dataclass
class StackProcess:
    """A started process.

    Attributes
    ----------
    name
        What it is, as in its log's name.
    popen
        The process.
    log
        Where its output goes.
    """

    name: str
    popen: "subprocess.Popen[bytes]"
    log: Path

    def check(self) -> None:
        """Raise `StackError` if the process has ended."""
        code = self.popen.poll()
        if code is not None:
            raise StackError(f"{self.name} ended with code {code}; the end of {self.log}:\n{tail(self.log)}")


class StackError(AlchemiscaleError, RuntimeError):
    """A part of the local stack did not start, or ended by itself."""

    code = "stack_error"


def start(name: str, command: Sequence[str], log: Path, environment: Mapping[str, str], folder: Path) -> StackProcess:
    """Start a process in a session of its own, so that Ctrl-C reaches only its supervisor, which stops it in order."""
    with log.open("ab") as output:
        popen = subprocess.Popen(  # noqa: S603  our own commands
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )
    return StackProcess(name, popen, log)


def stop_children(process: StackProcess) -> None:
    """Have what a process started (flow runs of a worker) end, as on a worker's shutdown, before it ends itself."""
    try:
        children = psutil.Process(process.popen.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    _end(children)


def stop(process: StackProcess) -> None:
    """Stop a process and everything it started; kill what does not stop in time."""
    try:
        family = psutil.Process(process.popen.pid)
        children = family.children(recursive=True)
    except psutil.NoSuchProcess:
        process.popen.wait()
        return
    _end([family])
    _end(children)
    process.popen.wait()


def flow_runs(shared: Path) -> list[psutil.Process]:
    """The processes of the flow runs whose shared folder is `shared`: also those whose worker was killed."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue  # gone meanwhile, or somebody else's
        if _FLOW_RUN in environment and environment.get(_SHARED) == str(shared):
            found.append(process)
    return found


def stop_all(processes: Sequence[psutil.Process]) -> int:
    """Stop processes; kill what does not stop in time. How many there were."""
    _end(processes)
    return len(processes)


def remember(path: Path, processes: Sequence[StackProcess]) -> None:
    """Write down which processes there are, with when each began: a pid alone may be somebody else's later."""
    known = []
    for process in processes:
        try:
            known.append([process.popen.pid, psutil.Process(process.popen.pid).create_time()])
        except psutil.NoSuchProcess:
            continue
    path.write_text(json.dumps(known))


def stop_remembered(path: Path) -> int:
    """Stop what a stack left running when it was killed; how many processes that were."""
    if not path.exists():
        return 0
    left = []
    for pid, began in json.loads(path.read_text()):
        try:
            process = psutil.Process(pid)
            if process.create_time() == began:
                left += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    _end(left)
    path.unlink()
    return len(left)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _end(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        if process.pid != os.getpid():
            _quietly(process.terminate)
    _, alive = psutil.wait_procs(list(processes), timeout=STOP_SECONDS)
    for process in alive:
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=STOP_SECONDS)


def _quietly(act: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        act()


def wait_until(ready: Callable[[], bool], processes: Sequence[StackProcess], what: str, seconds: float) -> None:
    """Wait until `ready()` is true.

    Raises
    ------
    StackError
        A process ended meanwhile, or the time is over.
    """
    end = time.monotonic() + seconds
    while not ready():
        for process in processes:
            process.check()
        if time.monotonic() > end:
            logs = ", ".join(str(process.log) for process in processes)
            raise StackError(f"{what} was not ready after {seconds:.0f} s; see {logs}")
        time.sleep(0.2)
