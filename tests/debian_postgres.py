"""Debian's Postgres for Prefect's server, where the machine has it: unlike the embedded one it has pg_trgm."""

import contextlib
import os
import pwd
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.ports import free_port
from tests.waiting import wait_for


def binaries() -> Path | None:
    """Where the newest installed server's programs are; ``None`` without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def prefect_postgres(folder: Path) -> Iterator[str | None]:
    """A fresh Postgres for Prefect on a folder; its SQLAlchemy URL, or ``None`` where there is none to be had."""
    programs = binaries()
    if programs is None:
        yield None
        return
    data = folder / "data"
    data.mkdir(parents=True)
    _give_to_server(folder)
    port = free_port()
    _run(programs, "initdb", "-D", str(data), "-U", "prefect", "--auth=trust", "--encoding=UTF8", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    _run(programs, "pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
    finally:
        _run(programs, "pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _run(programs: Path, name: str, *arguments: str) -> None:
    # Postgres refuses to run as root
    account: dict[str, object] = {}
    if os.geteuid() == 0:
        entry = pwd.getpwnam("postgres")
        account = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    command: Sequence[str] = (str(programs / name), *arguments)
    done = (
        subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **account)
        if name != "pg_ctl"
        # pg_ctl start leaves a server behind that would hold captured pipes open
        else (
            subprocess.run(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, cwd="/", **account
            )
        )
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {getattr(done, 'stderr', '')}")


def _give_to_server(folder: Path) -> None:
    if os.geteuid() != 0:
        return
    entry = pwd.getpwnam("postgres")
    for path in (folder, folder / "data"):
        os.chown(path, entry.pw_uid, entry.pw_gid)
    # pytest's folders are 0700; the server must be able to pass through
    for parent in folder.parents:
        if parent.owner() == "root" and parent != Path("/") and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o001)


def kill(data: Path) -> bool:
    """End the server of a data folder with SIGKILL; False if it is down already."""
    with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
        pid, *_ = (data / "postmaster.pid").read_text().split()
        process = psutil.Process(int(pid))
        if "postgres" in process.name() and process.status() != psutil.STATUS_ZOMBIE:
            process.kill()
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
            return True
    return False


def start_again(folder: Path) -> None:
    """Start the server of `prefect_postgres` after that, as it was; it recovers."""
    programs = binaries()
    assert programs is not None
    _, *options = shlex.split((folder / "data" / "postmaster.opts").read_text())
    arguments = ("-D", str(folder / "data"), "-o", shlex.join(options[2:]), "-l", str(folder / "log"), "-w", "start")

    def started() -> bool:
        try:
            _run(programs, "pg_ctl", *arguments)
        except RuntimeError:
            return False  # what it had started ends a moment after it, and until then no other one starts
        return True

    wait_for(started, "Prefect's Postgres to start again", every=0.5)
