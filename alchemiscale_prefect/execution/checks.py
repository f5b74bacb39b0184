"""Whether flow runs can keep their files on this machine, and what GPUs they have."""

import os
import shutil
import tempfile
from collections.abc import Iterator

from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain.checks import Check
from alchemiscale_prefect.execution import devices, gpus
from alchemiscale_prefect.execution.gpus import HostUnfit
from alchemiscale_prefect.settings import ComputeSettings

GIB = 1024**3
SPACE = 5 * GIB


def check_folders(settings: ComputeSettings) -> Iterator[Check]:
    """Write to the folders of units, and look at the space in them."""
    for name, folder in (("shared folder", settings.shared_basedir), ("scratch folder", settings.scratch_basedir)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"check")
        except OSError as error:
            fix = "see that it is mounted, and that this user may write there"
            yield checks.failed(name, f"{folder}: {error.strerror}", fix)
            continue
        free = shutil.disk_usage(folder).free
        if free < SPACE:
            yield checks.warning(name, f"{folder}: {free / GIB:.1f} GiB free", "make room: trajectories are large")
        else:
            yield checks.ok(name, f"{folder}: {free / GIB:.0f} GiB free")


def check_gpus(settings: ComputeSettings) -> Check:
    """Look for GPUs, and compute on one if flow runs are promised one; no share is taken, nothing is started."""
    name = "GPU"
    try:
        found = gpus.find(settings.gpus)
        if settings.require_gpu:
            alone = settings.model_copy(update={"runs_per_gpu": None, "gpu_wait_seconds": 0.0, "mps": "off"})
            with devices.held(alone, dict(os.environ)):
                pass
    except HostUnfit as error:
        return checks.failed(name, str(error), "mend the driver, or take the host out of the pool; see nvidia-smi")
    if not found.gpus:
        return checks.skipped(name, f"none: {found.why_none}")
    shared = "" if settings.runs_per_gpu is None else f", for {settings.runs_per_gpu} flow runs each"
    return checks.ok(name, f"{len(found.gpus)}{shared}")
