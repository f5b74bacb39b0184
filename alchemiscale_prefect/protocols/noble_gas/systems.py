"""ChemicalSystems of the Protocol: how they are made, and how they are read."""

import warnings
from dataclasses import dataclass

from alchemiscale_prefect.chemistry.base import (
    ChemicalSystem,
    Component,
    SmallMoleculeComponent,
    SolventComponent,
    unit,
)
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.protocols.noble_gas.species import SPECIES, Species, species_named

SOLVENT_LABEL = "solvent"
SOLUTE_LABEL = "solute"

_CH_BOND = 0.1087 / 3**0.5 * 10.0  # component of a C-H bond along each axis, in Angstrom
_HYDROGENS = ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))


@dataclass(frozen=True)
class Solution:
    """A solvent, and one solute or none."""

    solvent: Species
    solute: Species | None


def solute_component(name: str) -> SmallMoleculeComponent:
    """The component of a species by its English name: an atom, or methane with its hydrogens."""
    species = species_named(name)
    with warnings.catch_warnings():
        # gufe 1.x warns of any molecule without hydrogens, for they are often forgotten
        warnings.filterwarnings("ignore", message=".*doesn't have any hydrogen atoms present")
        return SmallMoleculeComponent.from_sdf_string(_sdf(species))


def noble_gas_system(solute: str | None, solvent: str = "argon") -> ChemicalSystem:
    """A state for the Protocol: a solute in a solvent, or with None the solvent alone.

    Parameters
    ----------
    solute, solvent
        neon, argon, krypton, xenon or methane.
    """
    # no ions, said explicitly: the default concentration differs between gufe versions
    components: dict[str, Component] = {
        SOLVENT_LABEL: SolventComponent(
            smiles=species_named(solvent).smiles, neutralize=False, ion_concentration=0.0 * unit.molar
        )
    }
    if solute is None:
        return ChemicalSystem(components, name=f"liquid {solvent}")
    components[SOLUTE_LABEL] = solute_component(solute)
    return ChemicalSystem(components, name=f"{solute} in {solvent}")


def read_solution(system: ChemicalSystem, field: str) -> Solution:
    """The species in a state.

    The solvent is the SolventComponent, or whatever is labelled ``"solvent"``; the solute is the other component.

    Parameters
    ----------
    system
        The state.
    field
        Its name in error messages.

    Raises
    ------
    InvalidInput
        If there is not one solvent and at most one solute, or a species is not known.
    """
    solvents: dict[str, Component] = {}
    solutes: dict[str, Component] = {}
    for label, component in system.components.items():
        is_solvent = label == SOLVENT_LABEL or isinstance(component, SolventComponent)
        (solvents if is_solvent else solutes)[label] = component
    if len(solvents) != 1:
        raise InvalidInput(
            f"{field} must hold one solvent, a SolventComponent or a component labelled 'solvent', "
            f"not {', '.join(solvents) or 'none'}",
            field=field,
        )
    if len(solutes) > 1:
        raise InvalidInput(
            f"{field} must hold one solute at most, not {len(solutes)}: {', '.join(sorted(solutes))}", field=field
        )
    solvent = [_species(component, label, field) for label, component in solvents.items()]
    solute = [_species(component, label, field) for label, component in solutes.items()]
    return Solution(solvent[0], solute[0] if solute else None)


def _species(component: Component, label: str, field: str) -> Species:
    smiles = str(getattr(component, "smiles", ""))
    if not isinstance(component, SmallMoleculeComponent | SolventComponent) or smiles not in SPECIES:
        known = ", ".join(f"{species.name} ({smiles})" for smiles, species in SPECIES.items())
        raise InvalidInput(
            f"{field}: {label!r} is {type(component).__name__} {smiles}, not a known species; known are {known}",
            field=field,
        )
    if isinstance(component, SolventComponent) and component.ion_concentration.m != 0.0:
        raise InvalidInput(
            f"{field}: {label!r} holds ions, which have no parameters here; set ion_concentration=0 * unit.molar",
            field=field,
        )
    return SPECIES[smiles]


def _sdf(species: Species) -> str:
    if species.smiles == "C":
        bonds = [tuple(sign * _CH_BOND for sign in signs) for signs in _HYDROGENS]
        atoms = [("C", (0.0, 0.0, 0.0)), *(("H", position) for position in bonds)]
    else:
        atoms = [(species.smiles.strip("[]"), (0.0, 0.0, 0.0))]
    lines = [
        species.name,
        "  alchemsc          3D",  # columns as the format has them: program, date, dimension
        "",
        f"{len(atoms):3d}{len(atoms) - 1:3d}  0  0  0  0  0  0  0  0999 V2000",
    ]
    lines += [
        f"{x:10.4f}{y:10.4f}{z:10.4f} {symbol:<3} 0  0  0  0  0  0  0  0  0  0  0  0" for symbol, (x, y, z) in atoms
    ]
    lines += [f"  1{hydrogen:3d}  1  0" for hydrogen in range(2, len(atoms) + 1)]
    return "\n".join([*lines, "M  END", "$$$$", ""])
