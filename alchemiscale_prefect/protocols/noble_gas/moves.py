"""Monte Carlo moves of the solute between stretches of molecular dynamics.

Both choose among several configurations, the present one included, with their Boltzmann weights (heat bath), so that
each leaves the canonical distribution as it is. They spare the slow diffusion of the solute: samples that are 0.05 ps
apart are then nearly independent, where dynamics alone needs a picosecond or several.
"""

import numpy as np

from alchemiscale_prefect.protocols.noble_gas.liquid import (
    Liquid,
    pairs,
    squared_distances,
    squared_pair_distances,
)
from alchemiscale_prefect.protocols.noble_gas.potential import FloatArray, Interaction, energy, full_energy


def relocate(
    positions: FloatArray, liquid: Liquid, interaction: Interaction, trials: int, rng: np.random.Generator
) -> FloatArray | None:
    """Choose a place for the solute among its own and ``trials`` random ones. It serves a weakly coupled solute.

    As the trial places are uniform in the box, choosing with Boltzmann weights satisfies detailed balance
    (H. Tjelmeland, "Using all Metropolis-Hastings proposals to estimate mean values", 2004).

    Parameters
    ----------
    positions
        Shape (n, 3), the solute last, nm.
    liquid
        The box.
    interaction
        Between the solute and the solvent.
    trials
        Number of random places.
    rng
        Random numbers.

    Returns
    -------
    numpy.ndarray or None
        The new positions; None if the solute stays.
    """
    places = np.vstack([positions[-1:], rng.random((trials, 3)) * liquid.edge])
    chosen = _heat_bath(_energies_at(places, positions[:-1], liquid, interaction) / liquid.kT, rng)
    if chosen == 0:
        return None
    moved = positions.copy()
    moved[-1] = places[chosen]
    return moved


def exchange(
    positions: FloatArray, liquid: Liquid, interaction: Interaction, rng: np.random.Generator
) -> FloatArray | None:
    """Choose which of all particles is the solute. It serves a solute that is much like the solvent.

    Parameters and returns as in :func:`relocate`.
    """
    last = len(positions) - 1
    chosen = _heat_bath(exchange_energies(positions, liquid, interaction) / liquid.kT, rng)
    if chosen == last:
        return None
    moved = positions.copy()
    moved[[chosen, last]] = moved[[last, chosen]]
    return moved


def exchange_energies(positions: FloatArray, liquid: Liquid, interaction: Interaction) -> FloatArray:
    """Energy with each particle in turn as the solute, up to a common constant: kJ/mol, shape (n,)."""
    n = len(positions)
    first, second = pairs(n)
    squared = squared_pair_distances(positions, liquid.edge)
    near = np.flatnonzero(squared < liquid.cutoff.distance**2)
    r = np.sqrt(squared[near])
    change = full_energy(r, interaction) - full_energy(r, liquid.solvent_interaction)
    change *= liquid.cutoff.weight(r)
    return np.asarray(
        np.bincount(first[near], weights=change, minlength=n) + np.bincount(second[near], weights=change, minlength=n)
    )


def _energies_at(places: FloatArray, solvent: FloatArray, liquid: Liquid, interaction: Interaction) -> FloatArray:
    """Energy of a solute at each of the places, shape (len(places),), kJ/mol."""
    squared = squared_distances(places[:, None, :], solvent[None, :, :], liquid.edge)
    place, neighbour = np.nonzero(squared < liquid.cutoff.distance**2)
    each = energy(np.sqrt(squared[place, neighbour]), interaction, liquid.cutoff)
    return np.bincount(place, weights=each, minlength=len(places)).astype(np.float64)


def _heat_bath(reduced_energies: FloatArray, rng: np.random.Generator) -> int:
    weights = np.exp(reduced_energies.min() - reduced_energies)
    return int(rng.choice(len(weights), p=weights / weights.sum()))
