"""What each call sends, and what it makes of the answer."""

from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, NetworkStateEnum, Scope, ScopedKey
from alchemiscale_prefect.domain.tasks import TaskStatus
from tests.unit.sdk.conftest import Answer, ScriptedServer

SCOPE = Scope("my_org", "my_campaign", "my_project")


def key(name: str) -> ScopedKey:
    return ScopedKey.of(name, SCOPE)


NETWORK, EDGE, SYSTEM = key("AlchemicalNetwork-1a"), key("Transformation-2b"), key("ChemicalSystem-3c")
TASKS = [key(f"Task-{n:032x}") for n in range(5)]
A, B = TASKS[:2]

Call = Callable[[AlchemiscaleClient], Any]

CASES: list[tuple[Call, str, str, Any, Any, Any]] = [
    # the call, method, path, body sent, answer, value
    (lambda c: c.get_info(), "GET", "/info", None, {"message": "x"}, {"message": "x"}),
    (
        lambda c: c.list_scopes(),
        "GET",
        "/identities/me/scopes",
        None,
        ["b-*-*", str(SCOPE), "a-*-*"],
        [Scope("a"), Scope("b"), SCOPE],
    ),
    (lambda c: c.check_exists(EDGE), "GET", f"/exists/{EDGE}", None, True, True),
    (lambda c: c.check_exists("lol\n"), "GET", "/exists/lol", None, False, False),
    (lambda c: c.query_networks(), "GET", "/networks?state=active", None, [str(NETWORK)], [NETWORK]),
    (
        lambda c: c.query_networks("tyk2.*", Scope("my_org"), None),
        "GET",
        "/networks?name=tyk2.%2A&org=my_org",
        None,
        [],
        [],
    ),
    (lambda c: c.query_networks(state=NetworkStateEnum.deleted), "GET", "/networks?state=deleted", None, [], []),
    (
        lambda c: c.query_transformations("x y", SCOPE),
        "GET",
        f"/transformations?name=x+y&org={SCOPE.org}&campaign={SCOPE.campaign}&project={SCOPE.project}",
        None,
        [str(EDGE)],
        [EDGE],
    ),
    (lambda c: c.query_chemicalsystems(), "GET", "/chemicalsystems", None, [str(SYSTEM)], [SYSTEM]),
    (lambda c: c.query_tasks(status="error"), "GET", "/tasks?status=error", None, [str(A)], [A]),
    (
        lambda c: c.get_network_transformations(NETWORK),
        "GET",
        f"/networks/{NETWORK}/transformations",
        None,
        [str(EDGE)],
        [EDGE],
    ),
    (lambda c: c.get_network_chemicalsystems(NETWORK), "GET", f"/networks/{NETWORK}/chemicalsystems", None, [], []),
    (
        lambda c: c.get_network_tasks(NETWORK, "waiting"),
        "GET",
        f"/networks/{NETWORK}/tasks?status=waiting",
        None,
        [str(A), str(B)],
        [A, B],
    ),
    (lambda c: c.get_transformation_networks(EDGE), "GET", f"/transformations/{EDGE}/networks", None, [], []),
    (
        lambda c: c.get_transformation_chemicalsystems(EDGE),
        "GET",
        f"/transformations/{EDGE}/chemicalsystems",
        None,
        [str(SYSTEM)],
        [SYSTEM],
    ),
    (lambda c: c.get_chemicalsystem_networks(SYSTEM), "GET", f"/chemicalsystems/{SYSTEM}/networks", None, [], []),
    (
        lambda c: c.get_chemicalsystem_transformations(SYSTEM),
        "GET",
        f"/chemicalsystems/{SYSTEM}/transformations",
        None,
        [str(EDGE)],
        [EDGE],
    ),
    (lambda c: c.get_network_weight(NETWORK), "GET", f"/networks/{NETWORK}/weight", None, 0.5, 0.5),
    (lambda c: c.get_network_weight(NETWORK), "GET", f"/networks/{NETWORK}/weight", None, None, None),
    (lambda c: c.set_network_weight(NETWORK, 0), "POST", f"/networks/{NETWORK}/weight", 0, str(NETWORK), NETWORK),
    (lambda c: c.set_network_weight(NETWORK, 0.9), "POST", f"/networks/{NETWORK}/weight", 0.9, None, None),
    (
        lambda c: c.set_network_state(NETWORK, NetworkStateEnum.inactive),
        "POST",
        "/bulk/networks/state/set",
        {"networks": [str(NETWORK)], "states": ["inactive"]},
        [None],
        None,
    ),
    (
        lambda c: c.set_networks_state([NETWORK, str(NETWORK)], ["deleted", NetworkStateEnum.active]),
        "POST",
        "/bulk/networks/state/set",
        {"networks": [str(NETWORK)] * 2, "states": ["deleted", "active"]},
        [str(NETWORK), None],
        [NETWORK, None],
    ),
    (
        lambda c: c.get_network_state(NETWORK),
        "POST",
        "/bulk/networks/state/get",
        {"networks": [str(NETWORK)]},
        ["active"],
        "active",
    ),
    (
        lambda c: c.create_tasks(EDGE, count=2),
        "POST",
        f"/transformations/{EDGE}/tasks",
        {"extends": None, "count": 2},
        [str(A), str(B)],
        [A, B],
    ),
    (
        lambda c: c.create_tasks(EDGE, extends=str(A)),
        "POST",
        f"/transformations/{EDGE}/tasks",
        {"extends": A.to_dict(), "count": 1},
        [str(B)],
        [B],
    ),
    (
        lambda c: c.create_transformations_tasks([EDGE, str(EDGE)], extends=[None, A]),
        "POST",
        "/bulk/transformations/tasks/create",
        {"transformations": [str(EDGE)] * 2, "extends": [None, str(A)]},
        [str(A), str(B)],
        [A, B],
    ),
    (
        lambda c: c.create_transformations_tasks([EDGE]),
        "POST",
        "/bulk/transformations/tasks/create",
        {"transformations": [str(EDGE)], "extends": None},
        [str(A)],
        [A],
    ),
    (lambda c: c.get_task_transformation(A), "GET", f"/tasks/{A}/transformation", None, str(EDGE), EDGE),
    (lambda c: c.get_task_networks(A), "GET", f"/tasks/{A}/networks", None, [str(NETWORK)], [NETWORK]),
    (
        lambda c: c.action_tasks([A, str(B)], NETWORK),
        "POST",
        f"/networks/{NETWORK}/tasks/action",
        {"tasks": [A.to_dict(), B.to_dict()], "weight": None},
        [str(A), None],
        [A, None],
    ),
    (
        lambda c: c.action_tasks((A, B), str(NETWORK), weight=(0.1, 1)),  # type: ignore[arg-type]
        "POST",
        f"/networks/{NETWORK}/tasks/action",
        {"tasks": [A.to_dict(), B.to_dict()], "weight": [0.1, 1]},
        [str(A), str(B)],
        [A, B],
    ),
    (
        lambda c: c.cancel_tasks(tasks=[A], network=NETWORK),
        "POST",
        f"/networks/{NETWORK}/tasks/cancel",
        {"tasks": [A.to_dict()]},
        [None],
        [None],
    ),
    (
        lambda c: c.get_network_actioned_tasks(NETWORK),
        "POST",
        f"/networks/{NETWORK}/tasks/actioned",
        {"task_weights": False},
        [str(A)],
        [A],
    ),
    (
        lambda c: c.get_network_actioned_tasks(NETWORK, task_weights=True),
        "POST",
        f"/networks/{NETWORK}/tasks/actioned",
        {"task_weights": True},
        {str(A): 0.25},
        {A: 0.25},
    ),
    (
        lambda c: c.get_task_actioned_networks(A, task_weights=True),
        "POST",
        f"/tasks/{A}/networks/actioned",
        {"task_weights": True},
        {str(NETWORK): 1.0},
        {NETWORK: 1.0},
    ),
    (
        lambda c: c.set_tasks_status([A, B], TaskStatus.waiting),
        "POST",
        "/bulk/tasks/status/set",
        {"tasks": [A.to_dict(), B.to_dict()], "status": "waiting"},
        [None, str(B)],
        [None, B],
    ),
    (
        lambda c: c.get_tasks_status([str(A)]),
        "POST",
        "/bulk/tasks/status/get",
        {"tasks": [A.to_dict()]},
        [None],
        [None],
    ),
    (
        lambda c: c.set_tasks_priority([A], 2),
        "POST",
        "/bulk/tasks/priority/set",
        {"tasks": [A.to_dict()], "priority": 2},
        [str(A)],
        [A],
    ),
    (lambda c: c.get_tasks_priority([A]), "POST", "/bulk/tasks/priority/get", {"tasks": [A.to_dict()]}, [10], [10]),
    (
        lambda c: c.get_networks_status([NETWORK]),
        "POST",
        "/bulk/networks/status",
        {"networks": [str(NETWORK)]},
        [{"waiting": 3}],
        [{"waiting": 3}],
    ),
    (
        lambda c: c.get_scope_status(visualize=False),
        "GET",
        "/scopes/%2A-%2A-%2A/status?network_state=active",
        None,
        {},
        {},
    ),
    (
        lambda c: c.get_scope_status(SCOPE, False, None),
        "GET",
        f"/scopes/{SCOPE}/status",
        None,
        {"error": 1},
        {"error": 1},
    ),
    (lambda c: c.get_network_status(NETWORK, False), "GET", f"/networks/{NETWORK}/status", None, {"a": 1}, {"a": 1}),
    (lambda c: c.get_transformation_status(EDGE, False), "GET", f"/transformations/{EDGE}/status", None, {}, {}),
]


