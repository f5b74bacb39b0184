"""Sampling of a calculation: equilibrate, run a window. Import it inside a unit only: it loads OpenMM."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from alchemiscale_prefect.protocols.estimators import decorrelate
from alchemiscale_prefect.protocols.noble_gas.calculation import Calculation
from alchemiscale_prefect.protocols.noble_gas.liquid import energy_and_pressure, lattice_positions, solute_energies
from alchemiscale_prefect.protocols.noble_gas.moves import exchange, relocate
from alchemiscale_prefect.protocols.noble_gas.potential import FloatArray, Interaction
from alchemiscale_prefect.protocols.noble_gas.simulation import Simulation
from alchemiscale_prefect.protocols.repeats import openmm_seed

_EXCHANGE_FROM = 0.5  # below this coupling the solute is no more like the solvent than a hole is
_OVERLAPPING = 1e6  # kT; so high an energy weighs nothing, and fits in single precision


def equilibrated_positions(calculation: Calculation, rng: np.random.Generator) -> FloatArray:
    """Melt the lattice at the end of the path where the solute takes most room: shape (n, 3), nm."""
    start = lattice_positions(calculation.liquid, calculation.n_particles, rng)
    simulation = Simulation(
        calculation.liquid, calculation.roomiest, start, calculation.dynamics, seed=openmm_seed(rng)
    )
    simulation.minimise()
    simulation.run(calculation.lengths.equilibration)
    return simulation.positions


def sample_window(
    calculation: Calculation,
    window: int,
    start: FloatArray,
    rng: np.random.Generator,
    *,
    equilibrate: bool,
    tell: Callable[[float], None] = lambda _: None,
) -> tuple[NDArray[np.float32], FloatArray]:
    """Sample one window of the path.

    Parameters
    ----------
    calculation
        What is calculated.
    window
        Index of the window.
    start
        Where to start, shape (n, 3), nm.
    rng
        Random numbers.
    equilibrate
        Whether to let the window settle first, as it must where ``start`` comes from another one.
    tell
        Told before each sample how much is done, from 0 to 1.

    Returns
    -------
    tuple
        Reduced energies of uncorrelated samples in all windows, shape (K, m), without tail; the last positions.
    """
    interaction = calculation.path[window]
    simulation = Simulation(calculation.liquid, interaction, start, calculation.dynamics, seed=openmm_seed(rng))
    lengths = calculation.lengths
    if equilibrate:
        simulation.run(lengths.window_equilibration)
    energies = []
    for sample in range(lengths.n_samples):
        tell(sample / lengths.n_samples)
        simulation.run(lengths.between_samples)
        positions = _moved(simulation, calculation, interaction, rng)
        energies.append(solute_energies(positions, calculation.liquid, calculation.path))
    reduced = np.minimum(np.array(energies).T / calculation.liquid.kT, _OVERLAPPING)
    return decorrelate(reduced, window).astype(np.float32), simulation.positions


def sample_equilibrium(
    calculation: Calculation,
    start: FloatArray,
    rng: np.random.Generator,
    *,
    equilibrate: bool,
    tell: Callable[[float], None] = lambda _: None,
) -> tuple[FloatArray, FloatArray]:
    """Sample a state that does not change; `tell` as in `sample_window`.

    Returns
    -------
    tuple
        Potential energy per particle (kJ/mol) and pressure (bar) of each sample, shape (2, n); the last positions.
    """
    liquid, lengths = calculation.liquid, calculation.lengths
    interaction = calculation.path[0] if calculation.path else None
    simulation = Simulation(liquid, interaction, start, calculation.dynamics, seed=openmm_seed(rng))
    if equilibrate:
        simulation.run(lengths.window_equilibration)
    observed = []
    for sample in range(lengths.n_samples):
        tell(sample / lengths.n_samples)
        simulation.run(lengths.between_samples)
        observed.append(energy_and_pressure(simulation.positions, liquid, interaction))
    return np.array(observed).T, simulation.positions


def _moved(
    simulation: Simulation, calculation: Calculation, interaction: Interaction, rng: np.random.Generator
) -> FloatArray:
    """Make the Monte Carlo moves that help at this coupling; the positions after them."""
    positions = simulation.positions
    moved = None
    if interaction.coupling < 1.0 and calculation.relocation_trials:
        moved = relocate(positions, calculation.liquid, interaction, calculation.relocation_trials, rng)
    if interaction.coupling >= _EXCHANGE_FROM:
        exchanged = exchange(positions if moved is None else moved, calculation.liquid, interaction, rng)
        moved = moved if exchanged is None else exchanged
    if moved is None:
        return positions
    simulation.place(moved)
    return moved
