"""Waiting for something to become true, with a limit."""

import time
from collections.abc import Callable


def wait_for(true: Callable[[], object], what: str, seconds: float = 60.0, every: float = 0.25) -> None:
    """Return once `true()` is; fail, naming `what`, after so many seconds."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s for: {what}")
        time.sleep(every)
