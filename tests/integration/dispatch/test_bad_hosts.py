"""A fleet at work: a bad host is kept from the queue, a bad Transformation costs no host."""

from tests.integration.dispatch.fleet import MINUTE, Fleet
from tests.integration.dispatch.world import World

HOSTS = {"a": 2, "b": 2, "c": 2}


def test_a_bad_host_among_three_touches_hardly_any_task_after_its_third_failure(world: World) -> None:
    for n in range(2):
        world.tasks(world.network(f"net {n}", systems=(f"{n}a", f"{n}b")), 120)
    # after a minute, one of them breaks
    hosts = Fleet(world, HOSTS, lambda run, host: (20.0, "OSError(5)" if host == "b" and hosts.now >= MINUTE else None))
    hosts.work(2 * MINUTE)
    assert {host for _, host in hosts.failed} == {"b"}
    third, _ = hosts.failed[2]
    hosts.work(third + 5 * MINUTE - hosts.now)
    touched = [host for at, host, _ in hosts.begun if third <= at < third + 5 * MINUTE]
    assert len(touched) > 50
    assert touched.count("b") / len(touched) <= 0.05  # those that were refused there are among them
    assert len(hosts.failed) == 4  # the third, and what ran beside it
    assert hosts.states() == {"b": "banned"}
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
