"""``alchemiscale-prefect dispatch``."""

import signal
import threading


def command() -> None:
    """Run a dispatcher until it is told to stop. Settings come from the environment (ALCHEMISCALE_…, PREFECT_…)."""
    from alchemiscale_prefect.bootstrap import configure_logs, run_dispatcher

    configure_logs()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    run_dispatcher(stop)
