"""What each call sends, and the plain answers it gets."""

from collections.abc import Callable
from typing import Any

import pytest

from alchemiscale_prefect import AlchemiscaleClient, NetworkStateEnum, Scope
from alchemiscale_prefect.domain.tasks import TaskStatus
from tests.unit.sdk.conftest import Answer, ScriptedServer
from tests.unit.sdk.names import EDGE, NETWORK, SCOPE, SYSTEM, A, B

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
