"""The Monte Carlo moves leave the Boltzmann distribution as it is."""

import numpy as np
import pytest

from alchemiscale_prefect.protocols.noble_gas.liquid import solute_energies, squared_pair_distances
from alchemiscale_prefect.protocols.noble_gas.moves import exchange, exchange_energies, relocate
from alchemiscale_prefect.protocols.noble_gas.potential import Interaction, energy
from alchemiscale_prefect.protocols.noble_gas.species import mix, species_named
from tests.unit.protocols.liquids import shaken_lattice, small_liquid

ARGON, XENON = species_named("argon"), species_named("xenon")
LIQUID = small_liquid()


@pytest.mark.parametrize("coupling", [0.1, 0.25])
def test_relocation_samples_the_boltzmann_distribution_of_the_solute(coupling: float):
    # a frozen solvent: the mean energy of the solute in it is an integral over the box
    positions = shaken_lattice(LIQUID, 101)
    interaction = Interaction(mix(ARGON, XENON), coupling)
    rng = np.random.default_rng(5)

    def at(places: np.ndarray) -> np.ndarray:
        moved = positions.copy()
        found = []
        for place in places:
            moved[-1] = place
            found.append(solute_energies(moved, LIQUID, [interaction])[0])
        return np.array(found)

    uniform = at(rng.random((6000, 3)) * LIQUID.edge)
    weights = np.exp(-uniform / LIQUID.kT)
    expected = float(uniform @ weights / weights.sum())
    variance = float((uniform - expected) ** 2 @ weights / weights.sum())
    error_of_expected = np.sqrt(np.sum((weights * (uniform - expected)) ** 2)) / weights.sum()

    sampled = []
    for _ in range(2000):
        moved = relocate(positions, LIQUID, interaction, 20, rng)
        positions = positions if moved is None else moved
        sampled.append(solute_energies(positions, LIQUID, [interaction])[0])
    # neighbours in the chain are correlated a little: count one in two
    error = np.hypot(np.sqrt(variance / 1000), error_of_expected)
    assert abs(np.mean(sampled) - expected) < 4 * error
    assert np.std(sampled) == pytest.approx(np.sqrt(variance), rel=0.2)


def test_relocation_moves_the_solute_alone():
    positions = shaken_lattice(LIQUID, 101)
    moved = relocate(positions, LIQUID, Interaction(mix(ARGON, XENON), 0.0), 50, np.random.default_rng(1))
    assert moved is not None
    assert np.array_equal(moved[:-1], positions[:-1])
    assert not np.array_equal(moved[-1], positions[-1])


@pytest.mark.parametrize("coupling", [0.3, 1.0])
def test_exchange_energies_are_those_of_the_exchanged_configurations(coupling: float):
    positions = shaken_lattice(LIQUID, 101)
    interaction = Interaction(mix(ARGON, XENON), coupling)

    def total(configuration: np.ndarray) -> float:
        r = np.sqrt(squared_pair_distances(configuration[:-1], LIQUID.edge))
        among_solvent = energy(r, LIQUID.solvent_interaction, LIQUID.cutoff).sum()
        return float(among_solvent + solute_energies(configuration, LIQUID, [interaction])[0])

    brute = []
    for chosen in range(101):
        exchanged = positions.copy()
        exchanged[[chosen, -1]] = exchanged[[-1, chosen]]
        brute.append(total(exchanged))
    found = exchange_energies(positions, LIQUID, interaction)
    assert found - found[-1] == pytest.approx(np.array(brute) - brute[-1], abs=1e-9)


def test_exchange_chooses_with_boltzmann_weights():
    positions = shaken_lattice(LIQUID, 101)
    interaction = Interaction(mix(ARGON, species_named("krypton")))
    rng = np.random.default_rng(2)
    reduced = exchange_energies(positions, LIQUID, interaction) / LIQUID.kT
    expected = np.exp(reduced.min() - reduced)
    expected /= expected.sum()
    counts = np.zeros(101)
    n = 1500
    for _ in range(n):
        moved = exchange(positions, LIQUID, interaction, rng)
        chosen = 100 if moved is None else int(np.flatnonzero((moved == positions[-1]).all(axis=1))[0])
        counts[chosen] += 1
    likely = expected > 0.02
    assert likely.any()
    assert counts[likely] / n == pytest.approx(expected[likely], abs=4 * np.sqrt(0.25 / n))
    assert np.abs(counts / n - expected).sum() < 0.3


def test_exchange_keeps_the_set_of_places():
    positions = shaken_lattice(LIQUID, 101)
    moved = exchange(positions, LIQUID, LIQUID.solvent_interaction, np.random.default_rng(1))
    assert moved is not None
    assert sorted(map(tuple, moved)) == sorted(map(tuple, positions))
