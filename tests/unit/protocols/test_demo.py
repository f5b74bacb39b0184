"""The demo network and generated ones."""

import pytest

from alchemiscale_prefect.chemistry.base import NonTransformation, unit
from alchemiscale_prefect.domain.cycles import Edge, cycle_closures
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.protocols.demo import AT_REST, EDGES, RELATIVE_TO_ARGON, demo_network, reference_values
from alchemiscale_prefect.protocols.generated import generated_network
from alchemiscale_prefect.protocols.harmonic import HarmonicSettings


def test_demo_network_has_cycles_and_a_nontransformation():
    network = demo_network()
    names = [edge.name for edge in network.edges]
    assert len(set(names)) == len(names) == 9
    assert [edge.name for edge in network.edges if isinstance(edge, NonTransformation)] == [AT_REST]
    assert {system.name for system in network.nodes} == {
        "liquid argon",
        *(f"{solute} in argon" for solute in ("neon", "argon", "krypton", "xenon", "methane")),
    }
    edges = [Edge(edge.stateA.name, edge.stateB.name, 0.0, 1.0) for edge in network.edges if edge.name != AT_REST]
    assert len(cycle_closures(edges)) == 3


def test_demo_network_is_the_same_every_time():
    assert demo_network().key == demo_network().key
    assert demo_network(seed=1).key != demo_network().key


def test_steps_and_seed_go_into_the_settings():
    settings = next(iter(demo_network(seed=3, steps=500).edges)).protocol.settings
    assert settings.seed == 3
    assert settings.production_length.m_as(unit.picosecond) == pytest.approx(5.0)


def test_demo_transformations_can_be_created():
    for edge in demo_network().edges:
        assert edge.create().protocol_units


def test_every_transformation_has_a_reference_value():
    references = reference_values()
    assert set(references) == {edge.name for edge in demo_network().edges}
    assert all(0.0 < error < 0.1 for name, (_, error) in references.items() if name != AT_REST)
    assert references[AT_REST] == (0.0, 0.0)
    assert references["nothing -> argon"][0] == pytest.approx(-3.454, abs=5e-4)
    assert set(RELATIVE_TO_ARGON) == {"neon", "argon", "krypton", "xenon", "methane"}


def test_reference_values_close_all_cycles():
    references = reference_values()
    edges = [
        Edge(before or "nothing", after, *references[f"{before or 'nothing'} -> {after}"]) for before, after in EDGES
    ]
    assert all(abs(closure.value) < 1e-9 for closure in cycle_closures(edges))


@pytest.mark.parametrize("n_edges", [1, 2, 3, 4, 10, 200])
def test_generated_networks_have_the_edges_asked_for(n_edges: int):
    network = generated_network(n_edges)
    assert len(network.edges) == n_edges
    assert len({edge.name for edge in network.edges}) == n_edges
    assert len(network.nodes) == 1 + (2 * n_edges + 2) // 3
    assert len({node.name for node in network.nodes}) == len(network.nodes)
    used = {state for edge in network.edges for state in (edge.stateA, edge.stateB)}
    assert used == set(network.nodes)


def test_generated_networks_are_reproducible_and_share_nothing_under_other_names():
    assert generated_network(20).key == generated_network(20).key
    one, other = generated_network(20, name="one"), generated_network(20, name="other")
    assert not {node.key for node in one.nodes} & {node.key for node in other.nodes}


def test_generated_networks_take_settings_and_a_nontransformation():
    network = generated_network(5, settings=HarmonicSettings(seed=4), with_nontransformation=True)
    assert len(network.edges) == 6
    assert sum(isinstance(edge, NonTransformation) for edge in network.edges) == 1
    assert all(edge.protocol.settings.seed == 4 for edge in network.edges)


def test_a_network_without_edges_is_refused():
    with pytest.raises(InvalidInput, match="n_edges"):
        generated_network(0)
