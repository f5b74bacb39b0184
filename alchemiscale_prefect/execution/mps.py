"""CUDA MPS, with which processes share a GPU at the same time rather than in turns: one daemon on the host."""

import hashlib
import logging
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from alchemiscale_prefect.execution.gpus import Found, Gpu, HostUnfit, lock, lock_folder
from alchemiscale_prefect.execution.processes import MARK
from alchemiscale_prefect.settings import ComputeSettings

log = logging.getLogger(__name__)

CONTROL = "nvidia-cuda-mps-control"
PIPES = "CUDA_MPS_PIPE_DIRECTORY"
LOGS = "CUDA_MPS_LOG_DIRECTORY"
PERCENTAGE = "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"

_SECONDS = 30.0  # for the daemon to start, or to answer
# more than a fair part each: what one leaves idle, another takes
_OVERSUBSCRIPTION = 200


def variables(found: Found, settings: ComputeSettings, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the environment of a flow run needs to use MPS; the daemon runs then. Empty where MPS is not to be used.

    Parameters
    ----------
    found
        All GPUs that flow runs may use here.

    Raises
    ------
    HostUnfit
        The settings want it, and it is not there.
    """
    runs = settings.runs_per_gpu or 1
    if settings.mps == "off" or not found.gpus or (settings.mps == "auto" and runs == 1):
        return {}
    try:
        given = {} if _is_given(found, environment) else _start(found.gpus, settings, environment)
    except HostUnfit as error:
        if settings.mps == "on":
            raise
        log.warning("flow runs take turns on the GPU: %s", error)
        return {}
    if PERCENTAGE not in environment and (settings.mps_thread_percentage or runs > 1):
        given[PERCENTAGE] = str(settings.mps_thread_percentage or min(100, max(1, _OVERSUBSCRIPTION // runs)))
    return given


def _is_given(found: Found, environment: Mapping[str, str]) -> bool:
    """Whether somebody else has a daemon for this process: where the environment says, or in the usual place."""
    if PIPES in environment:
        return True
    # under a scheduler that of the usual place may be another job's, with other GPUs
    return not found.assigned and shutil.which(CONTROL) is not None and _answers(environment)


def _start(gpus: Sequence[Gpu], settings: ComputeSettings, environment: Mapping[str, str]) -> dict[str, str]:
    """Start a daemon for these GPUs and this user, unless there is one."""
    if shutil.which(CONTROL) is None:
        raise HostUnfit(f"there is no {CONTROL}")
    # a daemon serves one user; and, if it was started within a batch job, the GPUs of that job
    names = hashlib.sha256(" ".join(gpu.uuid or gpu.device for gpu in gpus).encode()).hexdigest()[:8]
    folder = lock_folder(settings) / f"mps-{os.getuid()}-{names}"
    given = {PIPES: str(folder), LOGS: str(folder)}
    with ExitStack() as starting:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise HostUnfit(f"{folder} is another user's")
        if not lock(folder / "starting", starting, patience=2 * _SECONDS):
            raise HostUnfit(f"another flow run has been starting {CONTROL} for too long")
        if not _answers({**environment, **given}):
            _start_daemon({**environment, **given})
    return given


def _start_daemon(environment: Mapping[str, str]) -> None:
    # it outlives the flow run that starts it
    own = {name: value for name, value in environment.items() if name != MARK}
    try:
        done = subprocess.run(  # noqa: S603
            [CONTROL, "-d"],
            env=own,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HostUnfit(f"{CONTROL} does not start: {error}") from error
    if done.returncode:
        raise HostUnfit(f"{CONTROL} does not start: {(done.stdout + done.stderr).strip()[:500]}")


def _answers(environment: Mapping[str, str]) -> bool:
    """Whether there is a daemon."""
    try:
        done = subprocess.run(  # noqa: S603
            [CONTROL],
            env=dict(environment),
            input="get_server_list\n",
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
