"""A fleet at work: a bad host is kept from the queue, a bad Transformation costs no host."""

import pytest

from tests.integration.dispatch import fleet
from tests.integration.dispatch.fleet import MINUTE, Fleet
from tests.integration.dispatch.world import World

HOSTS = {"a": 2, "b": 2, "c": 2}


@pytest.mark.parametrize("transformations", [1, 4])
def test_a_bad_host_among_three_touches_hardly_any_task_after_its_third_failure(
    world: World, transformations: int
) -> None:
    for n in range(transformations):
        world.tasks(world.network(f"net {n}", systems=(f"{n}a", f"{n}b")), 240 // transformations)
    broken = fleet.Fleet(world, HOSTS, lambda run, host: (20.0, "OSError(5)" if host == "b" else None))
    broken.work(2 * MINUTE)
    failures = world.rows("select host from attempt where state = 'error'")
    assert {row.host for row in failures} == {"b"}
    assert 3 <= len(failures) <= 4  # the third and what ran beside it
    assert broken.states() == {"b": "banned"}
    third = world.rows(
        "select :now - extract(epoch from now() - ended_at) as at from attempt where state = 'error' "
        "order by ended_at offset 2 limit 1",
        now=broken.now,
    )[0].at
    third = float(third)
    broken.work(5 * MINUTE - (broken.now - third))
    assert len([at for at, _, why in broken.begun if at >= third and why is None]) > 50
    assert broken.share("b", third) <= 0.05  # those that were refused there are among them
    assert broken.states().keys() == {"b"}
    assert len(world.rows("select 1 from attempt where state = 'error'")) <= 5
    # a refusal costs the Task nothing
    assert not world.rows(
        "select 1 from task where losses > 0 or status not in ('complete', 'waiting', 'error', 'running')"
    )
    world.check()


def test_a_bad_transformation_on_three_good_hosts_bans_none(world: World) -> None:
    bad = world.network("bad", systems=("x", "y"))
    good = world.network("good", systems=("a", "b"))
    culprits = set(world.tasks(bad, 60))
    world.tasks(good, 120)

    def outcome(run, host):
        return (10.0, "NaN()") if run.task in culprits else (20.0, None)

    hosts = Fleet(world, HOSTS, outcome)
    hosts.work(6 * MINUTE)
    assert len(world.rows("select 1 from attempt where state = 'error'")) > 40
    assert [why for _, _, why in hosts.begun if why is not None] == []
    assert set(hosts.states().values()) <= {"healthy"}
    world.check()


def test_a_host_that_was_mended_is_tried_with_one_task_and_then_trusted(world: World) -> None:
    world.tasks(world.network(), 400)
    mended = False
    hosts = Fleet(world, HOSTS, lambda run, host: (20.0, "OSError(5)" if host == "b" and not mended else None))
    hosts.work(MINUTE)
    assert hosts.states() == {"b": "banned"}
    mended = True
    before = hosts.now
    hosts.work(6 * MINUTE)
    assert hosts.states() == {"b": "healthy"}
    began = [at for at, host, why in hosts.begun if host == "b" and at > before and why is None]
    assert began[0] - before >= 4 * MINUTE
    assert began[1] > began[0]  # not both of its places at once
    assert len(world.rows("select 1 from attempt where state = 'error'")) <= 5
    world.check()
