"""``python -m benchmarks.iterations``: what an iteration of a Strategy costs on a network with many results.

Beside it stands an iteration of the same Strategy that is given all results anew, as it would be without the numbers
that are kept of each. Each is the whole: read from Postgres, propose, act, with ten new results since the iteration
before. CPU seconds of this process; Postgres' own are told by the wall time beside them. The goal is a twentieth of
that, and two seconds.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.strategies import StrategyState
from alchemiscale_prefect.protocols.generated import generated_network
from alchemiscale_prefect.services import iterations, strategies, submission
from alchemiscale_prefect.store import schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.embedded import EmbeddedPostgres
from alchemiscale_prefect.store.objects.local import LocalObjectStore
from alchemiscale_prefect.strategies import ConnectivityStrategy, performing
from alchemiscale_prefect.strategies.connectivity import ConnectivityStrategySettings
from tests.protocol_runs import run_transformation

SCOPE = Scope("benchmark", "strategy", "iterations")
USER = Principal.writing("user", IdentityKind.user, (SCOPE,))
LOCATION = "result"
GOAL, GOAL_SECONDS = 20.0, 2.0

_RESULTS = """
    with made as (
        insert into task (key, scope_id, transformation_id, status, attempts)
        select 'Task-' || :batch || '-' || tf.id || '-' || n, tf.scope_id, tf.id, 'complete', 1
        from (select * from transformation order by id limit :edges) tf, generate_series(1, :each) n
        returning id, scope_id, transformation_id),
    tried as (
        insert into attempt (task_id, n, pool, state, tags, started_at, ended_at)
        select id, 1, 'pool', 'complete', '[]', now() - interval '1 hour', now() from made)
    insert into result (key, scope_id, transformation_id, task_id, attempt, ok, protocol_dag_result_key, location, size,
                        estimate, uncertainty, units, creator)
    select 'ProtocolDAGResultRef-' || id, scope_id, transformation_id, id, 1, true, 'ProtocolDAGResult-1', :location, 1,
           random(), 0.5, 'kilojoule_per_mole', 'compute' from made
"""


def add_results(database: Database, batch: int, edges: int, each: int) -> None:
    """So many results of so many Transformations."""
    with database.transaction() as connection:
        parameters = {"batch": batch, "edges": edges, "each": each, "location": LOCATION}
        connection.execute(text(_RESULTS), parameters)
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("vacuum analyze"))


def measured(call: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=2000)
    parser.add_argument("--each", type=int, default=5, help="results of each Transformation")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    network = generated_network(given.edges)
    with tempfile.TemporaryDirectory(prefix="alch-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        database = Database(postgres.start())
        store = LocalObjectStore(Path(folder) / "objects")
        schema.upgrade(database)
        key = submission.create_network(database, USER, json.loads(keyed_chains.to_json(network)), SCOPE)
        store.put(LOCATION, _one_result(network, Path(folder)))
        strategy = ConnectivityStrategy(ConnectivityStrategySettings(max_runs=1000))
        chain = json.loads(keyed_chains.to_json(strategy))
        strategies.set_strategy(database, USER, key, chain, StrategyState(max_tasks_per_transformation=1))
        add_results(database, 0, given.edges, given.each)

        def perform() -> None:
            done = iterations.perform(database, store, performing.propose, key)
            assert done is not None
            assert done.exception is None, done.exception

        perform()
        kept: list[tuple[float, float]] = []
        for batch in range(1, given.rounds + 1):
            add_results(database, batch, 10, 1)
            kept.append(measured(perform))
        sufficient = performing.reads_summaries
        performing.reads_summaries = lambda _: False
        anew = measured(perform)
        performing.reads_summaries = sufficient
        database.close()
        postgres.stop()
    _show(
        given.edges, given.edges * given.each, [statistics.median(column) for column in zip(*kept, strict=True)], anew
    )


def _one_result(network: AlchemicalNetwork, folder: Path) -> bytes:
    """A result of a Transformation of the network, compressed as it is stored."""
    return keyed_chains.compress(run_transformation(min(network.edges, key=lambda edge: str(edge.key)), folder))


def _show(edges: int, results: int, kept: Sequence[float], anew: Sequence[float]) -> None:
    table = Table(
        title=f"{edges} Transformations, {results} results, 10 of them new; goals 1/{GOAL:.0f}, {GOAL_SECONDS} s"
    )
    for column in ("an iteration that reads", "CPU s", "wall s"):
        table.add_column(column)
    fits = kept[1] < GOAL_SECONDS and kept[0] * GOAL <= anew[0]
    table.add_row("what is kept of each result", *(f"[{'green' if fits else 'red'}]{taken:.2f}[/]" for taken in kept))
    table.add_row("every result", *(f"{taken:.2f}" for taken in anew))
    table.add_row("ratio", *(f"{after / before:.0f}" for before, after in zip(kept, anew, strict=True)))
    Console().print(table)


if __name__ == "__main__":
    main()