@pytest.mark.parametrize(
    ("call", "method", "path", "body", "answer", "value"), CASES, ids=[f"{n}-{case[2]}" for n, case in enumerate(CASES)]
)
def test_a_call(
    client: AlchemiscaleClient,
    server: ScriptedServer,
    call: Call,
    method: str,
    path: str,
    body: Any,
    answer: Any,
    value: Any,
) -> None:
    server.answers = [Answer(body=answer)]
    assert call(client) == value
    assert server.sent() == [(method, path, body)]


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
    alone = TASKS[2]
    server.answers = [Answer(body={str(A): None, str(B): str(A), str(alone): None})]
    graph = client.get_transformation_tasks(EDGE, return_as="graph")
    assert isinstance(graph, nx.DiGraph)
    assert set(graph.nodes) == {A, B, alone}
    assert set(graph.edges) == {(B, A)}


def test_creating_tasks_is_never_repeated_blindly(server: ScriptedServer) -> None:
    client = AlchemiscaleClient(server.url, "me", "k", use_local_cache=False, retry_max_seconds=0.01)
    server.answers = [Answer(502), Answer(502)]
    for create in (lambda: client.create_tasks(EDGE), lambda: client.create_transformations_tasks([EDGE])):
        with pytest.raises(AlchemiscaleClientError, match="502"):
            create()
    assert len(server.received) == 2
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
    assert estimate.model_dump() == line


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
