"""Restart patterns through the client. The names of `TestTaskRestartPolicy` are alchemiscale's."""

from collections.abc import Callable

import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, Scope, ScopedKey
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.domain.errors import InvalidInput
from tests import protocols

PATTERNS = [r"RuntimeError: .+", "MemoryError", r"line \d+"]


class TestTaskRestartPolicy:
    def test_add_task_restart_patterns(self, client: AlchemiscaleClient, network_key: ScopedKey) -> None:
        assert client.add_task_restart_patterns(network_key, PATTERNS, 2) == network_key
        assert client.get_task_restart_patterns(network_key) == dict.fromkeys(PATTERNS, 2)
        # again: the new number, for those alone
        assert client.add_task_restart_patterns(str(network_key), [*PATTERNS[:1], "another"], 5) == network_key
        expected = {**dict.fromkeys(PATTERNS, 2), PATTERNS[0]: 5, "another": 5}
        assert client.get_task_restart_patterns(str(network_key)) == expected

    def test_get_task_restart_patterns(self, client: AlchemiscaleClient, network_key: ScopedKey, scope: Scope) -> None:
        assert client.get_task_restart_patterns(network_key) == {}
        client.add_task_restart_patterns(network_key, PATTERNS, 3)
        other = next(key for key in client.query_networks(scope=scope, state=None) if key != network_key)
        assert client.get_task_restart_patterns(other) == {}
        found = client.get_networks_task_restart_patterns([other, str(network_key), other])
        assert found == [{}, dict.fromkeys(PATTERNS, 3), {}]
        assert client.get_networks_task_restart_patterns([]) == []

    def test_remove_task_restart_patterns(self, client: AlchemiscaleClient, network_key: ScopedKey) -> None:
        client.add_task_restart_patterns(network_key, PATTERNS, 2)
        client.remove_task_restart_patterns(network_key, [PATTERNS[1], "not there"])
        assert client.get_task_restart_patterns(network_key) == {PATTERNS[0]: 2, PATTERNS[2]: 2}

    def test_clear_task_restart_patterns(self, client: AlchemiscaleClient, network_key: ScopedKey) -> None:
        client.add_task_restart_patterns(network_key, PATTERNS, 2)
        client.clear_task_restart_patterns(network_key)
        assert client.get_task_restart_patterns(network_key) == {}

    def test_set_task_restart_patterns_allowed_restarts(
        self, client: AlchemiscaleClient, network_key: ScopedKey
    ) -> None:
        client.add_task_restart_patterns(network_key, PATTERNS, 2)
        client.set_task_restart_patterns_allowed_restarts(network_key, [*PATTERNS[:2], "not there"], 7)
        assert client.get_task_restart_patterns(network_key) == {PATTERNS[0]: 7, PATTERNS[1]: 7, PATTERNS[2]: 2}


def test_a_task_that_fails_runs_again_until_its_restarts_are_used_up(
    client: AlchemiscaleClient, scope: Scope, work: Callable[[], int]
) -> None:
    failing = protocols.transformation(protocols.FailingProtocol(protocols.FailingSettings(message="NaN at step 7")))
    key = client.create_network(AlchemicalNetwork(edges=[failing], name="failing"), scope, visualize=False)
    (transformation,) = client.get_network_transformations(key)
    (task,) = client.create_tasks(transformation)
    client.action_tasks([task], key)
    assert work() == 1
    assert client.get_tasks_status([task]) == ["error"]
    client.add_task_restart_patterns(key, [r"RuntimeError: NaN at step \d+$"], 2)
    for _ in range(2):
        assert client.get_tasks_status([task]) == ["waiting"]
        assert work() == 1
    assert client.get_tasks_status([task]) == ["error"]
    assert client.get_network_actioned_tasks(key) == []
    assert work() == 0
    assert len(client.get_task_failures(task)) == 3


@pytest.mark.parametrize(
    ("patterns", "count", "field"),
    [("RuntimeError", 1, "patterns"), ([""], 1, "patterns"), ([1], 1, "patterns"), (["a"], 0, "num_allowed_restarts")],
)
def test_what_is_wrong_in_itself_is_not_sent(
    client: AlchemiscaleClient, network_key: ScopedKey, patterns: list[str], count: int, field: str
) -> None:
    for call in (client.add_task_restart_patterns, client.set_task_restart_patterns_allowed_restarts):
        with pytest.raises(InvalidInput, match=f"`{field}`") as refused:
            call(network_key, patterns, count)
        assert refused.value.field == field
    assert client.get_task_restart_patterns(network_key) == {}


def test_what_is_no_regular_expression_is_refused(client: AlchemiscaleClient, network_key: ScopedKey) -> None:
    refusal = r"Status Code 400 : Bad Request : `patterns`: '\[a' is not a valid regular expression: unterminated"
    with pytest.raises(AlchemiscaleClientError, match=refusal) as refused:
        client.add_task_restart_patterns(network_key, ["a", "[a"], 1)
    assert (refused.value.code, refused.value.field) == ("invalid_input", "patterns")
    assert client.get_task_restart_patterns(network_key) == {}


def test_a_network_that_is_not_there_has_no_patterns(client: AlchemiscaleClient, network_key: ScopedKey) -> None:
    missing = ScopedKey.of("AlchemicalNetwork-0", network_key.scope)
    for call in (
        lambda: client.add_task_restart_patterns(missing, ["a"], 1),
        lambda: client.get_task_restart_patterns(missing),
        lambda: client.set_task_restart_patterns_allowed_restarts(missing, ["a"], 1),
        lambda: client.remove_task_restart_patterns(missing, ["a"]),
        lambda: client.clear_task_restart_patterns(missing),
    ):
        with pytest.raises(
            AlchemiscaleClientError, match="Status Code 400 : Bad Request : 'No such object in database'"
        ):
            call()


def test_a_scope_that_is_not_ones_own(
    client: AlchemiscaleClient, other_client: AlchemiscaleClient, network_key: ScopedKey
) -> None:
    client.add_task_restart_patterns(network_key, ["a"], 1)
    for call in (
        lambda: other_client.add_task_restart_patterns(network_key, ["a"], 2),
        lambda: other_client.get_task_restart_patterns(network_key),
        lambda: other_client.set_task_restart_patterns_allowed_restarts(network_key, ["a"], 2),
        lambda: other_client.remove_task_restart_patterns(network_key, ["a"]),
        lambda: other_client.clear_task_restart_patterns(network_key),
    ):
        with pytest.raises(AlchemiscaleClientError, match="Status Code 401"):
            call()
    assert client.get_task_restart_patterns(network_key) == {"a": 1}
