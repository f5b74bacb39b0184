"""The folder of a local stack: what lies where, its ports, its secrets."""

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from alchemiscale_prefect.domain.errors import InvalidInput

API_PORT = 8675
PREFECT_PORT = 4200


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths in the folder of a local stack."""

    folder: Path

    @property
    def postgres(self) -> Path:
        """Postgres' data."""
        return self.folder / "postgres"

    @property
    def prefect(self) -> Path:
        """Prefect's home, with its SQLite database."""
        return self.folder / "prefect"

    @property
    def objects(self) -> Path:
        """The object store."""
        return self.folder / "objects"

    @property
    def shared(self) -> Path:
        """Where units of one ProtocolDAG pass files."""
        return self.folder / "shared"

    @property
    def scratch(self) -> Path:
        """Where a unit writes for itself."""
        return self.folder / "scratch"

    @property
    def work(self) -> Path:
        """Where flow runs start; empty."""
        return self.folder / "work"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.folder / "logs"

    @property
    def lock(self) -> Path:
        """Held by the process that runs the stack."""
        return self.folder / "lock"

    @property
    def processes(self) -> Path:
        """Which processes the stack has, for the next one to clean up after a crash."""
        return self.folder / "processes.json"

    @property
    def secrets(self) -> Path:
        """Keys and ports."""
        return self.folder / "stack.json"

    def create(self) -> None:
        """Make every folder."""
        for path in (self.prefect, self.objects, self.shared, self.scratch, self.work, self.logs):
            path.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True, slots=True)
class StackConfig:
    """What a stack keeps from one start to the next: keys, so that they stay valid, and ports, so that links do."""

    jwt_secret: str
    user_key: str
    compute_key: str
    api_port: int
    prefect_port: int

    @property
    def api_url(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def prefect_ui_url(self) -> str:
        """The Prefect UI's address."""
        return f"http://127.0.0.1:{self.prefect_port}"

    @property
    def prefect_api_url(self) -> str:
        """The Prefect API's address."""
        return f"{self.prefect_ui_url}/api"


def load_config(layout: Layout) -> StackConfig:
    """The stack's configuration; made on the first start, with new ports if the former ones are taken.

    Raises
    ------
    InvalidInput
        The file is there but not readable as one of ours.
    """
    if layout.secrets.exists():
        try:
            known = StackConfig(**json.loads(layout.secrets.read_text()))
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                f"{layout.secrets} is damaged ({error}); remove it to make new keys and ports", field="data"
            ) from error
    else:
        known = StackConfig(
            secrets.token_urlsafe(48), secrets.token_urlsafe(24), secrets.token_urlsafe(24), API_PORT, PREFECT_PORT
        )
    taken: set[int] = set()
    ports = []
    for port in (known.api_port, known.prefect_port):
        free = port if _is_free(port) and port not in taken else _free_port()
        taken.add(free)
        ports.append(free)
    config = StackConfig(known.jwt_secret, known.user_key, known.compute_key, *ports)
    write_private(layout.secrets, json.dumps(asdict(config), indent=1))
    return config


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # as the servers do: a port in TIME_WAIT is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
