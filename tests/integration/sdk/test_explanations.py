"""Why a Task does not run yet, over HTTP and on the command line."""

from collections.abc import Callable

import pytest

from alchemiscale_prefect import AlchemiscaleClient, AlchemiscaleClientError, ScopedKey, TaskExplanation
from alchemiscale_prefect.bootstrap import System
from alchemiscale_prefect.domain.attempts import Capacity
from alchemiscale_prefect.domain.pools import Pool
from alchemiscale_prefect.services import dispatch
from alchemiscale_prefect.store.queries import pools
from tests.command_line import CommandLine


def test_what_stands_before_a_task(
    client: AlchemiscaleClient,
    other_client: AlchemiscaleClient,
    cli: CommandLine,
    network_key: ScopedKey,
    transformation_key: ScopedKey,
    system: System,
    work: Callable[[], int],
) -> None:
    with system.database.transaction() as connection:
        pools.note(connection, Pool("pool", 1, 1), Capacity())
    tasks = client.create_tasks(transformation_key, count=3)
    last = tasks[-1]
    told = client.explain_task(last)
    assert isinstance(told, TaskExplanation)
    assert [hindrance.code for hindrance in told.hindrances] == ["unactioned"]
    assert cli.text("task", "why", last).splitlines()[-1] == "- no network has it actioned"

    client.action_tasks(tasks, network_key)
    client.set_tasks_priority([last], 20)
    told = client.explain_task(str(last))
    (place,) = told.places
    assert (place.network, place.by_priority, place.by_draw, place.chance) == (network_key, 2, 0, 1.0)
    text = cli.text("task", "why", last)
    assert "which has 100 % of the next Tasks: 2 Tasks of lower priority numbers" in text
    assert str(network_key) in text.splitlines()[-1]
    document = cli.json("task", "why", last)
    assert document["hindrances"] == [{"code": "queue", "text": told.hindrances[0].text}]
    assert document["places"][0]["network"] == str(network_key)

    first = next(key for key in tasks[:2] if not client.explain_task(key).hindrances)
    assert "nothing stands before it" in cli.text("task", "why", first)
    dispatch.claim(system.database, Pool("pool", 1, 1))
    claimed = client.explain_task(first)
    assert claimed.attempt is not None
    assert (claimed.attempt.pool, claimed.attempt.state) == ("pool", "dispatched")
    assert claimed.hindrances[0].code == "launch"
    full = "- no work pool takes a Task now: pool is full: 1 of 1 places are taken, 1 of them by what waits"
    assert full in cli.text("task", "why", last)
    assert work() == 2
    assert [hindrance.text for hindrance in client.explain_task(last).hindrances] == ["it is complete"]

    for foreign in (last, ScopedKey.of("Task-none", last.scope)):
        with pytest.raises(AlchemiscaleClientError):
            other_client.explain_task(foreign)
