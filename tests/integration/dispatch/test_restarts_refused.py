"""What is no restart pattern, and who may give some."""

import pytest

from alchemiscale_prefect.domain.access import Grant, IdentityKind, Permission, Principal
from alchemiscale_prefect.domain.errors import InvalidInput, NotAuthorized, NotFound, PermissionDenied
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.restarts import MAX_PATTERNS
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import restarts
from tests.integration.dispatch.failing import CUDA, add, fail, fail_once, state
from tests.integration.dispatch.world import SCOPE, Net, World


@pytest.mark.parametrize(
    ("patterns", "allowed", "field", "message"),
    [
        (["fine", "("], 1, "patterns", r"'\(' is not a valid regular expression: missing \)"),
        (["(?P<n>a)(?P<n>b)"], 1, "patterns", "redefinition of group name"),
        (["a{99999999999999999999}"], 1, "patterns", "the repetition number is too large"),
        ([""], 1, "patterns", "is empty"),
        ([7], 1, "patterns", "must be a string"),
        ("CUDA", 1, "patterns", "must be a list"),
        (["CUDA"], 0, "num_allowed_restarts", "between 1 and"),
        (["CUDA"], -3, "num_allowed_restarts", "between 1 and"),
        # before the first of them is looked for, which is no regular expression
        (["(", *(f"p{n}" for n in range(MAX_PATTERNS))], 1, "patterns", "at most 100 restart patterns"),
    ],
)
def test_what_is_wrong_is_refused_by_name_and_changes_nothing(
    world: World, net: Net, patterns: list[str], allowed: int, field: str, message: str
) -> None:
    world.tasks(net)
    fail_once(world, CUDA)
    rows = world.content()
    with pytest.raises(InvalidInput, match=message) as refused:
        add(world, net, patterns, allowed)
    assert refused.value.field == field
    assert world.content() == rows


def test_a_pattern_that_takes_too_long_is_refused(world: World, net: Net) -> None:
    world.tasks(net)
    fail_once(world, "a" * 5000 + "!")
    rows = world.content()
    with pytest.raises(InvalidInput, match="takes too long") as refused:
        add(world, net, ["fine", "(a+)+b"])
    assert refused.value.field == "patterns"
    assert world.content() == rows


def test_a_pattern_that_turns_out_to_take_too_long_is_not_found_and_delays_nobody(world: World, net: Net) -> None:
    slow, quick = world.tasks(net, 2)
    add(world, net, ["(a+)+b"], 3)
    for run in world.started(2):
        fail(run, "a" * 5000 + "!" if run.task == slow else "aab")
    assert state(world, slow) == ("error", set())
    assert state(world, quick) == ("waiting", {"one"})


def test_who_may_only_read_sees_patterns_and_changes_none(world: World, net: Net) -> None:
    add(world, net, ["CUDA"], 3)
    rows = world.content()
    reader = Principal("reader", IdentityKind.user, (Grant(SCOPE, Permission.read),))
    stranger = Principal.writing("stranger", IdentityKind.user, (Scope("foreign_org"),))
    assert restarts.of_networks(world.database, reader, [net.key]) == [{"CUDA": 3}]
    with pytest.raises(NotAuthorized):
        restarts.of_networks(world.database, stranger, [net.key])
    for principal, refusal in ((reader, PermissionDenied), (stranger, NotAuthorized)):
        for call in (
            lambda who: restarts.add(world.database, who, net.key, ["x"], 1),
            lambda who: restarts.set_allowed_restarts(world.database, who, net.key, ["CUDA"], 1),
            lambda who: restarts.remove(world.database, who, net.key, ["CUDA"]),
            lambda who: restarts.remove(world.database, who, net.key),
        ):
            with pytest.raises(refusal):
                call(principal)
    assert world.content() == rows


def test_a_network_that_is_not_there(world: World, net: Net) -> None:
    missing = ScopedKey.of("AlchemicalNetwork-00000000000000000000000000000000", SCOPE)
    for call in (
        lambda: restarts.add(world.database, world.user, missing, ["x"], 1),
        lambda: restarts.set_allowed_restarts(world.database, world.user, missing, ["x"], 1),
        lambda: restarts.remove(world.database, world.user, missing),
        lambda: restarts.of_networks(world.database, world.user, [net.key, missing]),
    ):
        with pytest.raises(NotFound, match="No such object in database"):
            call()
    with pytest.raises(InvalidInput, match="does not correspond to an `AlchemicalNetwork`"):
        restarts.add(world.database, world.user, net.transformations[0], ["x"], 1)
