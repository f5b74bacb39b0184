"""Whether flow runs can keep their files on this machine."""

import shutil
import tempfile
from collections.abc import Iterator

from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain.checks import Check
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
