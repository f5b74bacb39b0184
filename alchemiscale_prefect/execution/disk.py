"""Full disks: seen before a unit starts where that is possible, and told from the Protocol's own failures."""

import errno
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

MB = 1000**2

_CODES = (errno.ENOSPC, errno.EDQUOT)
# libraries that write files (HDF5, NetCDF) hand the system's words on in errors of their own
_WORDS = re.compile("|".join(rf"\[Errno {code}\]|{re.escape(os.strerror(code))}" for code in _CODES))


class DiskFull(Exception):
    """This host has no room for the Task's files; another one may have."""


def check_room(folders: Iterable[Path], min_free_mb: int) -> None:
    """See that there is some room before hours are spent.

    Raises
    ------
    DiskFull
        A folder, or the one that it will be made in, has less than `min_free_mb` MB.
    """
    for folder in folders:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        if free < min_free_mb * MB:
            raise DiskFull(
                f"{free / MB:.0f} MB are free in {folder}, fewer than ALCHEMISCALE_COMPUTE_MIN_FREE_MB={min_free_mb}"
            )


def tells_of_full_disk(traceback: str) -> bool:
    """Whether a traceback is of a full disk or an exhausted quota, or of what followed from one."""
    return _WORDS.search(traceback) is not None


def cause(error: BaseException) -> DiskFull | None:
    """The full disk that `error` comes from, if it does."""
    if isinstance(error, DiskFull):
        return error
    if isinstance(error, OSError) and error.errno in _CODES:
        return DiskFull(str(error))
    return None
