"""Strategies made of others: budgets and stacks."""

import pytest

from alchemiscale_prefect.chemistry.base import GufeKey
from alchemiscale_prefect.chemistry.summaries import NetworkResults
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.result_summaries import OtherAttempts
from alchemiscale_prefect.strategies import BudgetStrategy, Confidence, StackedStrategy, StrategyResult
from alchemiscale_prefect.strategies.base import Strategy, StrategySettings
from alchemiscale_prefect.strategies.budget import BudgetStrategySettings
from alchemiscale_prefect.strategies.stacking import StackedStrategySettings
from tests.unit.strategies.networks import named, network, repeats, results

NET = network("ab", "bc", "cd")


class FixedSettings(StrategySettings):
    """The weights, by name; one that is left out has none."""

    weights: dict[str, float | None] = {}  # noqa: RUF012 - pydantic copies it
    max_tasks: int | None = None


class FixedStrategy(Strategy):
    """Always proposes the same."""

    _settings_cls = FixedSettings

    def _propose(self, alchemical_network, protocol_results):
        given = self.settings.weights
        weights = {edge.key: given[edge.name] for edge in alchemical_network.edges if edge.name in given}
        return StrategyResult(weights, self.settings.max_tasks)


def fixed(ab: float | None, bc: float | None, cd: float | None, max_tasks: int | None = None) -> FixedStrategy:
    return FixedStrategy(FixedSettings(weights={"ab": ab, "bc": bc, "cd": cd}, max_tasks=max_tasks))


def proposed(strategy: Strategy, **by_name: object) -> list[float | None]:
    return list(named(NET, strategy.propose(NET, results(NET, by_name)).weights).values())


def budget(inner: object, **settings: object) -> BudgetStrategy:
    return BudgetStrategy(BudgetStrategySettings(**settings), inner)


def stack(*strategies: object, **settings: object) -> StackedStrategy:
    return StackedStrategy(StackedStrategySettings(**settings), strategies)


def test_a_budget_leaves_the_weights_of_as_many_as_there_are_tasks_left() -> None:
    inner = fixed(1.0, 3.0, 2.0)
    assert proposed(budget(inner, max_tasks=9), ab=1) == [1.0, 3.0, 2.0]
    assert proposed(budget(inner, max_tasks=9), ab=7) == [0.0, 3.0, 2.0]
    assert proposed(budget(inner, max_tasks=9), ab=5, cd=3) == [0.0, 3.0, 0.0]
    assert proposed(budget(inner, max_tasks=9), ab=5, cd=4) == [None] * 3
    assert budget(inner, max_tasks=9).propose(NET, {}).budget == 9
    within = budget(fixed(1.0, 1.0, 1.0, max_tasks=4), max_tasks=9).propose(NET, {})
    assert (within.max_tasks, within.budget) == (4, 9)
    assert budget(budget(inner, max_tasks=4), max_tasks=9).propose(NET, {}).budget == 4


def test_gpu_hours_are_counted_in_tasks_of_the_mean_length() -> None:
    inner = fixed(1.0, 1.0, 1.0)
    hours = budget(inner, max_gpu_hours=10.0, gpu_hours_per_task=2.0)
    assert hours.propose(NET, {}).budget == 5
    # four results of three hours: 12 > 10
    assert proposed(hours, ab=repeats(*[0.0] * 4, seconds=3 * 3600.0)) == [None] * 3
    # two of three hours leave room for one more
    two = results(NET, {"ab": repeats(0.0, 0.0, seconds=3 * 3600.0)})
    assert hours.propose(NET, two).budget == 3
    assert budget(inner, max_gpu_hours=10.0, max_tasks=2).propose(NET, {}).budget == 2


def test_hours_are_kept_for_tasks_that_take_as_long_as_the_slowest() -> None:
    given = results(NET, {"ab": repeats(*[0.0] * 4, seconds=3600.0), "bc": repeats(0.0, seconds=8 * 3600.0)})
    # 12 of 40 hours are spent: three Tasks of eight hours more
    assert budget(fixed(1.0, 1.0, 1.0), max_gpu_hours=40.0).propose(NET, given).budget == 5 + 3


def test_hours_of_attempts_without_a_result_count_and_one_that_runs_for_long_is_the_slowest() -> None:
    hours = budget(fixed(1.0, 1.0, 1.0), max_gpu_hours=10.0, gpu_hours_per_task=0.5)
    given = results(NET, {"ab": repeats(0.0, 0.0, seconds=3600.0)})

    def limit(**others: float) -> int | None:
        with_them = NetworkResults(given, OtherAttempts(**others))
        # they are told to those inside others, too
        assert proposed_by(stack(hours, fixed(None, None, None)), with_them) == proposed_by(hours, with_them)
        return proposed_by(hours, with_them)

    assert limit() == 2 + 8
    assert limit(seconds=5.5 * 3600) == 2 + 2
    assert limit(longest_running=4 * 3600) == 2 + 2
    assert limit(seconds=3 * 3600, longest_running=60.0) == 2 + 5
    # nothing is left, although there are two results only
    assert hours.propose(NET, NetworkResults(given, OtherAttempts(7.5 * 3600))).weights == dict.fromkeys(
        sorted(edge.key for edge in NET.edges)
    )
    assert proposed_by(hours, NetworkResults({}, OtherAttempts(longest_running=4 * 3600))) == 2


