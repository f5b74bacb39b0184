"""OpenMM's platforms on this host: the fastest that works. Import it inside a unit only: it loads OpenMM.

As a program it prints the first of the platforms named that works, and fails if none does.
"""

import functools
import os
import sys
from collections.abc import Sequence

import openmm

FASTEST = "fastest"
DEFAULT = "OPENMM_DEFAULT_PLATFORM"
"""OpenMM's own variable; a flow run whose pool promises a GPU has it set."""


def choose(name: str) -> openmm.Platform:
    """The platform of this name.

    Parameters
    ----------
    name
        A platform's name; or ``fastest``: the one that ``OPENMM_DEFAULT_PLATFORM`` names, and without that the fastest
        that works here. One for GPUs may be installed where there is none.

    Raises
    ------
    ValueError
        There is no such platform here.
    """
    available = {platform.getName(): platform for platform in _by_speed()}
    if name == FASTEST:
        name = os.environ.get(DEFAULT) or first_that_works(list(available))
    try:
        return available[name]
    except KeyError:
        raise ValueError(f"OpenMM has no platform {name!r} here: choose one of {', '.join(available)}") from None


def first_that_works(names: Sequence[str]) -> str:
    """The first of these platforms with which something can be computed here.

    Raises
    ------
    ValueError
        None is; the message says what is wrong with each.
    """
    available = {platform.getName() for platform in _by_speed()}
    failures = []
    for name in names:
        failure = _failure(name) if name in available else "this OpenMM has it not"
        if failure is None:
            return name
        failures.append(f"{name}: {failure}")
    raise ValueError("; ".join(failures))


def _by_speed() -> list[openmm.Platform]:
    platforms = [openmm.Platform.getPlatform(index) for index in range(openmm.Platform.getNumPlatforms())]
    return sorted(platforms, key=lambda platform: platform.getSpeed(), reverse=True)


@functools.cache
def _failure(name: str) -> str | None:
    """Why nothing can be computed with a platform; ``None`` if something can."""
    system = openmm.System()
    system.addParticle(1.0)
    try:
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName(name))
        context.setPositions([[0.0, 0.0, 0.0]])
        context.getIntegrator().step(1)
    except openmm.OpenMMException as error:
        return str(error)
    return None


if __name__ == "__main__":
    try:
        print(first_that_works(sys.argv[1:]))  # noqa: T201
    except ValueError as trouble:
        sys.exit(str(trouble))
