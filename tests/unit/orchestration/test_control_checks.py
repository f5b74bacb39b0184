"""What is found of the control pool and of the flows that run there."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import DeploymentSchedule, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import IntervalSchedule

from alchemiscale_prefect.domain.checks import Check
from alchemiscale_prefect.orchestration.control import RECONCILE, STRATEGY, ControlFlow
from alchemiscale_prefect.orchestration.control_checks import check_control

EVERY = IntervalSchedule(interval=timedelta(minutes=5))


class Prefect:
    """The part of a client that is asked, and what there is."""

    def __init__(self) -> None:
        self.deployments = {flow.name: [deployment(flow)] for flow in (RECONCILE, STRATEGY)}
        self.pool = WorkPool(name="control", type="process", default_queue_id=uuid4())
        self.workers = ["ONLINE"]

    def read_deployments(self, flow_filter: Any) -> list[DeploymentResponse]:
        return self.deployments[flow_filter.name.any_[0]]

    def read_work_pool(self, name: str) -> WorkPool:
        assert name == self.pool.name
        return self.pool

    def read_workers_for_work_pool(self, name: str) -> list[Any]:
        return [SimpleNamespace(status=status) for status in self.workers]


def deployment(flow: ControlFlow, name: str = "control", *, active: bool = True, **changes: Any) -> DeploymentResponse:
    given = {"entrypoint": flow.entrypoint, "work_pool_name": "control", **changes}
    made = DeploymentResponse(name=name, flow_id=uuid4(), **given)
    if "schedules" not in changes:
        made.schedules = [DeploymentSchedule(deployment_id=made.id, schedule=EVERY, active=active)]
    return made


def checked(prefect: Any, pool: str = "tasks") -> list[Check]:
    """What is found of a client that is one as far as it is asked."""
    return list(check_control(prefect, pool))


def found(prefect: Prefect, pool: str = "tasks") -> dict[str, tuple[str, str]]:
    """How each check came out, and how to mend it."""
    return {check.name: (check.status.value, check.fix or "") for check in checked(prefect, pool)}


def test_all_is_well_also_where_tasks_run_on_the_same_pool() -> None:
    names = ["reconcile deployment", "strategy deployment", "control pool", "control workers"]
    assert found(Prefect()) == dict.fromkeys(names, ("ok", ""))
    # that pool and its workers have been looked at
    assert list(found(Prefect(), "control")) == names[:3]


@pytest.mark.parametrize(
    ("changes", "status", "fix"),
    [
        ({"work_pool_name": None}, "failed", "alchemiscale-prefect deploy"),
        ({"entrypoint": "others.strategy"}, "failed", "alchemiscale-prefect deploy"),
        ({"paused": True}, "warning", "Prefect's pages"),
        ({"active": False}, "warning", "prefect deployment schedule resume 'strategy/control' --all"),
        ({"schedules": []}, "warning", "prefect deployment delete 'strategy/control'"),
    ],
)
def test_a_flow_that_does_not_run_by_itself_is_told(changes: dict[str, Any], status: str, fix: str) -> None:
    prefect = Prefect()
    prefect.deployments["strategy"] = [deployment(STRATEGY, **changes)]
    unwell = {name: how for name, how in found(prefect).items() if how[0] != "ok"}
    assert list(unwell) == ["strategy deployment"]
    assert unwell["strategy deployment"][0] == status
    assert fix in unwell["strategy deployment"][1]
    # where another one does run, that is left over
    prefect.deployments["strategy"].append(deployment(STRATEGY))
    assert found(prefect)["strategy deployment"][0] == "ok"


def test_what_is_not_deployed_is_told_with_what_does_not_happen() -> None:
    prefect = Prefect()
    prefect.deployments = {"reconcile": [], "strategy": []}
    assert {name: how for name, (how, _) in found(prefect).items()} == {
        "reconcile deployment": "failed",
        "strategy deployment": "failed",
    }
    _, strategy = checked(prefect)
    assert strategy.detail == "there is none: no Strategy is performed by itself"


def test_a_control_pool_that_starts_nothing_is_told() -> None:
    for changes, workers, name, fix in (
        ({"is_paused": True}, ["ONLINE"], "control pool", "prefect work-pool resume control"),
        ({"concurrency_limit": 0}, ["ONLINE"], "control pool", "clear-concurrency-limit control"),
        ({}, ["OFFLINE"], "control workers", "prefect worker start --pool control"),
        ({}, [], "control workers", "prefect worker start --pool control"),
    ):
        prefect = Prefect()
        prefect.pool, prefect.workers = prefect.pool.model_copy(update=changes), workers
        unwell = {check: how for check, how in found(prefect).items() if how[0] != "ok"}
        assert list(unwell) == [name]
        assert unwell[name][0] == "warning"
        assert fix in unwell[name][1]
