"""Processes of their own for Strategies: one that hangs, takes all memory or ends its process harms no other.

A thread could not be ended, would hold the interpreter's lock as long as it likes, and take those beside it along; and
as nothing is written down of an iteration that died, it would be tried again for ever. `strategy_program` runs there.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Lock
from types import TracebackType
from typing import IO, Any, Self

import structlog

from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.domain.iterations import Document, Material, Proposed, StrategyFailed, StrategyFailure

TRIES = 2
"""Of a Strategy whose process dies: where memory is short the system may have ended it for what another one took."""
_PROGRAM = "alchemiscale_prefect.services.strategy_program"
_START_SECONDS = 600.0
# more than it takes the program to end itself and say where it was
_GRACE_SECONDS = 10.0
# poll(2) counts milliseconds in an int
_LONGEST_WAIT_SECONDS = 86_400.0
_MOST_NOTES = 2**16
_OF_TIMER = "Timeout ("
_TOLD_TO_STOP = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))

log = structlog.get_logger(__name__)


class StrategyProcesses:
    """Asks Strategies for their proposals, each in a process that has nothing else to do meanwhile.

    Processes start when they are needed, as many as are asked at once, and are used again; `close` ends them. May be
    used by several threads.

    Parameters
    ----------
    propose
        The function that asks a Strategy, as ``module:name``; imported in the processes alone.
    seconds
        How long a Strategy may take.
    memory
        How many bytes a process may take; ``None`` for what the machine has.
    """

    def __init__(self, propose: str, seconds: float, memory: int | None = None) -> None:
        self._propose = propose
        self._seconds = seconds
        self._memory = memory
        self._idle: list[_Process] = []
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def propose(self, material: Material) -> Proposed:
        """A Strategy's proposal.

        Raises
        ------
        StrategyFailed
            It raised, had not answered in time, or its process died, twice.
        Unavailable
            A process cannot be started here, or was told to stop.
        Exception
            Whatever reading the results raises.
        """
        for number in range(1, TRIES + 1):
            process = self._take(anew=number > 1)
            try:
                answer = process.ask(material)
            except _Died as died:
                process.end()
                failure = _death(died)
                log.warning("strategy_process_died", how=died.how, number=number)
            except BaseException:
                process.end()
                raise
            else:
                with self._lock:
                    self._idle.append(process)
                if isinstance(answer, StrategyFailure):
                    raise StrategyFailed(answer)
                return answer
        raise StrategyFailed(failure)

    def close(self) -> None:
        """End the processes that have nothing to do."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def _take(self, *, anew: bool) -> "_Process":
        if not anew:
            with self._lock:
                if self._idle:
                    return self._idle.pop()
        return _Process.start(self._propose, self._seconds, self._memory)


class _Died(Exception):
    """The process is gone."""

    def __init__(self, how: str, notes: str) -> None:
        super().__init__(how)
        self.how = how
        self.notes = notes


class _Process:
    """A process that runs `strategy_program`."""

    def __init__(self, running: "subprocess.Popen[bytes]", connection: Connection, notes: IO[bytes], seconds: float):
        self._running = running
        self._connection = connection
        self._notes = notes
        self._seconds = seconds

    @classmethod
    def start(cls, propose: str, seconds: float, memory: int | None) -> "_Process":
        """Start one, and wait until it has imported what it needs. Raises `Unavailable`."""
        ours, theirs = Pipe()
        notes = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        files = (theirs.fileno(), notes.fileno())
        command = (sys.executable, "-P", "-m", _PROGRAM, propose, *map(str, files), str(seconds), str(memory or 0))
        # what it imports is what would be imported here; what it prints goes to the log, not among our output
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
        try:
            with theirs:
                running = subprocess.Popen(  # noqa: S603  our own program
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=2,
                    pass_fds=files,
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            notes.close()
            raise Unavailable(f"no process for Strategies can be started: {error}") from error
        process = cls(running, ours, notes, seconds)
        try:
            said, *about = process._receive(time.monotonic() + _START_SECONDS)
        except (_Died, StrategyFailed) as error:
            process.end()
            raise Unavailable(f"no process for Strategies starts: {error}") from error
        if said != "ready":
            process.end()
            raise Unavailable(f"Strategies cannot be performed here: {about[0]}")
        return process

    def ask(self, material: Material) -> Proposed | StrategyFailure:
        """What the Strategy answers; `_Died` or `StrategyFailed`, after which the process is to be ended."""
        until = time.monotonic() + self._seconds + _GRACE_SECONDS
        results: Iterator[tuple[str, Document]] = iter(())
        self._send((material.network, material.strategy, material.summaries, material.others))
        while True:
            said, *about = self._receive(until)
            if said == "results":
                results = iter(material.results())
            elif said == "next":
                self._send(next(results, None))
            elif said == "proposed":
                weights, max_tasks, budget = about
                return Proposed(weights, max_tasks, budget)
            else:
                (name, message), traceback = about
                return StrategyFailure((name, message), traceback)

    def end(self) -> None:
        """End it at once, if it has not ended, and what it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._running.pid, signal.SIGKILL)
        self._running.wait()
        self._connection.close()
        self._notes.close()

    def _send(self, what: object) -> None:
        try:
            self._connection.send(what)
        except OSError as error:
            raise self._death() from error

    def _receive(self, until: float) -> list[Any]:
        try:
            while not self._connection.poll(min(max(0.0, until - time.monotonic()), _LONGEST_WAIT_SECONDS)):
                if time.monotonic() >= until:
                    raise StrategyFailed(_lateness(self._seconds, self._said()))
            answer: list[Any] = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise self._death() from error
        return answer

    def _death(self) -> Exception:
        """What it is to be told as that it is gone."""
        try:
            code = self._running.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return _Died("it closed its connection", self._said())
        notes = self._said()
        if notes.startswith(_OF_TIMER):
            return StrategyFailed(_lateness(self._seconds, notes))
        if -code in _TOLD_TO_STOP:
            return Unavailable("the process that performed the Strategy was told to stop")
        return _Died(_how(code), notes)

    def _said(self) -> str:
        """What it wrote down as it died."""
        self._notes.seek(0)
        return self._notes.read(_MOST_NOTES).decode(errors="backslashreplace")


def _how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    shortage = ", as the system does where memory is short" if -code == signal.SIGKILL else ""
    return f"by signal {name}{shortage}"


def _death(died: _Died) -> StrategyFailure:
    message = f"the process that performed the Strategy ended {TRIES} times, the last {died.how}"
    return StrategyFailure(("StrategyDied", message), died.notes or message)


def _lateness(seconds: float, notes: str) -> StrategyFailure:
    message = (
        f"the Strategy had not answered after {seconds:g} s; "
        "an operator can give it longer: ALCHEMISCALE_STRATEGY_TIMEOUT_SECONDS"
    )
    where = f"It was here:\n{notes.partition(chr(10))[2]}" if notes.startswith(_OF_TIMER) else message
    return StrategyFailure(("StrategyTimeout", message), where)
