"""What a unit has started does not outlive a run that is stopped."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from alchemiscale_prefect.execution import processes
from alchemiscale_prefect.execution.processes import MARK, end_orphans, mark
from tests.waiting import wait_for

# as a unit: a child with a child, and one that has left its parent and its session
_RUN = """
    import os, pathlib, subprocess, sys, threading, time
    import psutil
    from alchemiscale_prefect.execution import lease, processes

    folder = pathlib.Path(sys.argv[1])
    processes.mark()
    (folder / "mark").write_text(os.environ[processes.MARK])
    started = "(sleep 600 & echo $! >> pids; setsid sleep 600 & echo $! >> pids) & echo $$ >> pids; wait; sleep 600"
    unit = threading.Thread(target=subprocess.run, args=(["sh", "-c", started],), kwargs={"cwd": folder})
    unit.start()
    while len((folder / "pids").read_text().split() if (folder / "pids").exists() else ()) < 3:
        pass
    (folder / "started").touch()

    def look():
        return [psutil.Process(int(pid)).status() for pid in (folder / "pids").read_text().split()]

    def tell():
        # one that slept when it was stopped has to be woken for it
        end = time.monotonic() + 30
        while set(states := look()) != {psutil.STATUS_STOPPED} and time.monotonic() < end:
            time.sleep(0.01)
        (folder / "states").write_text(" ".join(states))
        assert unit.is_alive()
"""


def _end(folder: Path, how: str) -> subprocess.CompletedProcess[bytes]:
    script = textwrap.dedent(_RUN) + how
    return subprocess.run([sys.executable, "-c", script, str(folder)], timeout=60, check=False)


def _alive(folder: Path) -> Sequence[int]:
    mark = (folder / "mark").read_text()
    assert mark
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    return [pid for pid in pids if psutil.pid_exists(pid) and _is_of(pid, mark)]


def _is_of(pid: int, mark: str) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("processes.end(7, tell)", 7),
        ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); lease.end_process(0.0)", 143),
    ],
    ids=["told to stop", "the lease is lost"],
)
def test_nothing_that_a_unit_started_lives_on(tmp_path: Path, how: str, code: int) -> None:
    assert MARK not in os.environ
    assert _end(tmp_path, how).returncode == code
    wait_for(lambda: not _alive(tmp_path), "the end of what the unit started")
    assert len((tmp_path / "pids").read_text().split()) == 3


def test_nothing_computes_while_the_attempt_is_given_back(tmp_path: Path) -> None:
    _end(tmp_path, "processes.end(0, tell)")
    assert set((tmp_path / "states").read_text().split()) == {psutil.STATUS_STOPPED}


def test_a_process_ends_also_when_nobody_reads_what_it_prints() -> None:
    """A worker that was killed: what it had started writes into a pipe without an end."""
    script = """if True:
        import sys
        from alchemiscale_prefect.execution import processes
        sys.stdin.read()
        sys.stdout = open(1, "w", buffering=1000, closefd=False)
        sys.stdout.write("not read by anybody")
        processes.end(7)
    """
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.close()
        process.stdin.close()
        assert process.wait(timeout=60) == 7


def test_a_process_lives_on_when_nobody_reads_what_it_prints() -> None:
    script = """if True:
        import logging, os, sys, time
        from alchemiscale_prefect.execution import processes
        from prefect.logging.configuration import setup_logging
        setup_logging()
        processes.outlive_reader()
        sys.stdin.read()
        null = os.stat(os.devnull)
        while not all(os.path.samestat(os.fstat(descriptor), null) for descriptor in (1, 2)):
            time.sleep(0.01)
        for _ in range(3):
            print("not read", flush=True)
            logging.getLogger("prefect.flow_runs").error("by anybody")
        os._exit(7)
    """
    command = [sys.executable, "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        for end in (process.stdout, process.stderr, process.stdin):
            assert end is not None
            end.close()
        assert process.wait(timeout=60) == 7


def test_what_a_killed_run_has_left_is_ended_by_the_next(tmp_path: Path) -> None:
    for name in ("killed", "alive"):
        (tmp_path / name).mkdir()
    assert _end(tmp_path / "killed", "os.kill(os.getpid(), 9)").returncode == -9
    alive = subprocess.Popen([sys.executable, "-c", textwrap.dedent(_RUN) + "unit.join()", str(tmp_path / "alive")])
    try:
        wait_for(lambda: (tmp_path / "alive" / "started").exists(), "the other run's unit")
        end_orphans()  # if a flow run of another test has not been here before
        wait_for(lambda: not _alive(tmp_path / "killed"), "the end of what the killed run has left")
        assert len(_alive(tmp_path / "alive")) == 3
    finally:
        alive.kill()
        alive.wait()
        end_orphans()


def test_processes_of_another_container_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their ids mean nothing here."""
    monkeypatch.setenv(MARK, "")
    mark()
    namespace, pid, created, rest = os.environ[MARK].split("/")
    assert not processes._is_orphaned(os.environ[MARK]), "it is this process"
    assert processes._is_orphaned(f"{namespace}/{pid}/{int(created) - 86400}/{rest}"), "its id is used again"
    assert not processes._is_orphaned(f"another/{pid}/{int(created) - 86400}/{rest}")
    assert not processes._is_orphaned("anything")
