"""What the calls make of their arguments and of answers that need more than reading."""

from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest

from alchemiscale_prefect import AlchemiscaleClient, Scope
from tests.unit.sdk.conftest import Answer, ScriptedServer
from tests.unit.sdk.names import EDGE, NETWORK, SCOPE, SYSTEM, A, B, C, key

Call = Callable[[AlchemiscaleClient], Any]


def test_a_key_read_from_a_file_may_end_in_a_newline(client: AlchemiscaleClient, server: ScriptedServer) -> None:
    server.answers = [Answer(body=[])]
    client.get_network_transformations(f"{NETWORK}\n")
    assert server.received[0].path == f"/networks/{NETWORK}/transformations"


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda c: c.get_network("lol"), "network"),
        (lambda c: c.get_transformation("a-b-c"), "transformation"),
        (lambda c: c.get_network_status(None), "network"),
        (lambda c: c.create_tasks(EDGE, extends="Task-1-*-*-*"), "extends"),
        (lambda c: c.action_tasks([A, "x"], NETWORK), "tasks"),
        (lambda c: c.action_tasks(A, NETWORK), "tasks"),
        (lambda c: c.set_tasks_status(str(A), "waiting"), "tasks"),
    ],
)
def test_what_is_no_key_is_told_before_anything_is_sent(
    client: AlchemiscaleClient, server: ScriptedServer, call: Call, field: str
) -> None:
    with pytest.raises(ValueError, match=rf"`{field}`.*(is|got one)") as info:
        call(client)
    assert info.value.field == field  # type: ignore[attr-defined]
    assert not server.received


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.set_tasks_status([A], "done"), "'done' is not a valid TaskStatusEnum"),
        (lambda c: c.get_tasks_status([A], batch_size=0), "`batch_size` must be at least one"),
        (
            lambda c: c.get_transformation_tasks(EDGE, return_as="tree"),
            "`return_as` takes 'list' or 'graph', not 'tree'",
        ),
        (lambda c: c.get_transformation_results(EDGE, return_as="x"), "`return_as` takes one of 'ProtocolResult', "),
        (lambda c: c.get_network_results(NETWORK, return_as="x"), "`return_as` takes one of 'ProtocolResult', "),
    ],
)
def test_a_value_that_does_not_exist_is_told_before_anything_is_sent(
    client: AlchemiscaleClient, server: ScriptedServer, call: Call, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        call(client)
    assert not server.received


def test_many_tasks_go_in_batches_and_come_back_in_order(client: AlchemiscaleClient, server: ScriptedServer) -> None:
    class Echo(list[Answer]):
        """Answers with the Tasks it was asked for."""

        def pop(self, index: Any = None) -> Answer:
            asked = server.received[-1].document()["tasks"]
            return Answer(body=[task["gufe_key"] for task in asked])

        def __bool__(self) -> bool:
            return True

    many = [key(f"Task-{n:032x}") for n in range(95)]
    server.answers = Echo()
    assert client.get_tasks_status(many, batch_size=10) == [task.gufe_key for task in many]
    assert sorted(len(request.document()["tasks"]) for request in server.received) == [5, *[10] * 9]


def test_no_tasks_are_no_request(client: AlchemiscaleClient, server: ScriptedServer) -> None:
    assert client.get_tasks_status([]) == []
    assert client.set_tasks_priority([], 1) == []
    assert not server.received


def test_tasks_as_a_list(client: AlchemiscaleClient, server: ScriptedServer) -> None:
    server.answers = [Answer(body=[str(B)])]
    assert client.get_transformation_tasks(EDGE, extends=A, status="waiting") == [B]
    assert server.received[0].path == f"/transformations/{EDGE}/tasks?extends={A}&return_as=list&status=waiting"


def test_tasks_as_a_graph_from_each_task_to_the_one_it_extends(
    client: AlchemiscaleClient, server: ScriptedServer
) -> None:
    server.answers = [Answer(body={str(A): None, str(B): str(A), str(C): None})]
    graph = client.get_transformation_tasks(EDGE, return_as="graph")
    assert isinstance(graph, nx.DiGraph)
    assert set(graph.nodes) == {A, B, C}
    assert set(graph.edges) == {(B, A)}


@pytest.mark.parametrize("lost", [Answer(502), Answer(504), Answer(drop=True)])
def test_a_creation_is_sent_again_under_its_own_name(server: ScriptedServer, lost: Answer) -> None:
    client = AlchemiscaleClient(server.url, "me", "k", use_local_cache=False, retry_max_seconds=0.01)
    for create in (lambda: client.create_tasks(EDGE), lambda: client.create_transformations_tasks([EDGE])):
        server.answers = [lost, lost, Answer(body=[str(A)])]
        assert create() == [A]
    names = [request.headers["Idempotency-Key"] for request in server.received]
    # the same for the three times that one creation was sent, another for the other
    assert names == [names[0]] * 3 + [names[3]] * 3
    assert names[0] != names[3]
    client.close()


@pytest.mark.parametrize(
    ("call", "title"),
    [
        (lambda c: c.get_network_status(NETWORK), str(NETWORK)),
        (lambda c: c.get_transformation_status(EDGE), str(EDGE)),
        (lambda c: c.get_scope_status(), "*-*-*"),
    ],
)
def test_a_table_of_the_status(
    client: AlchemiscaleClient, server: ScriptedServer, capsys: pytest.CaptureFixture[str], call: Call, title: str
) -> None:
    server.answers = [Answer(body={"waiting": 1234, "error": 7})]
    assert call(client) == {"waiting": 1234, "error": 7}
    lines = [" ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()]
    assert title in lines[0]
    wanted = ["complete 0", "running 0", "waiting 1234", "error 7", "invalid 0", "deleted 0"]
    assert [line for line in lines if line in wanted] == wanted


def test_progress_and_estimates(client: AlchemiscaleClient, server: ScriptedServer) -> None:
    line = {
        "transformation": str(EDGE),
        "name": "a to b",
        "state_a": str(SYSTEM),
        "state_b": str(SYSTEM),
        "estimates": [-3.5, None],
        "uncertainties": [0.1, None],
        "units": "kilojoule_per_mole",
    }
    server.answers = [
        Answer(body={"status": {"running": 2}, "units_done": 3, "units_total": 8}),
        Answer(body=[line]),
    ]
    progress = client.get_network_progress(NETWORK)
    assert (progress.status, progress.units_done, progress.units_total) == ({"running": 2}, 3, 8)
    (estimate,) = client.get_network_estimates(NETWORK)
    assert estimate.model_dump(mode="json") == line
    assert (estimate.state_a, estimate.state_b) == (SYSTEM, SYSTEM)


def test_a_key_made_here_is_deprecated(client: AlchemiscaleClient) -> None:
    class Named:
        key = "ChemicalSystem-3c"

    with pytest.warns(DeprecationWarning, match="`get_scoped_key` is deprecated"):
        assert client.get_scoped_key(Named(), SCOPE) == SYSTEM
    with (
        pytest.warns(DeprecationWarning, match="`get_scoped_key`"),
        pytest.raises(ValueError, match="Scope for a ScopedKey must be specific; it cannot contain wildcards."),  # noqa: RUF043
    ):
        client.get_scoped_key(Named(), Scope("my_org"))
