"""The local profile: where a stack on this machine is, and the identity to use with it.

``alchemiscale-prefect up`` writes it and takes it away again; the client reads it where neither an argument nor the
environment says otherwise.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from alchemiscale_prefect.domain.errors import InvalidInput

PATH_VARIABLE = "ALCHEMISCALE_PROFILE"


@dataclass(frozen=True, slots=True)
class Profile:
    """An API, and an identity there with its key."""

    api_url: str
    identifier: str
    key: str = field(repr=False)


def profile_path() -> Path:
    """``$ALCHEMISCALE_PROFILE``, else ``profile.json`` in the user's configuration folder."""
    named = os.environ.get(PATH_VARIABLE)
    if named:
        return Path(named)
    import platformdirs

    return platformdirs.user_config_path("alchemiscale-prefect") / "profile.json"


def read_profile(path: Path | None = None) -> Profile | None:
    """The profile in `path` (default: `profile_path`); ``None`` if there is none.

    Raises
    ------
    InvalidInput
        The file is not a profile.
    """
    path = path or profile_path()
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        document = json.loads(text)
        values = {member.name: document[member.name] for member in fields(Profile)}
    except (ValueError, KeyError, TypeError) as error:
        raise _not_a_profile(path) from error
    if not all(isinstance(value, str) and value for value in values.values()):
        raise _not_a_profile(path)
    return Profile(**values)


def write_profile(profile: Profile, path: Path | None = None) -> Path:
    """Write a profile that only this user can read, at once or not at all.

    Parameters
    ----------
    path
        Default: `profile_path`. Its folder is made if it is not there.

    Returns
    -------
    Path
        Where it is.
    """
    path = path or profile_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # mkstemp's file is 0600 from the start
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(profile), file, indent=2)
            file.write("\n")
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def remove_profile(path: Path | None = None, *, only: Profile | None = None) -> bool:
    """Take a profile away.

    Parameters
    ----------
    path
        Default: `profile_path`.
    only
        Leave it if it is another one than this, for example that of a stack started since.

    Returns
    -------
    bool
        Whether there was one and it is gone.
    """
    path = path or profile_path()
    if only is not None and read_profile(path) != only:
        return False
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _not_a_profile(path: Path) -> InvalidInput:
    names = ", ".join(member.name for member in fields(Profile))
    return InvalidInput(
        f"{path} is not a profile: expected a JSON object with {names}; "
        "remove it, or write a new one with `alchemiscale-prefect up`",
        field=PATH_VARIABLE,
    )
