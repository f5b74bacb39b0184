"""Ports for servers that tests start in processes of their own, which cannot say which port they took."""

import os
import secrets
import socket

# below those that Linux, macOS and IANA give to outgoing connections: none of ours is taken by one in between
_FIRST, _LAST = 15_000, 32_000
_given: set[int] = set()
# several processes of one test run choose ports at the same time, long before anything listens there: each has its own
_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on and that this process has not been given before."""
    for _ in range(1000):
        port = _FIRST + _PROCESS + _PROCESSES * secrets.randbelow((_LAST - _FIRST) // _PROCESSES)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise AssertionError("no free port was found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
