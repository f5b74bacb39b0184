"""The dispatcher's loop: a pass whenever the queue changed, and every few seconds anyway."""

import threading
from collections.abc import Callable

import structlog

from alchemiscale_prefect.domain.errors import Unavailable
from alchemiscale_prefect.services.database_checks import cause
from alchemiscale_prefect.services.dispatch import Pass
from alchemiscale_prefect.store.notifications import QueueListener

log = structlog.get_logger(__name__)

# notifications come in bursts (one per change); a pass serves all of a burst
BURST_SECONDS = 0.2


def run(one_pass: Callable[[], Pass], listener: QueueListener, interval_seconds: float, stop: threading.Event) -> None:
    """Make passes until `stop` is set.

    A pass that fails (the database or Prefect is out of reach) is logged and made again: every step of one can be
    repeated.
    """
    while not stop.is_set():
        try:
            done = one_pass()
        except Unavailable as error:
            # known, and it may last: a line each time, no traceback
            log.warning("dispatch_failed", why=cause(error))
            stop.wait(interval_seconds)
            continue
        except Exception:
            log.exception("dispatch_failed")
            stop.wait(interval_seconds)
            continue
        if done != Pass():
            log.info("dispatched", launched=done.launched, failed=done.failed, lost=done.lost, cancelled=done.cancelled)
        if _wait(listener, interval_seconds, stop):
            stop.wait(BURST_SECONDS)


def _wait(listener: QueueListener, seconds: float, stop: threading.Event) -> bool:
    # in slices, so that a stop is noticed
    waited = 0.0
    while waited < seconds and not stop.is_set():
        if listener.wait(min(1.0, seconds - waited)):
            return True
        waited += 1.0
    return False
