"""What `benchmarks.api` measures: methods with their statements, networks with their Tasks, and the floors."""

import gc
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import psycopg
from gufe import tokenization
from gufe.tokenization import JSON_HANDLER, key_decode_dependencies
from sqlalchemy import event, text

from alchemiscale_prefect import AlchemiscaleClient, Scope, ScopedKey
from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, GufeTokenizable, Transformation
from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.protocols.harmonic import HarmonicProtocol, HarmonicSettings, harmonic_system
from alchemiscale_prefect.services import actions, networks, status_counts, submission, tasks
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import status_counts as counts
from tests.chains import keys_of, network_chain

SCOPE = Scope("benchmark", "api", "one")
OPERATOR = Principal.writing("benchmark", IdentityKind.user, (Scope(),))

GUFE_SCOPE = Scope("benchmark", "api", "gufe")

# Tasks of the networks whose status is asked for, and their Transformations
FEW, MANY = 4_000, 100_000
EDGES = 1_000

Statements = list[tuple[str, Any]]


@dataclass(frozen=True)
class Method:
    """A method of the client, and what it comes to.

    Attributes
    ----------
    call
        It, through the client.
    body
        The body of its request, ``None`` for a GET.
    service
        It, on a database.
    """

    name: str
    call: Callable[[AlchemiscaleClient], Any]
    body: Any
    service: Callable[[Database], Any]


@dataclass(frozen=True)
class World:
    """A network and its Transformations."""

    network: ScopedKey
    transformations: tuple[ScopedKey, ...]


def submitted(database: Database, name: str, edges: int, systems: str | None = None) -> World:
    """A star of so many edges, from a chain without gufe; networks with equal `systems` share their Transformations."""
    names = [f"{systems or name} {n}" for n in range(edges + 1)]
    chain = network_chain(name, names, [(0, n + 1) for n in range(edges)])
    network = submission.create_network(database, OPERATOR, chain, SCOPE)
    return World(network, tuple(ScopedKey.of(key, SCOPE) for key in keys_of(chain, "Transformation")))


# --- single calls -----------------------------------------------------------------------------------------------------


def methods(database: Database) -> list[Method]:
    """Representative methods, on a network with a few Tasks."""
    world = submitted(database, "calls", 10)
    network, transformation = world.network, world.transformations[0]
    made = [ScopedKey.from_str(key) for key in tasks.create(database, OPERATOR, list(world.transformations))]
    actions.action(database, OPERATOR, network, made)
    task, document = made[0], {"tasks": [made[0].to_dict()]}
    return [
        Method(
            "get_tasks_status",
            lambda client: client.get_tasks_status([task]),
            document,
            lambda db: tasks.get_statuses(db, OPERATOR, [task]),
        ),
        Method(
            "get_network_weight",
            lambda client: client.get_network_weight(network),
            None,
            lambda db: networks.get_weights(db, OPERATOR, [network]),
        ),
        Method(
            "get_network_status",
            lambda client: client.get_network_status(network, visualize=False),
            None,
            lambda db: status_counts.of_networks(db, OPERATOR, [network]),
        ),
        Method(
            "query_networks",
            lambda client: client.query_networks(),
            None,
            lambda db: networks.query(db, OPERATOR, Scope(), None, None),
        ),
        Method(
            "get_network_tasks",
            lambda client: client.get_network_tasks(network),
            None,
            lambda db: tasks.of_network(db, OPERATOR, network, None),
        ),
        Method(
            "create_tasks",
            lambda client: client.create_tasks(transformation),
            {"extends": None, "count": 1},
            lambda db: tasks.create(db, OPERATOR, [transformation]),
        ),
        Method(
            "action_tasks",
            lambda client: client.action_tasks([task], network, weight=0.5),
            {**document, "weight": 0.5},
            lambda db: actions.action(db, OPERATOR, network, [task], 0.5),
        ),
        Method(
            "set_tasks_status",
            lambda client: client.set_tasks_status([task], "waiting"),
            {**document, "status": "waiting"},
            lambda db: tasks.set_status(db, OPERATOR, [task], "waiting"),
        ),
    ]


def recorded(database: Database, wanted: Sequence[Method]) -> dict[str, Any]:
    """For each method what it sends to the database, without what the API adds for every request, and its answer."""
    statements: Statements = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        statements.append((statement, parameters))

    found = {}
    event.listen(database.engine, "before_cursor_execute", note)
    try:
        for method in wanted:
            statements.clear()
            answer = method.service(database)
            found[method.name] = {"statements": list(statements), "answer": answer}
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    return found


