"""For any weights, settings and Tasks: what an iteration of a Strategy may do at most, and that the next does nothing.

``ALCHEMISCALE_TEST_HISTORIES`` (`make soak`) is how many examples there are.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from alchemiscale_prefect.domain.iterations import Material, Proposed
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.proposals import Decision
from alchemiscale_prefect.domain.scaling import StrategyWeighting
from alchemiscale_prefect.domain.strategies import StrategyMode, StrategyState, StrategyTaskScaling
from alchemiscale_prefect.services import actions, iterations, strategies, submission, tasks
from alchemiscale_prefect.wire.strategies import StrategyProposal
from tests.chains import keys_of, network_chain, pair
from tests.integration.dispatch.world import SCOPE, Net, World

EXAMPLES = int(os.environ.get("ALCHEMISCALE_TEST_HISTORIES", "10"))
CHAIN = [pair("AnyStrategy", {}, module="elsewhere.strategies")]
FULL, PARTIAL = StrategyMode.full, StrategyMode.partial
OPEN = ("waiting", "running")
SHORT = (Decision.errored, Decision.over_budget)
Kinds = Sequence[tuple[str, bool]]
"""Status of each Task of a Transformation, and whether the network has it actioned."""

KINDS = st.lists(st.tuples(st.sampled_from(("waiting", "running", "complete", "error", "invalid")), st.booleans()),
                 max_size=4)  # fmt: skip
WEIGHT = st.none() | st.just(0.0) | st.floats(0.01, 10.0)


def make(world: World, kinds: Sequence[Kinds]) -> Net:
    """A network of three Transformations with these Tasks."""
    chain = network_chain(uuid4().hex, ("a", "b", "c", "d"), [(0, 1), (1, 2), (2, 3)])
    key = submission.create_network(world.database, world.user, chain, SCOPE)
    net = Net(key, tuple(sorted(ScopedKey.of(tf, SCOPE) for tf in keys_of(chain, "Transformation"))))
    wanted = [(tf, kind) for tf, listed in zip(net.transformations, kinds, strict=True) for kind in listed]
    names = tasks.create(world.database, world.user, [tf for tf, _ in wanted], [None] * len(wanted))
    made = {ScopedKey.from_str(name): kind for name, (_, kind) in zip(names, wanted, strict=True)}
    world.action(net, [task for task, (status, _) in made.items() if status in ("running", "complete", "error")])
    for run in world.started(len(made)):
        status, _ = made[run.task]
        if status != "running":
            run.complete(ok=status == "complete")
    world.cancel(net, [task for task, (status, actioned) in made.items() if status == "running" and not actioned],
                 stop_tasks=False)  # fmt: skip
    world.action(net, [task for task, (status, actioned) in made.items() if status == "waiting" and actioned], 0.7)
    world.set_status([task for task, (status, _) in made.items() if status == "invalid"], "invalid")
    return net


def seen(world: World, net: Net) -> dict[str, tuple[str, str, bool]]:
    """Of each Task of the network: its Transformation, its status, and whether it is actioned."""
    rows = world.rows(
        """
        select t.key, o.key as edge, t.status, a.task_id is not null as actioned
        from task t join gufe_object o on o.id = t.transformation_id
        join network_transformation link on link.transformation_id = t.transformation_id
        join gufe_object n on n.id = link.network_id
        left join action a on a.task_id = t.id and a.network_id = link.network_id where n.key = :network
        """,
        network=net.key.gufe_key,
    )
    return {row.key: (row.edge, row.status, row.actioned) for row in rows}


def held(found: Mapping[str, tuple[str, str, bool]]) -> Counter[str]:
    """How many Tasks of each Transformation wait or run for the network."""
    return Counter(edge for edge, status, actioned in found.values() if actioned and status in OPEN)


def content(world: World) -> dict[str, Any]:
    """Everything but how often the Strategy was performed."""
    return {name: rows for name, rows in world.content().items() if not name.startswith("strategy")}


@settings(
    max_examples=EXAMPLES,
    phases=(Phase.explicit, Phase.generate),
    derandomize=EXAMPLES <= 10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    kinds=st.tuples(KINDS, KINDS, KINDS),
    weights=st.tuples(WEIGHT, WEIGHT, WEIGHT),
    mode=st.sampled_from((FULL, PARTIAL)),
    scaling=st.sampled_from(StrategyTaskScaling),
    weighting=st.sampled_from(StrategyWeighting),
    most=st.integers(1, 4),
    max_tasks=st.none() | st.integers(0, 8),
    budget=st.none() | st.integers(0, 8),
)
# what is cancelled makes room in the budget, which others may have in the same iteration
@example(
    kinds=([("waiting", True)] * 3, [], []),
    weights=(None, 1.0, 0.0),
    mode=FULL,
    scaling=StrategyTaskScaling.linear,
    weighting=StrategyWeighting.relative,
    most=3,
    max_tasks=3,
    budget=None,
)
# what failed keeps its place in the budget, but where it is not the network's
@example(
    kinds=([("error", True)], [("error", False), ("complete", True)], []),
    weights=(1.0, None, 1.0),
    mode=PARTIAL,
    scaling=StrategyTaskScaling.linear,
    weighting=StrategyWeighting.relative,
    most=3,
    max_tasks=None,
    budget=3,
)
def test_the_limits_hold_and_a_second_iteration_does_nothing(
    world: World,
    kinds: Sequence[Kinds],
    weights: Sequence[float | None],
    mode: StrategyMode,
    scaling: StrategyTaskScaling,
    weighting: StrategyWeighting,
    most: int,
    max_tasks: int | None,
    budget: int | None,
) -> None:
    net = make(world, kinds)
    proposed = Proposed(dict(zip((tf.gufe_key for tf in net.transformations), weights, strict=True)), max_tasks, budget)
    state = StrategyState(mode=mode, task_scaling=scaling, weighting=weighting, max_tasks_per_transformation=most)
    strategies.set_strategy(world.database, world.user, net.key, CHAIN, state)

    def perform() -> StrategyProposal:
        def propose(_: Material) -> Proposed:
            return proposed

        performed = iterations.perform(world.database, world.store, propose, net.key)
        assert performed is not None
        world.check()
        return performed

    before, weighted = seen(world, net), actions.of_network(world.database, world.user, net.key)
    first = perform()
    after = seen(world, net)
    had, has = held(before), held(after)
    for change in first.changes:
        edge = change.transformation.gufe_key
        assert change.target <= most
        assert has[edge] <= max(change.target, had[edge])
        if mode is PARTIAL:
            assert not change.cancelled
        elif change.decision not in SHORT:
            assert has[edge] == change.target
        else:
            assert has[edge] <= change.target
    if mode is PARTIAL:
        assert {task: kind for task, kind in after.items() if task in before and before[task][2]} == {
            task: kind for task, kind in before.items() if kind[2]
        }
    if max_tasks is not None and has.total() > had.total():
        assert has.total() + sum(status == "complete" for _, status, _ in after.values()) <= max_tasks
    if budget is not None and has.total() > had.total():
        assert has.total() + sum(kind == "complete" or (kind == "error" and actioned)
                                 for _, kind, actioned in after.values()) <= budget  # fmt: skip
    # what is finished, failed or invalid stays as it was, and so does the weight that somebody gave
    assert all(after[task] == kind for task, kind in before.items() if kind[1] not in OPEN)
    now = actions.of_network(world.database, world.user, net.key)
    assert all(weight == weighted.get(task, 0.5) for task, weight in now.items())

    unchanged = content(world)
    perform()
    assert content(world) == unchanged
    world.stop(net)
