"""Networks of any size, quickly made, with known answers: for tests and benchmarks."""

from itertools import pairwise

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation, Transformation
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.protocols.harmonic import HarmonicProtocol, HarmonicSettings, harmonic_system

_SOFTEST, _STIFFEST = 50.0, 500.0  # kJ/mol/nm^2


def generated_network(
    n_edges: int,
    *,
    name: str = "generated",
    settings: HarmonicSettings | None = None,
    with_nontransformation: bool = False,
) -> AlchemicalNetwork:
    """A network of harmonic wells, all different: a chain through all of them, and triangles along it.

    The same arguments give the same network, on one gufe line with the same keys.

    Parameters
    ----------
    n_edges
        Number of Transformations, at least 1. There are about two ChemicalSystems for three of them.
    name
        Name of the network and prefix of the names of its wells: two networks with other names share no ChemicalSystem.
    settings
        Of the HarmonicProtocol; its defaults if None.
    with_nontransformation
        Add a NonTransformation of the first well.

    Raises
    ------
    InvalidInput
        If ``n_edges`` is not above zero.
    """
    if n_edges < 1:
        raise InvalidInput(f"n_edges must be at least 1, not {n_edges}", field="n_edges")
    protocol = HarmonicProtocol(settings or HarmonicSettings())
    n_wells = 1 + (2 * n_edges + 2) // 3
    wells = [
        harmonic_system(
            _SOFTEST * (_STIFFEST / _SOFTEST) ** (index / (n_wells - 1)),
            name=f"{name} well {index:0{len(str(n_wells))}d}",
        )
        for index in range(n_wells)
    ]
    chain = list(pairwise(wells))
    triangles = list(zip(wells, wells[2:], strict=False))
    edges = [
        Transformation(stateA=a, stateB=b, protocol=protocol, name=f"{a.name} -> {b.name}")
        for a, b in [*chain, *triangles][:n_edges]
    ]
    if with_nontransformation:
        edges.append(NonTransformation(system=wells[0], protocol=protocol, name=f"{wells[0].name} at rest"))
    return AlchemicalNetwork(edges=edges, nodes=wells, name=name)
