"""``python -m benchmarks.api``: what the API costs beside what it cannot do without, over real HTTP.

Four questions, each answered by ratios of medians taken in turns in this run:

- a call of a method, beside a bare FastAPI endpoint that sends the same statements (goal: 2 times);
- creating and actioning many Tasks, beside the same rows by one ``INSERT … SELECT`` (4 times);
- ``get_network_status`` among a million Tasks, beside an empty route (5 times, however many Tasks the network has);
- ``get_network``, beside gufe's own decoding of the same text (2 times, and linear).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
from rich.console import Console
from rich.table import Table

from alchemiscale_prefect import AlchemiscaleClient, ScopedKey
from alchemiscale_prefect.store.database import Database
from benchmarks import api_subjects as subjects
from benchmarks.api_process import ApiProcess, api_process, bare_process
from benchmarks.bare_api import EMPTY, METHOD

CALL, BULK, STATUS, DECODE = 2.0, 4.0, 5.0, 2.0

# unmeasured rounds: connections, prepared statements, caches
WARM_UP = 2


@dataclass(frozen=True)
class Result:
    """A cost beside its floor, both in seconds; ``goal`` times the floor is allowed."""

    name: str
    cost: float
    floor: float
    goal: float | None

    @property
    def ratio(self) -> float:
        """Times the floor."""
        return self.cost / self.floor


def in_turns(rounds: int, prepare: Callable[[], Any] | None = None, **actions: Callable[[], Any]) -> dict[str, float]:
    """Median seconds of each action; they are done in turns, so that a busy machine is busy for all.

    Parameters
    ----------
    prepare
        Done before each, unmeasured.
    """
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(WARM_UP + rounds):
        for name, action in actions.items():
            if prepare is not None:
                prepare()
            begin = time.perf_counter()
            action()
            taken[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values[WARM_UP:]) for name, values in taken.items()}


def calls(client: AlchemiscaleClient, bare: httpx.Client, methods: list[subjects.Method], rounds: int) -> list[Result]:
    """Calls of single methods."""
    found = []
    for method in methods:
        path = METHOD.format(name=method.name)

        def floor(method: subjects.Method = method, path: str = path) -> object:
            answer = bare.get(path) if method.body is None else bare.post(path, json=method.body)
            return answer.raise_for_status().json()

        taken = in_turns(rounds, cost=lambda method=method: method.call(client), floor=floor)  # type: ignore[misc]
        found.append(Result(f"{method.name} (1)", taken["cost"], taken["floor"], CALL))
    return found


def bulk(
    client: AlchemiscaleClient, database: Database, connection: psycopg.Connection, count: int, rounds: int
) -> list[Result]:
    """Many Tasks created, then actioned; the floor actions them on another network of the same Transformations."""
    world, twin = (subjects.submitted(database, name, 100, "bulk") for name in ("bulk", "bulk twin"))
    transformations = [world.transformations[n % len(world.transformations)] for n in range(count)]
    made: list[ScopedKey] = []

    def create() -> None:
        made[:] = client.create_transformations_tasks(transformations)

    def action() -> None:
        assert None not in client.action_tasks(made, world.network)

    taken = in_turns(
        rounds,
        create=create,
        bare_create=lambda: subjects.bare_create(connection, transformations),
        action=action,
        bare_action=lambda: subjects.bare_action(connection, made, twin.network),
    )
    return [
        Result(f"create_transformations_tasks ({count:,})", taken["create"], taken["bare_create"], BULK),
        Result(f"action_tasks ({count:,})", taken["action"], taken["bare_action"], BULK),
    ]


def status(client: AlchemiscaleClient, bare: httpx.Client, database: Database, total: int, rounds: int) -> list[Result]:
    """Networks of as many Transformations with few and with many Tasks, in a database with very many."""
    networks = subjects.fill(database, total)
    found = []
    for tasks, network in networks.items():
        taken = in_turns(
            rounds,
            cost=lambda network=network: client.get_network_status(network, visualize=False),  # type: ignore[misc]
            floor=lambda: bare.get(EMPTY).raise_for_status().json(),
        )
        name = f"get_network_status, {tasks:,} Tasks of {total:,}"
        found.append(Result(name, taken["cost"], taken["floor"], STATUS))
    return found


def decoding(server: ApiProcess, rounds: int) -> list[Result]:
    """Networks of gufe objects fetched and decoded."""
    found = []
    for systems, edges in ((100, 200), (1000, 2000)):
        clients = [new_client(server)]
        text, network = subjects.decoded_network(clients[0], systems, edges)

        def prepare(clients: list[AlchemiscaleClient] = clients) -> None:
            # a client keeps what it has decoded
            clients.pop().close()
            clients.append(new_client(server))
            clients[0].get_info()
            subjects.forget()

        def get(clients: list[AlchemiscaleClient] = clients, network: ScopedKey = network) -> None:
            clients[0].get_network(network, visualize=False)

        def gufe(text: bytes = text) -> None:
            subjects.gufe_decode(text)

        taken = in_turns(rounds, prepare, get=get, gufe=gufe)
        found.append(Result(f"get_network, {systems:,} systems, {edges:,} edges", taken["get"], taken["gufe"], DECODE))
    return found


def new_client(server: ApiProcess) -> AlchemiscaleClient:
    """A client without a cache on disk."""
    return AlchemiscaleClient(server.url, server.identifier, server.key, use_local_cache=False)


def table(results: list[Result], title: str) -> Table:
    """Costs beside their floors."""
    shown = Table(title=title)
    for name in ("call", "ms", "floor ms", "×", "goal"):
        shown.add_column(name, justify="left" if name == "call" else "right")
    for result in results:
        colour = "" if result.goal is None else "green" if result.ratio <= result.goal else "red"
        ratio = f"[{colour}]{result.ratio:.2f}[/]" if colour else f"{result.ratio:.2f}"
        numbers = (f"{1000 * result.cost:,.2f}", f"{1000 * result.floor:,.2f}", ratio)
        shown.add_row(result.name, *numbers, "" if result.goal is None else f"{result.goal:g}")
    return shown


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="calls of each single method")
    parser.add_argument("--bulk", type=int, default=10_000, help="Tasks created and actioned at once")
    parser.add_argument("--tasks", type=int, default=1_000_000, help="Tasks in the database for get_network_status")
    arguments = parser.parse_args()
    results: dict[str, list[Result]] = {}
    with (
        api_process() as server,
        closing(Database(server.database_url)) as database,
        new_client(server) as client,
    ):
        methods = subjects.methods(database)
        with (
            bare_process(server, subjects.recorded(database, methods)) as bare,
            psycopg.connect(server.database_url.replace("+psycopg", "")) as connection,
        ):
            results["Single calls beside the same SQL in bare FastAPI"] = calls(client, bare, methods, arguments.rounds)
            results["Beside one INSERT … SELECT"] = bulk(client, database, connection, arguments.bulk, 7)
            results["Beside an empty route"] = status(client, bare, database, arguments.tasks, arguments.rounds)
            results["Beside gufe's own decoding"] = decoding(server, 5)
    console = Console(width=max(Console().width, 110))
    for title, found in results.items():
        console.print(table(found, title))
    small, large = results["Beside gufe's own decoding"]
    console.print(f"Ten times the edges take get_network {large.cost / small.cost:.1f} times as long.")
    few, *_, many = results["Beside an empty route"]
    console.print(f"Twenty-five times the Tasks take get_network_status {many.cost / few.cost:.2f} times as long.")


if __name__ == "__main__":
    main()