# --- many Tasks -------------------------------------------------------------------------------------------------------


def bare_create(connection: psycopg.Connection, transformations: Sequence[ScopedKey]) -> None:
    """As many Tasks by one statement, without what counts them."""
    with connection.transaction():
        connection.execute("alter table task disable trigger user")
        connection.execute(
            "insert into task (key, scope_id, transformation_id, creator) "
            "select 'Task-' || replace(gen_random_uuid()::text, '-', ''), o.scope_id, o.id, 'bare' "
            "from unnest(%s::text[]) as given(key) join gufe_object o using (key)",
            [[key.gufe_key for key in transformations]],
        )
        connection.execute("alter table task enable trigger user")


def bare_action(connection: psycopg.Connection, made: Sequence[ScopedKey], network: ScopedKey) -> None:
    """As many actions by one statement."""
    with connection.transaction():
        connection.execute(
            "insert into action (network_id, task_id, scope_id, weight, priority, draw, queued) "
            "select (select id from gufe_object where key = %s), id, scope_id, 0.5, priority, random(), true "
            "from task where key = any(%s)",
            [network.gufe_key, [key.gufe_key for key in made]],
        )


# --- very many Tasks --------------------------------------------------------------------------------------------------

_TASKS = text(
    """
    insert into task (key, scope_id, transformation_id, status)
    select 'Task-' || replace(cast(gen_random_uuid() as text), '-', ''), tf.scope_id, tf.id,
           (array['waiting', 'running', 'complete', 'error'])[1 + n / :edges % 4]
    from generate_series(0, :tasks - 1) n
    join unnest(cast(:keys as text[])) with ordinality as given(key, at) on given.at = 1 + n % :edges
    join gufe_object tf on tf.key = given.key
    """
)


def fill(database: Database, total: int) -> dict[int, ScopedKey]:
    """Networks of 1,000 Transformations each: number of Tasks → network. A further one has the rest of `total`."""
    found = {}
    rest = total - FEW - MANY
    with database.transaction() as connection:
        # without triggers, foreign keys included: in seconds
        connection.execute(text("set local session_replication_role = replica"))
        for tasks_of_one in (FEW, MANY, rest):
            world = submitted(database, f"filled {tasks_of_one}", EDGES)
            keys = [key.gufe_key for key in world.transformations]
            connection.execute(_TASKS, {"tasks": tasks_of_one, "edges": EDGES, "keys": keys})
            found[tasks_of_one] = world.network
        counts.recount(connection)
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("vacuum analyze"))
    return {size: found[size] for size in (FEW, MANY)}


# --- gufe objects -----------------------------------------------------------------------------------------------------


def gufe_network(systems: int, edges: int) -> AlchemicalNetwork:
    """Harmonic wells, each an edge away from the next ones."""
    protocol = HarmonicProtocol(HarmonicSettings())
    wells = [harmonic_system(50 * 10 ** (n / systems), name=f"well {n:04d}") for n in range(systems)]
    pairs = [(a, a + step) for step in range(1, systems) for a in range(systems - step)][:edges]
    transformations = [
        Transformation(stateA=wells[a], stateB=wells[b], protocol=protocol, name=f"{a} to {b}") for a, b in pairs
    ]
    return AlchemicalNetwork(nodes=wells, edges=transformations, name=f"{systems} systems, {edges} edges")


def decoded_network(client: AlchemiscaleClient, systems: int, edges: int) -> tuple[bytes, ScopedKey]:
    """A network's text, and where it was submitted to."""
    network = gufe_network(systems, edges)
    return keyed_chains.to_json(network), client.create_network(network, GUFE_SCOPE)


def gufe_decode(text_: bytes) -> GufeTokenizable:
    """What gufe itself does with a keyed chain's JSON text; written out, since 0.4 has the parts only."""
    objects: dict[str, GufeTokenizable] = {}
    options = {"registry": objects} if "registry" in signature(key_decode_dependencies).parameters else {}
    for key, keyed in json.loads(text_, cls=JSON_HANDLER.decoder):
        objects[key] = key_decode_dependencies(keyed, **options)
    return objects[key]


def forget() -> None:
    """Have gufe make every object anew: one that is alive it would give instead."""
    gc.collect()
    alive = len(tokenization.TOKENIZABLE_REGISTRY)
    assert alive < 100, f"{alive} gufe objects are alive"
