"""The lease of a running attempt: renewed by a thread, and the process ended when it is lost.

A process that computes on after its lease is gone would waste a GPU, and might meet its own successor in the shared
directory. So the thread has the last word: it asks the process to stop (SIGTERM, which Prefect turns into an
exception in the flow) and ends it hard after a grace.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from types import TracebackType

from alchemiscale_prefect.domain.errors import AttemptVoid
from alchemiscale_prefect.execution import processes

log = logging.getLogger(__name__)

EXIT_CODE = 143  # as of a process ended by SIGTERM
# a silent API is not a lost lease, until so little of it is left
SAFETY_FRACTION = 0.15


def end_process(grace_seconds: float) -> None:
    """Ask this process to stop, and end it and what it started without ceremony if it has not after `grace_seconds`."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    processes.end(EXIT_CODE)


class LeaseKeeper:
    """Renews a lease while its ``with`` block runs.

    Parameters
    ----------
    renew
        Sends a heartbeat; raises `AttemptVoid` when the lease is not ours any more.
    lease_seconds
        How long the lease lasts after a heartbeat.
    every_seconds
        Time between heartbeats.
    on_lost
        What to do when the lease is lost: end the process, unless a test says otherwise. It is told how many seconds
        are left until somebody else may have it; by then nothing may compute here any more.
    asked_at
        When the lease was asked for, by the monotonic clock: it may have begun then. Default: when the block begins.
    """

    def __init__(
        self,
        renew: Callable[[], None],
        lease_seconds: float,
        every_seconds: float,
        on_lost: Callable[[float], None],
        asked_at: float | None = None,
    ) -> None:
        self._renew = renew
        self._lease_seconds = lease_seconds
        self._every_seconds = min(every_seconds, lease_seconds / 3)
        self._on_lost = on_lost
        self._stopped = threading.Event()
        self._losing = threading.Lock()
        self._asked_at = asked_at
        self._renewed_at = time.monotonic()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (("lease-keeper", self._keep), ("lease-watch", self._watch))
        ]
        self.lost = False

    def __enter__(self) -> "LeaseKeeper":
        self._renewed_at = now = time.monotonic()
        if self._asked_at is not None:
            self._renewed_at = self._asked_at
            if now - self._asked_at > self._every_seconds:
                # its answer was long in coming: nobody knows how much of the lease is left
                self._renew()
                self._renewed_at = now
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        if self.lost:
            return  # one of them is ending the process
        for thread in self._threads:
            thread.join(timeout=self._every_seconds)

    def _keep(self) -> None:
        while not self._stopped.wait(self._every_seconds):
            asked_at = time.monotonic()
            try:
                self._renew()
            except AttemptVoid:
                self._lose("the attempt is not this run's any more")
                return
            except Exception as error:  # noqa: BLE001  whatever it was, it was one heartbeat; `_watch` has the last word
                log.warning("heartbeat failed, %.0f s of the lease left: %s", self._left(), error)
            else:
                self._renewed_at = asked_at

    def _watch(self) -> None:
        # beside the heartbeats: one that hangs must not outlast the lease
        spare = SAFETY_FRACTION * self._lease_seconds
        while (left := self._left() - spare) > 0:
            if self._stopped.wait(left):
                return
        self._lose("the API was out of reach for as long as the lease lasts")

    def _left(self) -> float:
        return self._lease_seconds - (time.monotonic() - self._renewed_at)

    def _lose(self, reason: str) -> None:
        with self._losing:
            if self.lost or self._stopped.is_set():
                return
            self.lost = True
        try:
            log.error("stopping: %s", reason)
        finally:  # rich leaves with SystemExit where nobody reads what it prints
            self._on_lost(max(self._left(), 0.0))
