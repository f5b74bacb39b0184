"""Task statuses, and what users may ask for."""

import pytest

from alchemiscale_prefect.domain.errors import InvalidInput, UnknownState
from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.domain.tasks import (
    ACTIONABLE,
    MAX_PRIORITY,
    UNACTIONED_BY,
    TaskStatus,
    check_priority,
    check_user_settable,
    check_weight,
)


def test_who_is_on_a_network_and_who_is_taken_off():
    assert {TaskStatus.waiting, TaskStatus.running, TaskStatus.error} == ACTIONABLE
    assert set(TaskStatus) == ACTIONABLE | UNACTIONED_BY
    assert not ACTIONABLE & UNACTIONED_BY


@pytest.mark.parametrize("status", list(TaskStatus))
def test_what_users_may_ask_for(status):
    if status in ("waiting", "invalid", "deleted"):
        check_user_settable(status)
    else:
        with pytest.raises(InvalidInput) as caught:
            check_user_settable(status)
        assert str(caught.value) == (
            f"Cannot set status to 'TaskStatusEnum.{status.value}', must be one of 'waiting', 'invalid', 'deleted'"
        )


@pytest.mark.parametrize("value", ["notastatus", "", "Waiting", None, 5])
def test_an_unknown_status_is_named(value):
    with pytest.raises(UnknownState, match="is not a valid TaskStatusEnum") as caught:
        TaskStatus.parse(value)
    assert caught.value.field == "status"


def test_statuses_and_states_parse_themselves_and_their_names():
    for cls in (TaskStatus, NetworkState):
        for member in cls:
            assert cls.parse(member) is member
            assert cls.parse(member.value) is member


def test_an_unknown_network_state_is_named_with_the_known_ones():
    with pytest.raises(UnknownState) as caught:
        NetworkState.parse("notastate")
    assert str(caught.value) == (
        "'notastate' is not a valid state. Valid values include: ['active', 'inactive', 'invalid', 'deleted']"
    )
    assert caught.value.field == "state"


@pytest.mark.parametrize("priority", [1, 2, 10, MAX_PRIORITY])
def test_priorities(priority):
    check_priority(priority)


@pytest.mark.parametrize("priority", [0, -1, MAX_PRIORITY + 1, True])
def test_what_is_no_priority(priority):
    with pytest.raises(InvalidInput, match="priority must be between 1 and 2") as caught:
        check_priority(priority)
    assert caught.value.field == "priority"


@pytest.mark.parametrize("weight", [0, 0.0, 5e-324, 0.5, 1, 1.0])
def test_weights(weight):
    check_weight(weight)


@pytest.mark.parametrize("weight", [-5e-324, 1.0000000000000002, float("nan"), float("inf"), -1])
def test_what_is_no_weight(weight):
    with pytest.raises(InvalidInput, match="must be between 0 and 1") as caught:
        check_weight(weight)
    assert caught.value.field == "weight"
