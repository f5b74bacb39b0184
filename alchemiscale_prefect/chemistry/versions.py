"""Which gufe this process has: the one switch between the two lines that the package supports.

Reads the installed distribution's metadata, so it costs nothing and imports no gufe.
"""

from importlib.metadata import PackageNotFoundError, version


def _installed_version() -> str:
    try:
        return version("gufe")
    except PackageNotFoundError as error:
        raise ImportError(
            "gufe is not installed. Take gufe >= 1.12 from conda-forge (see environment.yml), or, on a laptop, "
            "`pip install 'alchemiscale-prefect[local]'`."
        ) from error


def line_of(gufe_version: str) -> str:
    """The major line of a gufe version: ``"1"`` for ``"1.12.0"``, ``"0"`` for ``"0.4"`` and ``"v0.4"``."""
    return gufe_version.removeprefix("v").split(".")[0]


GUFE_VERSION = _installed_version()
"""Version of the installed gufe, for example ``"1.12.0"``. Recorded with every object sent."""

GUFE_LINE = line_of(GUFE_VERSION)
"""Major line of the installed gufe, ``"0"`` or ``"1"``. Keys of different lines are not interchangeable."""