def proposed_by(strategy: Strategy, given: NetworkResults) -> int | None:
    return strategy.propose(NET, given).budget


def test_hours_at_a_threshold_and_of_tasks_that_take_no_time() -> None:
    inner = fixed(1.0, 1.0, 1.0)
    assert budget(inner, max_gpu_hours=0.3, gpu_hours_per_task=0.1).propose(NET, {}).budget == 3
    instant = results(NET, {"ab": repeats(0.0, seconds=0.0)})
    assert budget(inner, max_gpu_hours=2.0, gpu_hours_per_task=0.5).propose(NET, instant).budget == 1 + 4
    with pytest.raises(ValueError, match="finite"):
        BudgetStrategySettings(max_gpu_hours=float("inf"))


def test_a_budget_needs_a_limit_and_a_strategy() -> None:
    with pytest.raises(ValueError, match="at least one of"):
        BudgetStrategySettings()
    with pytest.raises(InvalidInput, match="`strategy` must be a Strategy"):
        budget("UncertaintyStrategy", max_tasks=3)


ONE, OTHER = fixed(4.0, 2.0, None), fixed(None, 0.5, None)


@pytest.mark.parametrize(
    ("combine", "votes", "expected"),
    [
        ("sum", None, [0.5, 0.75, None]),
        ("sum", [3.0, 1.0], [0.75, 0.625, None]),
        ("max", [3.0, 2.0], [3.0, 2.0, None]),
        ("product", None, [1.0, 0.5**0.5, None]),
        ("product", [3.0, 1.0], [1.0, 0.5**0.75, None]),
        ("schedule", [1.0, 3.0], [None, 1.0, None]),
        ("schedule", None, [1.0, 0.5, None]),
        ("sum", [1.0, 0.0], [1.0, 0.5, None]),
    ],
)
def test_weights_are_combined(combine: str, votes: list[float] | None, expected: list[float | None]) -> None:
    assert proposed(stack(ONE, OTHER, combine=combine, votes=votes)) == [
        None if weight is None else pytest.approx(weight) for weight in expected
    ]


def test_confidence_grows_and_fades_with_the_results_of_each_transformation() -> None:
    first, then = fixed(1.0, 0.0, 0.0), fixed(0.0, 1.0, 0.0)
    confidences = [Confidence(kind="fading", half=2.0), Confidence(kind="growing", half=2.0)]
    handing_over = stack(first, then, confidences=confidences)
    assert proposed(handing_over) == [1.0, 0.0, 0.0]  # the second does not vote at all
    assert proposed(handing_over, ab=6) == pytest.approx([0.5, 0.5, 0.0])
    assert proposed(handing_over, ab=6, bc=6) == pytest.approx([0.25, 0.75, 0.0])
    by_schedule = stack(first, then, confidences=confidences, combine="schedule")
    assert proposed(by_schedule, ab=3) == [1.0, 0.0, 0.0]
    assert proposed(by_schedule, ab=9) == [0.0, 1.0, 0.0]


def test_a_schedule_goes_on_with_the_next_when_one_is_finished() -> None:
    over = fixed(None, None, None, max_tasks=1)
    assert proposed(stack(over, OTHER, combine="schedule", votes=[9.0, 1.0])) == [None, 1.0, None]
    assert proposed(stack(over, over, combine="schedule")) == [None] * 3
    # what is finished sets no limit to the others
    assert stack(over, fixed(1.0, 1.0, 1.0, max_tasks=7)).propose(NET, {}).max_tasks == 7
    assert stack(budget(OTHER, max_tasks=5), budget(ONE, max_tasks=8)).propose(NET, {}).budget == 5


def test_a_product_in_which_nothing_is_left_becomes_the_sum() -> None:
    assert proposed(stack(fixed(1.0, 0.0, 0.0), fixed(0.0, 1.0, None), combine="product")) == [0.5, 0.5, 0.0]
    assert proposed(stack(fixed(0.0, 0.0, None), fixed(0.0, None, None), combine="product")) == [0.0, 0.0, None]


def test_with_no_vote_left_confidences_are_set_aside() -> None:
    growing = [Confidence(kind="growing")] * 2
    assert proposed(stack(ONE, OTHER, confidences=growing)) == [0.5, 0.75, None]


def test_one_without_a_weight_for_a_transformation_does_not_vote_on_it() -> None:
    partial = FixedStrategy(FixedSettings(weights={"ab": 1.0}))
    assert proposed(stack(partial, fixed(0.0, 1.0, None))) == [0.5, 1.0, None]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"votes": [1.0]}, "`votes` must have an entry for each of the 2"),
        ({"confidences": [None] * 3}, "`confidences` must have"),
        ({"votes": [0.0, 0.0]}, "one of them above"),
        ({"votes": [1.0, -1.0]}, "at least 0"),
    ],
)
def test_votes_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stack(ONE, OTHER, **settings)


def test_a_stack_has_two_or_more() -> None:
    with pytest.raises(InvalidInput, match="two or more"):
        stack(ONE)
    assert {type(key) for key in stack(ONE, OTHER).propose(NET, {}).weights} == {GufeKey}
