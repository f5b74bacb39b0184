"""The demo network: noble gases and methane in liquid argon, with reference values.

::

                   neon ----> argon ----> xenon
                     ^        ^  |  \\       ^
                      \\      /   |   \\      |
                    liquid argon |    `-> krypton
                    (no solute)  |           ^
                                 `-> methane-'
"""

from math import hypot

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation, Transformation
from alchemiscale_prefect.protocols.noble_gas.calculation import calculation
from alchemiscale_prefect.protocols.noble_gas.liquid import expected_insertion
from alchemiscale_prefect.protocols.noble_gas.protocol import NobleGasProtocol
from alchemiscale_prefect.protocols.noble_gas.settings import NobleGasSettings
from alchemiscale_prefect.protocols.noble_gas.systems import noble_gas_system

NAME = "noble gases in liquid argon"

EDGES: tuple[tuple[str | None, str], ...] = (
    (None, "argon"),
    (None, "neon"),
    ("neon", "argon"),
    ("argon", "krypton"),
    ("krypton", "xenon"),
    ("argon", "xenon"),
    ("argon", "methane"),
    ("methane", "krypton"),
)
"""From which solute to which; None is no solute."""

AT_REST = "liquid argon"
"""Name of the NonTransformation."""

RELATIVE_TO_ARGON: dict[str, tuple[float, float]] = {
    "argon": (0.0, 0.0),
    "neon": (3.644, 0.034),
    "krypton": (-2.381, 0.015),
    "xenon": (-5.390, 0.025),
    "methane": (-1.599, 0.011),
}
"""Free energy and its standard error, in kJ/mol, of turning one argon atom of the liquid into another species.

From ``python -m benchmarks.noble_gas_reference``: five seeds each, 4,000 steps in each window.
"""

_EQUATION_OF_STATE_ERROR = 0.02
"""kJ/mol: the equation misses simulated internal energies and pressures at such densities by about 0.005 epsilon each,
and a box of 256 atoms differs from a large one by about as much."""


def demo_network(*, seed: int | None = None, steps: int = 2500, name: str = NAME) -> AlchemicalNetwork:
    """The network: eight Transformations that close three cycles, and liquid argon at rest.

    Parameters
    ----------
    seed
        None, so that repeats are independent; or a number, with which every run of a Transformation gives the same.
    steps
        Time steps of each window.
    name
        Of the network.
    """
    timestep = NobleGasSettings().timestep
    protocol = NobleGasProtocol(NobleGasSettings(seed=seed, production_length=steps * timestep))
    solutes = dict.fromkeys(solute for edge in EDGES for solute in edge)
    systems = {solute: noble_gas_system(solute) for solute in solutes}
    edges = [
        Transformation(
            stateA=systems[before], stateB=systems[after], protocol=protocol, name=transformation_name(before, after)
        )
        for before, after in EDGES
    ]
    at_rest = NonTransformation(system=systems[None], protocol=protocol, name=AT_REST)
    return AlchemicalNetwork(edges=[*edges, at_rest], nodes=list(systems.values()), name=name)


def transformation_name(before: str | None, after: str) -> str:
    """The name of a Transformation in the demo network: ``"argon -> krypton"``, ``"nothing -> argon"``."""
    return f"{before or 'nothing'} -> {after}"


def reference_values() -> dict[str, tuple[float, float]]:
    """Reference free energy and its standard error by the name of the Transformation, in kJ/mol.

    The insertion of argon is the residual chemical potential by the equation of state of Johnson, Zollweg and Gubbins;
    the others add :data:`RELATIVE_TO_ARGON`, from long runs of this Protocol, to it.
    """
    pure = noble_gas_system("argon")
    insertion = expected_insertion(calculation(NobleGasSettings(), pure, pure).liquid)
    references = {AT_REST: (0.0, 0.0)}
    for before, after in EDGES:
        value, error = RELATIVE_TO_ARGON[after]
        origin, origin_error = (-insertion, _EQUATION_OF_STATE_ERROR) if before is None else RELATIVE_TO_ARGON[before]
        references[transformation_name(before, after)] = (value - origin, hypot(error, origin_error))
    return references
