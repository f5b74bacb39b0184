"""The GPUs of a host, shared among the flow runs on it: each gets its own, by locks that end with their process."""

import errno
import fcntl
import logging
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from alchemiscale_prefect.settings import ComputeSettings

log = logging.getLogger(__name__)

NONE = "none"
VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"

_QUERY = ("nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader")
_QUERY_SECONDS = 60.0  # without a persistent driver each GPU takes seconds
_NONE = ("", "-1", "none", "NoDevFiles", "void")
_MOST_RUNS = 64  # on a GPU for which no number is set
_LOOK_EVERY = 0.5
_CHOOSING_SECONDS = 10.0
_AGAIN_SECONDS = 0.01


class HostUnfit(Exception):
    """This host has not what flow runs of its pool are to have; another one may."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of this host.

    Attributes
    ----------
    device
        As ``CUDA_VISIBLE_DEVICES`` names it.
    uuid
        Names its locks; ``None`` where it is not known which one it is.
    """

    device: str
    uuid: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """The GPUs that this process may use.

    Attributes
    ----------
    assigned
        Whether the scheduler chose them, by ``CUDA_VISIBLE_DEVICES``.
    why_none
        Why there are none.
    """

    gpus: tuple[Gpu, ...] = ()
    assigned: bool = False
    why_none: str = ""


def find(wanted: str, environment: Mapping[str, str] = os.environ) -> Found:
    """The GPUs that this process may use.

    Parameters
    ----------
    wanted
        ``auto``: those that the scheduler has given, else all of the host. ``none``. Or the indices or UUIDs of those
        that flow runs may use, where no scheduler gives any.
    """
    if wanted == NONE:
        return Found(why_none="ALCHEMISCALE_COMPUTE_GPUS=none")
    visible = environment.get(VISIBLE)
    if visible is not None and visible.strip() in _NONE:
        return Found(assigned=True, why_none=f"{VISIBLE}={visible}")
    there, trouble = _listed()
    if visible is not None:
        return Found(tuple(Gpu(device, _uuid(device, there)) for device in _items(visible)), assigned=True)
    if wanted == "auto":
        return Found(there, why_none=trouble or "nvidia-smi lists none")
    return _chosen(wanted, there, trouble)


def _chosen(wanted: str, there: Sequence[Gpu], trouble: str) -> Found:
    by_name = {name: gpu for gpu in there for name in (gpu.device, gpu.uuid)}
    names = _items(wanted)
    if missing := [name for name in names if name not in by_name]:
        known = ", ".join(gpu.device for gpu in there) or trouble or "none"
        raise HostUnfit(f"ALCHEMISCALE_COMPUTE_GPUS names {', '.join(missing)}, and there are: {known}")
    return Found(tuple(by_name[name] for name in names))


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _uuid(device: str, there: Sequence[Gpu]) -> str | None:
    if not device.isdecimal():
        return device  # of a GPU or, with MIG, of a part of one
    return next((gpu.uuid for gpu in there if gpu.device == device), None)


def _listed() -> tuple[tuple[Gpu, ...], str]:
    """What nvidia-smi lists, and what is wrong if it does not."""
    if shutil.which(_QUERY[0]) is None:
        return (), "there is no nvidia-smi"
    try:
        done = subprocess.run(_QUERY, capture_output=True, text=True, timeout=_QUERY_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        return (), f"nvidia-smi: {error}"
    if done.returncode:
        return (), f"nvidia-smi: {(done.stdout + done.stderr).strip()[:500]}"
    rows = (line.split(",") for line in done.stdout.splitlines() if line.count(",") == 1)
    return tuple(Gpu(index.strip(), uuid.strip()) for index, uuid in rows), ""


# --- sharing ---------------------------------------------------------------------------------------------------------


@contextmanager
def held(found: Found, settings: ComputeSettings) -> Iterator[tuple[Gpu, ...]]:
    """Have GPUs of this process's own while the block runs: those that the fewest others use.

    Raises
    ------
    HostUnfit
        All are taken, and stay so for ``gpu_wait_seconds``.
    """
    if any(gpu.uuid is None for gpu in found.gpus):
        log.warning("nvidia-smi does not tell which GPUs these are; they are not shared out")
        yield found.gpus
        return
    count = min(settings.gpus_per_run, len(found.gpus))
    folder = lock_folder(settings) if count else None
    with ExitStack() as locks:
        deadline = time.monotonic() + settings.gpu_wait_seconds
        taken: tuple[Gpu, ...] = ()
        while folder is not None and len(taken := _take(found.gpus, count, settings, folder, locks)) < count:
            if time.monotonic() >= deadline:
                raise HostUnfit(
                    f"all GPUs are taken, by ALCHEMISCALE_COMPUTE_RUNS_PER_GPU={settings.runs_per_gpu}: more flow runs "
                    "are started here than they are for"
                )
            time.sleep(_LOOK_EVERY)
        yield taken


def lock_folder(settings: ComputeSettings) -> Path:
    """The folder of the locks, made; the same for all that run on the host, whoever they are.

    Raises
    ------
    HostUnfit
        It is something else, or cannot be made.
    """
    folder = settings.gpu_lock_dir or Path(tempfile.gettempdir()) / "alchemiscale-gpus"
    try:
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            folder.chmod(0o1777)
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except OSError as error:
        raise HostUnfit(f"no folder for the locks of GPUs, {folder}: {error.strerror}") from error
    return folder


def _take(
    gpus: Sequence[Gpu], count: int, settings: ComputeSettings, folder: Path, locks: ExitStack
) -> tuple[Gpu, ...]:
    """Lock `count` GPUs, or none."""
    taken: list[Gpu] = []
    with ExitStack() as choosing, ExitStack() as kept:
        if not lock(folder / "choosing", choosing, patience=_CHOOSING_SECONDS):
            return ()
        for place in range(settings.runs_per_gpu or _MOST_RUNS):
            for gpu in gpus:
                if len(taken) < count and gpu not in taken and lock(folder / f"{gpu.uuid}.{place}", kept):
                    taken.append(gpu)
        if len(taken) < count:
            return ()
        locks.enter_context(kept.pop_all())
    return tuple(taken)


def lock(path: Path, stack: ExitStack, patience: float = 0.0) -> bool:
    """Hold a lock until the stack is left or the process ends; False if others have held it for `patience` seconds."""
    descriptor = _open(path)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return False
            time.sleep(_AGAIN_SECONDS)
        else:
            stack.callback(os.close, descriptor)
            return True


def _open(path: Path) -> int:
    try:
        try:
            # Linux does not let others' files be opened with O_CREAT in a folder that is everybody's
            return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            with suppress(PermissionError):  # another user has made it meanwhile
                os.fchmod(descriptor, 0o666)
            return descriptor
    except OSError as error:
        raise HostUnfit(f"the lock of a GPU, {path}: {error.strerror}") from error
