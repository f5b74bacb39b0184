"""``python -m benchmarks.claim``: claims per second, however many Tasks wait and wherever they do.

A claim must cost the same among 10,000 waiting Tasks as among a million (``--large``), with all of them on one
network, on many, or behind thousands of networks that have none. Each claim is a transaction of its own, as in a
dispatcher whose buffer has one free slot; so the time includes its commit.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.services import submission
from alchemiscale_prefect.store import queue, schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.embedded import EmbeddedPostgres
from tests.chains import network_chain

SIZES = (10_000, 100_000)
LARGE = 1_000_000

SCOPE = Scope("benchmark", "claim", "one")

# the first network has `share` of the Tasks, the next `busy` - 1 the others; five priorities
_TASKS = """
    with made as (
        insert into task (key, scope_id, transformation_id, priority)
        select 'Task-' || md5(n::text), t.scope_id, t.id, 8 + n % 5 from transformation t, generate_series(1, :tasks) n
        returning id, scope_id, priority),
    net as (select id, row_number() over (order by id) as n from network limit :busy)
    insert into action (network_id, task_id, scope_id, weight, priority, draw, queued)
    select net.id, made.id, made.scope_id, 0.5, made.priority, -ln(1 - random()) / 0.5, true
    from made join net on net.n = case when random() < :share then 1 else 2 + made.id % greatest(:busy - 1, 1) end
"""


@dataclass(frozen=True)
class Case:
    """How the Tasks lie.

    Attributes
    ----------
    networks, busy
        All of them, and those on which Tasks wait.
    share
        Of the Tasks on the first of these.
    """

    name: str
    networks: int
    busy: int
    share: float


CASES = (
    Case("20 networks alike", 20, 20, 0.05),
    Case("99 % on one of 20", 20, 20, 0.99),
    Case("all on one", 1, 1, 1.0),
    Case("on 5 of 2,000 networks", 2_000, 5, 0.2),
)


@dataclass(frozen=True)
class Measured:
    """Milliseconds of single claims, in order."""

    milliseconds: tuple[float, ...]

    @property
    def per_second(self) -> float:
        """Claims per second, one after the other."""
        return 1000 * len(self.milliseconds) / sum(self.milliseconds)

    def quantile(self, percent: int) -> float:
        """Milliseconds that so many percent of the claims stay below."""
        return statistics.quantiles(self.milliseconds, n=100)[percent - 1]


@contextmanager
def filled(url: str, case: Case, tasks: int) -> Iterator[Database]:
    """A database of its own with so many waiting Tasks."""
    server = Database(url, pool_size=1)
    name = f"claim_{time.time_ns()}"
    administration = server.engine.execution_options(isolation_level="AUTOCOMMIT")
    with administration.connect() as connection:
        connection.execute(text(f"create database {name}"))
    database = Database(server.engine.url.set(database=name).render_as_string(hide_password=False), pool_size=1)
    try:
        schema.upgrade(database)
        operator = Principal.writing("benchmark", IdentityKind.user, (SCOPE,))
        for number in range(case.networks):
            chain = network_chain(f"network {number}", ("a", "b"), [(0, 1)])
            submission.create_network(database, operator, chain, SCOPE)
        with database.transaction() as connection:
            connection.execute(text("update network set weight = 0.1 + 0.9 * random()"))
            connection.execute(text(_TASKS), {"tasks": tasks, "busy": case.busy, "share": case.share})
        with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("vacuum analyze"))
            connection.execute(text("checkpoint"))
        yield database
    finally:
        database.close()
        with administration.connect() as connection:
            connection.execute(text(f"drop database {name}"))
        server.close()


def measure(database: Database, claims: int) -> Measured:
    """Claim one Task at a time."""
    taken = []
    for _ in range(claims):
        begin = time.perf_counter()
        with database.transaction() as connection:
            found = queue.claim(connection, "benchmark", 1)
        taken.append(1000 * (time.perf_counter() - begin))
        assert len(found) == 1
    return Measured(tuple(taken))


def table(results: dict[tuple[Case, int], Measured], sizes: tuple[int, ...]) -> Table:
    """What was measured, and how much slower the most Tasks are than the fewest."""
    shown = Table(title="Claims of one Task, each committed")
    for name in ("Tasks wait", "how many", "claims/s", "median ms", "99 % below ms", "the last 10 % / the first"):
        shown.add_column(name, justify="left" if name == "Tasks wait" else "right")
    for case in CASES:
        for size in sizes:
            found = results[case, size]
            tenth = len(found.milliseconds) // 10
            drift = statistics.median(found.milliseconds[-tenth:]) / statistics.median(found.milliseconds[:tenth])
            numbers = (f"{found.per_second:,.0f}", f"{found.quantile(50):.2f}", f"{found.quantile(99):.2f}")
            shown.add_row(case.name, f"{size:,}", *numbers, f"{drift:.2f}")
        ratio = results[case, sizes[-1]].quantile(50) / results[case, sizes[0]].quantile(50)
        shown.add_row("", f"[bold]× {ratio:.2f}[/]", "", "", "", "", end_section=True)
    return shown


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help=f"with {LARGE:,} waiting Tasks too")
    parser.add_argument("--claims", type=int, default=1000, help="claims in each case")
    parser.add_argument("--database-url", help="a Postgres whose user may create databases; one of our own otherwise")
    arguments = parser.parse_args()
    sizes = (*SIZES, LARGE) if arguments.large else SIZES
    with tempfile.TemporaryDirectory(prefix="claim-") as folder:
        embedded = None if arguments.database_url else EmbeddedPostgres(Path(folder) / "postgres")
        url = embedded.start() if embedded else arguments.database_url
        try:
            results = {}
            for case in CASES:
                for size in sizes:
                    with filled(url, case, size) as database:
                        results[case, size] = measure(database, arguments.claims)
        finally:
            if embedded:
                embedded.stop()
    Console().print(table(results, sizes))


if __name__ == "__main__":
    main()
