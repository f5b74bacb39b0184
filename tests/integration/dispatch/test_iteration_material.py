"""What an iteration gives a Strategy to go by: its results in short, and what else its network's Tasks took."""

import pytest

from alchemiscale_prefect.domain.iterations import Material, Proposed
from alchemiscale_prefect.domain.result_summaries import ENERGY_UNITS, ResultSummary
from alchemiscale_prefect.domain.strategies import StrategyState
from alchemiscale_prefect.services import iterations, strategies
from tests.chains import pair
from tests.integration.dispatch.world import Net, World

CHAIN = [pair("AnyStrategy", {}, module="elsewhere.strategies")]


@pytest.fixture
def net(world: World) -> Net:
    """A network with a Strategy."""
    net = world.network()
    strategies.set_strategy(world.database, world.user, net.key, CHAIN, StrategyState())
    return net


def material(world: World, net: Net) -> Material:
    """What the Strategy is given."""
    given: list[Material] = []

    def propose(material: Material) -> Proposed:
        given.append(material)
        return Proposed({})

    performed = iterations.perform(world.database, world.store, propose, net.key)
    assert performed is not None
    assert performed.exception is None
    return given[0]


def test_summaries_are_what_the_results_add_up_to(world: World, net: Net) -> None:
    values = [(-1.5, 0.3, ENERGY_UNITS), (2.25, None, ENERGY_UNITS), (None, None, None), (7.0, 0.1, "nanometer")]
    # what blew up, or never was a number: squares of it are none
    values += [(1e200, 0.1, ENERGY_UNITS), (1.0, -1e200, ENERGY_UNITS), (1.0, 1e200, ENERGY_UNITS)]
    values += [(float("nan"), 0.1, ENERGY_UNITS), (2.0, float("inf"), ENERGY_UNITS)]
    world.tasks(net, len(values) + 1)
    runs = world.started(len(values) + 1)
    runs.pop().complete(ok=False)
    for run, (estimate, uncertainty, units) in zip(runs, values, strict=True):
        run.complete()
        world.execute(
            "update result set estimate = :estimate, uncertainty = :uncertainty, units = :units "
            "where task_id = (select id from task where key = :key)",
            estimate=estimate,
            uncertainty=uncertainty,
            units=units,
            key=run.task.gufe_key,
        )
    world.execute("update attempt set started_at = ended_at - interval '90 s'")
    read = material(world, net)
    (summary,) = read.summaries.values()
    expected = ResultSummary()
    for estimate, uncertainty, units in values:
        energy = units == ENERGY_UNITS
        expected += ResultSummary.of(estimate if energy else None, uncertainty if energy else None, 90.0)
    assert _close(summary, expected)
    assert [document.text for _, document in read.results()] == [b"pdr"] * len(values)


def test_time_of_attempts_without_a_result_is_told_to_the_strategy_however_they_ended(world: World, net: Net) -> None:
    world.tasks(net, 6)
    failed, lost, stopped, complete, running, _ = world.started(6)
    failed.complete(ok=False)
    lost.release()
    world.cancel(net, [stopped.task])
    complete.complete()
    (again,) = world.started()
    again.complete()
    assert again.task == lost.task
    world.execute("update attempt set started_at = now() - interval '90 s'")
    world.execute("update attempt set ended_at = started_at + interval '60 s' where ended_at is not null")
    world.execute(
        "update attempt set started_at = now() - interval '1 day' "
        "where n = 1 and task_id = (select id from task where key = :key)",
        key=running.task.gufe_key,
    )
    world.set_status([failed.task], "invalid")
    read = material(world, net)
    assert read.others.seconds == pytest.approx(3 * 60.0)
    assert read.others.longest_running == pytest.approx(86_400.0, abs=3600.0)
    (summary,) = read.summaries.values()
    assert (summary.n_timed, summary.seconds) == (2, pytest.approx(2 * 60.0))


def _close(one: ResultSummary, other: ResultSummary) -> bool:
    return all(getattr(one, name) == pytest.approx(getattr(other, name)) for name in ResultSummary.__slots__)
