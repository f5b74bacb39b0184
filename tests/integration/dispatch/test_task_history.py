"""Every change of a Task's status is written down: from what to what, who, why, which attempt."""

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services import dispatch, tasks
from alchemiscale_prefect.store.queries import transitions
from tests.integration.dispatch.failing import CUDA, add, fail
from tests.integration.dispatch.world import Net, World, pool


def history(world: World, key: ScopedKey) -> list[tuple[object, ...]]:
    """The oldest first: from, to, cause, who, why, attempt."""
    with world.database.transaction() as connection:
        (row,) = tasks.tasks.find(connection, [key]).values()
        rows = transitions.of_task(connection, row.id)
    return [(r.from_status, r.to_status, r.cause, r.who, r.why, r.attempt) for r in reversed(rows)]


def test_a_life_with_a_loss_a_failure_and_a_restart(world: World, net: Net) -> None:
    add(world, net, ["CUDA"])
    (key,) = world.tasks(net)
    assert history(world, key) == []
    world.started()
    world.age(91)
    dispatch.give_up_expired(world.database, pool())
    (second,) = world.started()
    fail(second, CUDA)
    world.started()[0].complete()
    world.set_status([key], "deleted")
    assert history(world, key) == [
        ("waiting", "running", "begin", "compute", None, 1),
        ("running", "waiting", "loss", None, "its lease ran out", 1),
        ("waiting", "running", "begin", "compute", None, 2),
        ("running", "error", "outcome", "compute", None, 2),
        ("error", "waiting", "restart", None, None, 2),
        ("waiting", "running", "begin", "compute", None, 3),
        ("running", "complete", "outcome", "compute", None, 3),
        ("complete", "deleted", "user", "user", None, 3),
    ]
    world.check()


def test_what_users_do_has_their_name_and_their_reason(world: World, net: Net) -> None:
    stopped, invalid, untouched = world.tasks(net, 3)
    world.started(3)
    world.cancel(net, [stopped], stop_tasks=True)
    tasks.set_status(world.database, world.user, [invalid, stopped], "invalid", "wrong ligand")
    tasks.set_status(world.database, world.user, [invalid], "deleted", "refused, so not written down")
    assert history(world, stopped)[1:] == [
        ("running", "waiting", "stop", "user", "its Task was cancelled", 1),
        ("waiting", "invalid", "user", "user", "wrong ligand", 1),
    ]
    assert history(world, invalid)[1:] == [("running", "invalid", "user", "user", "wrong ligand", 1)]
    assert len(history(world, untouched)) == 1


def test_what_is_lost_too_often_before_it_began_goes_from_waiting_to_error(world: World, net: Net) -> None:
    (key,) = world.tasks(net)
    (row,) = world.rows("select id from task")
    for n in (1, 2):
        world.claim()
        with world.database.transaction() as connection:
            dispatch.losses.lose(connection, [(row.id, n)], "gone", 2, settled=True)
    assert history(world, key) == [("waiting", "error", "loss", None, "gone", 2)]
    world.check()
