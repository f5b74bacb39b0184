"""What a flow run has of its host's GPUs: its own, known to work where the pool promises one."""

import importlib.util
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

from alchemiscale_prefect.execution import gpus, mps
from alchemiscale_prefect.execution.gpus import Found, HostUnfit
from alchemiscale_prefect.settings import ComputeSettings

log = logging.getLogger(__name__)

OPENMM_PLATFORM = "OPENMM_DEFAULT_PLATFORM"
_PROBE = "alchemiscale_prefect.protocols.platforms"
_PROBE_SECONDS = 300.0  # a first start from a network file system takes its time


@contextmanager
def held(settings: ComputeSettings, environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Have GPUs for this process while the block runs, and the environment say which.

    To be entered before anything of CUDA is loaded: that reads the environment once.

    Raises
    ------
    HostUnfit
        There is none though the pool promises one; or all are taken.
    """
    found = gpus.find(settings.gpus, environment)
    with gpus.held(found, settings) as own:
        changes = mps.variables(found, settings, environment)
        if own and not found.assigned:
            # the order in which nvidia-smi counts
            changes[gpus.ORDER] = "PCI_BUS_ID"
        if own:
            changes[gpus.VISIBLE] = ",".join(gpu.device for gpu in own)
            log.info("GPU %s", changes[gpus.VISIBLE])
        elif settings.gpus == gpus.NONE and not found.assigned:
            changes[gpus.VISIBLE] = ""
        with _changed(environment, changes):
            if settings.require_gpu:
                _require(found, environment)
            yield


@contextmanager
def _changed(environment: MutableMapping[str, str], changes: MutableMapping[str, str]) -> Iterator[None]:
    before = {name: environment.get(name) for name in (*changes, OPENMM_PLATFORM)}
    environment.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value


def _require(found: Found, environment: MutableMapping[str, str]) -> None:
    """See that a GPU works, and have OpenMM compute on it whatever happens: not for days on CPUs instead."""
    if importlib.util.find_spec("openmm") is not None:
        environment.setdefault(OPENMM_PLATFORM, _working_platform(found, environment))
    elif not found.gpus:
        raise HostUnfit(f"no GPU: {found.why_none}")


def _working_platform(found: Found, environment: MutableMapping[str, str]) -> str:
    """The OpenMM platform of a GPU that works, tried in another process: a driver that is broken may end it."""
    # OpenCL may be of CPUs too
    names = ("CUDA", "HIP", "OpenCL") if found.gpus else ("CUDA", "HIP")
    command = [sys.executable, "-m", _PROBE, *names]
    try:
        done = subprocess.run(  # noqa: S603
            command, env=dict(environment), capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HostUnfit(f"no GPU that works: {error}") from error
    if done.returncode:
        what = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise HostUnfit(f"no GPU that works: {what[:1000]}" + ("" if found.gpus else f"; {found.why_none}"))
    return done.stdout.strip()
