"""Which API and which identity a client uses: arguments, then the environment, then the local profile."""

import os
import warnings
from dataclasses import dataclass

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.sdk.profile import Profile, read_profile


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    variable: str
    described: str
    secret: bool = False


_PARAMETERS = (
    _Parameter("api_url", "ALCHEMISCALE_URL", "API URL"),
    _Parameter("identifier", "ALCHEMISCALE_ID", "identifier"),
    _Parameter("key", "ALCHEMISCALE_KEY", "API key", secret=True),
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
    found: dict[str, str | None] = {}
    for parameter, given in zip(_PARAMETERS, (api_url, identifier, key), strict=True):
        environment = os.environ.get(parameter.variable)
        if given is not None and environment is not None and given != environment:
            warnings.warn(_override(parameter, given, environment), UserWarning, stacklevel=stacklevel + 1)
        found[parameter.name] = environment if given is None else given
    if None in found.values():
        profile = read_profile()
        if profile is not None and all(value in (None, getattr(profile, name)) for name, value in found.items()):
            return profile
    for parameter in _PARAMETERS:
        if found[parameter.name] is None:
            raise InvalidInput(
                f"No {parameter.described} provided and {parameter.variable} environment variable not set; "
                "for a stack on this machine, start `alchemiscale-prefect up`",
                field=parameter.name,
            )
    return Profile(**{name: value for name, value in found.items() if value is not None})


def _override(parameter: _Parameter, given: str, environment: str) -> str:
    its, ours = ("", "") if parameter.secret else (f" to '{environment}'", f" '{given}'")
    return (
        f"Environment variable {parameter.variable} is set{its}, but an explicit {parameter.described}{ours} is "
        f"provided. Using the explicit {parameter.described}."
    )
