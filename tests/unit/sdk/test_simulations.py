"""Simulated Strategies through the client: what is asked of the server, and that nothing else is."""

from typing import Any

import pytest

from alchemiscale_prefect import AlchemiscaleClient
from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.strategies import ConnectivityStrategy
from tests.unit.sdk.conftest import Answer, ScriptedServer
from tests.unit.strategies.networks import network

SCOPE = Scope("org", "campaign", "project")
NET = network("ab", "bc")
STRATEGY = ConnectivityStrategy(ConnectivityStrategy.default_settings())


def test_of_a_network_at_hand_nothing_is_asked(client: AlchemiscaleClient, server: ScriptedServer) -> None:
    ran = client.simulate_network_strategy(NET, STRATEGY, n_iterations=3, max_tasks_per_transformation=1)
    assert [done for done, _, _ in ran.table()] == [0, 2, 4, 6]
    again = client.simulate_network_strategy(NET, STRATEGY, 3, max_tasks_per_transformation=1, seed=1)
    assert again.summaries != ran.summaries
    assert server.sent() == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"strategy": "ConnectivityStrategy"}, "strategy"),
        ({"task_scaling": "cubic"}, "task_scaling"),
        ({"weighting": "none"}, "weighting"),
        ({"max_tasks_per_transformation": 0}, "max_tasks_per_transformation"),
        ({"noise": 0}, "noise"),
    ],
)
def test_what_cannot_be_is_refused(client: AlchemiscaleClient, given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        client.simulate_network_strategy(NET, **{"strategy": STRATEGY, **given})


def test_a_network_on_the_server_goes_on_from_its_results(client: AlchemiscaleClient, server: ScriptedServer) -> None:
    edges = {edge.name: ScopedKey.of(str(edge.key), SCOPE) for edge in NET.edges}
    a, b = (str(ScopedKey.of(str(node.key), SCOPE)) for node in sorted(NET.nodes, key=lambda node: node.name)[:2])
    states = {"name": None, "state_a": a, "state_b": b, "units": "kilojoule_per_mole"}
    lines = [
        {
            "transformation": str(edges["ab"]),
            "estimates": [1.0, 2.0, None],
            "uncertainties": [0.1, None, None],
            **states,
        },
        {"transformation": str(edges["bc"]), "estimates": [], "uncertainties": [], **states, "units": None},
    ]
    server.answers = [Answer(body=keyed_chains.to_json(NET)), Answer(body=lines)]
    ran = client.simulate_network_strategy(ScopedKey.of(str(NET.key), SCOPE), STRATEGY, n_iterations=1)
    by_edge = {name: ran.summaries[key.gufe_key] for name, key in edges.items()}
    assert (by_edge["ab"].n, by_edge["bc"].n) == (3, 3)  # three is enough; the other gets three
    assert by_edge["ab"].mean == 1.5


def test_results_that_fit_no_transformation_here_are_not_left_out_in_silence(
    client: AlchemiscaleClient, server: ScriptedServer
) -> None:
    stranger = str(ScopedKey.of("Transformation-00000000000000000000000000000000", SCOPE))
    line = {"transformation": stranger, "name": None, "state_a": stranger, "state_b": stranger, "estimates": [1.0]}
    found = [{**line, "uncertainties": [None], "units": None}]
    server.answers = [Answer(body=keyed_chains.to_json(NET)), Answer(body=found)]
    with pytest.raises(InvalidInput, match="Transformation-0000"):
        client.simulate_network_strategy(ScopedKey.of(str(NET.key), SCOPE), STRATEGY)
