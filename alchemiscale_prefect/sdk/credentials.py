"""Which API and which identity a client uses: arguments, then the environment, then, for users, the local profile."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.sdk.profile import Profile, read_profile


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    variable: str
    described: str
    secret: bool = False


_API_URL = _Parameter("api_url", "ALCHEMISCALE_URL", "API URL")
_USER = (
    _API_URL,
    _Parameter("identifier", "ALCHEMISCALE_ID", "identifier"),
    _Parameter("key", "ALCHEMISCALE_KEY", "API key", secret=True),
)
ADMIN_ID, ADMIN_KEY = "ALCHEMISCALE_ADMIN_ID", "ALCHEMISCALE_ADMIN_KEY"
_ADMIN = (
    _API_URL,
    _Parameter("identifier", ADMIN_ID, "identifier"),
    _Parameter("key", ADMIN_KEY, "API key", secret=True),
)


def find_credentials(api_url: str | None, identifier: str | None, key: str | None, *, stacklevel: int = 2) -> Profile:
    """The API and identity to use.

    An argument wins over the environment, with a warning if they differ. The local profile fills in what neither
    gives, as long as what they do give is the profile's too: a key is never sent to another server than its own.

    Raises
    ------
    InvalidInput
        Also a ValueError: a value is found nowhere, or the profile is not one.
    """
    found = _given_or_environment(_USER, (api_url, identifier, key), stacklevel + 1)
    if None in found.values():
        profile = read_profile()
        if profile is not None and all(value in (None, getattr(profile, name)) for name, value in found.items()):
            return profile
    return _complete(_USER, found, "for a stack on this machine, start `alchemiscale-prefect up`")


def find_admin_credentials(
    api_url: str | None, identifier: str | None, key: str | None, *, stacklevel: int = 2
) -> Profile:
    """The API and administrator to use: an argument, else the environment, with a warning if they differ.

    Raises
    ------
    InvalidInput
        Also a ValueError: a value is found nowhere.
    """
    found = _given_or_environment(_ADMIN, (api_url, identifier, key), stacklevel + 1)
    return _complete(_ADMIN, found, "the first administrator is made with `alchemiscale-prefect identity add`")


def _given_or_environment(
    parameters: Sequence[_Parameter], arguments: Sequence[str | None], stacklevel: int
) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for parameter, given in zip(parameters, arguments, strict=True):
        environment = os.environ.get(parameter.variable)
        if given is not None and environment is not None and given != environment:
            warnings.warn(_override(parameter, given, environment), UserWarning, stacklevel=stacklevel + 1)
        found[parameter.name] = environment if given is None else given
    return found


def _complete(parameters: Sequence[_Parameter], found: Mapping[str, str | None], advice: str) -> Profile:
    for parameter in parameters:
        if found[parameter.name] is None:
            raise InvalidInput(
                f"No {parameter.described} provided and {parameter.variable} environment variable not set; {advice}",
                field=parameter.name,
            )
    return Profile(**{name: value for name, value in found.items() if value is not None})


def _override(parameter: _Parameter, given: str, environment: str) -> str:
    its, ours = ("", "") if parameter.secret else (f" to '{environment}'", f" '{given}'")
    return (
        f"Environment variable {parameter.variable} is set{its}, but an explicit {parameter.described}{ours} is "
        f"provided. Using the explicit {parameter.described}."
    )
