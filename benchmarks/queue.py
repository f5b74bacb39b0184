"""``python -m benchmarks.queue``: what claims cost, however many Tasks wait; how many a second; in which order.

Three measurements, each beside its baseline and in turns with it, on one Postgres:

- A claim among 1,000,000 waiting Tasks beside one among 10,000: on many networks, skewed, all on one, behind thousands
  of idle networks, with fair share. Each claim is a transaction of its own, as in a dispatcher with one free place.
- Claims per second of eight claimers beside the jobs that eight workers of procrastinate, a queue on Postgres, fetch.
  A claimer takes as many Tasks in a transaction as its dispatcher has free places. A dispatcher makes at most five
  passes a second: at the rate of procrastinate, eight of them have some twenty places in each.
- The order of 10,000 claims beside the specified probabilities, while weights are changed and Tasks are added.

Postgres does not wait for its disk here, which would hide what is measured.
"""

import argparse
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.domain.shares import Shares
from alchemiscale_prefect.services import shares as fair_share
from alchemiscale_prefect.services import submission
from alchemiscale_prefect.store import queue, schema
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.embedded import EmbeddedPostgres
from tests.chains import network_chain
from tests.integration.dispatch.world import World
from tests.weighted_order import chance_of, chi_square, measure

SMALL, LARGE = 10_000, 1_000_000
SCOPES = [Scope(f"org_{letter}", "benchmark", "queue") for letter in "abcd"]
OPERATOR = Principal.writing("benchmark", IdentityKind.user, SCOPES)
SHARES = Shares({Scope("org_a"): 3.0, Scope("org_b"): 1.0, Scope("org_c"): 2.0}, timedelta(hours=24))
# attempts that ended within the window, which fair share adds up
ENDED = 10_000
CLAIMERS = 8

_TASKS = """
    insert into task (key, scope_id, transformation_id, priority)
    select 'Task-' || md5(n::text), t.scope_id, t.id, 8 + n % 5
    from generate_series(1, :tasks) n
    join (select id, scope_id, row_number() over (order by id) - 1 as place from transformation order by id) t
        on t.place = n % :networks
"""

# those that ended are no longer actioned
_ENDED = """
    with made as (
        insert into task (key, scope_id, transformation_id, status, attempts)
        select 'Task-ended-' || n, t.scope_id, t.id, 'error', 1
        from generate_series(1, :ended) n, (select id, scope_id from transformation order by id limit 1) t
        returning id)
    insert into attempt (task_id, n, pool, state, tags, started_at, ended_at)
    select id, 1, 'ended', 'error', '[]', now() - random() * interval '20 hours', now() from made
"""

# the first network has `share` of the Tasks, the next `busy` - 1 the others
_ACTIONS = """
    with net as (select id, row_number() over (order by id) as n from network limit :busy)
    insert into action (network_id, task_id, scope_id, weight, priority, draw, queued)
    select net.id, t.id, t.scope_id, 0.5, t.priority, -ln(1 - random()) / 0.5, true
    from task t
    join net on net.n = case when random() < :share then 1 else 2 + t.id % greatest(:busy - 1, 1) end
    where t.status = 'waiting'
"""


@dataclass(frozen=True)
class Case:
    """How the Tasks lie.

    Attributes
    ----------
    busy
        Networks on which Tasks wait, of all `networks`.
    share
        Of the Tasks on the first of these.
    fair
        Whether fair share decides whose turn it is.
    """

    name: str
    busy: int
    share: float
    fair: bool = False


CASES = (
    Case("20 networks alike", 20, 0.05),
    Case("99 % on one of 20", 20, 0.99),
    Case("all on one", 1, 1.0),
    Case("on 500 networks", 500, 0.002),
    Case("20 networks, fair share", 20, 0.05, fair=True),
)


class Subject:
    """A database with networks and Tasks, in which these lie as a case says.

    Parameters
    ----------
    networks
        How many; in turns of four organisations.
    """

    def __init__(self, server: Database, name: str, tasks: int, networks: int) -> None:
        self.server, self.name, self.tasks = server, name, tasks
        with _administering(server) as connection:
            connection.execute(text(f"create database {name}"))
            connection.execute(text(f"alter database {name} set synchronous_commit = off"))
        url = server.engine.url.set(database=name)
        self.database = Database(url.render_as_string(hide_password=False), pool_size=CLAIMERS)
        schema.upgrade(self.database)
        for number in range(networks):
            chain = network_chain(f"network {number}", ("a", f"{number}"), [(0, 1)])
            submission.create_network(self.database, OPERATOR, chain, SCOPES[number % len(SCOPES)])
        with self.database.transaction() as connection:
            connection.execute(text("update network set weight = 0.1 + 0.9 * random()"))
            connection.execute(text(_TASKS), {"tasks": tasks, "networks": networks})
            connection.execute(text(_ENDED), {"ended": ENDED})

    def lay(self, case: Case) -> None:
        """Have all Tasks wait, as the case says, and none be under way."""
        with self.database.transaction() as connection:
            connection.execute(text("truncate action cascade"))
            connection.execute(text("delete from attempt where state = 'dispatched'"))
            connection.execute(text(_ACTIONS), {"busy": case.busy, "share": case.share})
        with _administering(self.database) as connection:
            connection.execute(text("vacuum analyze"))
            connection.execute(text("checkpoint"))

    def claim(self, count: int, shares: Shares | None = None, pool: str = "benchmark") -> int:
        """One transaction of a dispatcher."""
        with self.database.transaction() as connection:
            return len(queue.claim(connection, pool, count, fair_share.hand_out(connection, shares)))

    def close(self) -> None:
        """Drop it."""
        self.database.close()
        with _administering(self.server) as connection:
            connection.execute(text(f"drop database {self.name}"))


@contextmanager
def _administering(database: Database) -> Iterator[Connection]:
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        yield connection


# --- what a claim costs -----------------------------------------------------------------------------------------------


def costs(small: Subject, large: Subject, case: Case, claims: int) -> tuple[list[float], list[float]]:
    """Milliseconds of single claims in both, in turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(-50, claims):  # the first make plans and connections
        for subject, into in zip((small, large), taken, strict=True):
            begin = time.perf_counter()
            assert subject.claim(1, SHARES if case.fair else None) == 1
            if number >= 0:
                into.append(1000 * (time.perf_counter() - begin))
    return taken


def show_costs(console: Console, small: Subject, large: Subject, claims: int) -> None:
    """Each case, and how much slower the most Tasks are than the fewest."""
    shown = Table(title=f"A claim among {large.tasks:,} waiting Tasks beside one among {small.tasks:,} (goal: ≤ 1.5)")
    for name in ("Tasks wait", "median ms", "beside", "ratio", "of the 95 % percentiles", "last tenth / first"):
        shown.add_column(name, justify="left" if name == "Tasks wait" else "right")
    for case in CASES:
        small.lay(case)
        large.lay(case)
        few, many = costs(small, large, case, claims)
        tenth = max(len(many) // 10, 1)
        drift = statistics.median(many[-tenth:]) / statistics.median(many[:tenth])
        tails = statistics.quantiles(many, n=20)[-1] / statistics.quantiles(few, n=20)[-1]
        medians = statistics.median(many), statistics.median(few)
        ratio = medians[0] / medians[1]
        shown.add_row(
            case.name, f"{medians[0]:.2f}", f"{medians[1]:.2f}", f"[bold]{ratio:.2f}[/]", f"{tails:.2f}", f"{drift:.2f}"
        )
    console.print(shown)


# --- how many in a second ---------------------------------------------------------------------------------------------


def rate(work: Callable[[int], int], seconds: float) -> float:
    """What all claimers together get in a second."""
    stop = time.perf_counter() + seconds
    done = [0] * CLAIMERS

    def claimer(number: int) -> None:
        while time.perf_counter() < stop:
            done[number] += work(number)

    threads = [threading.Thread(target=claimer, args=(number,)) for number in range(CLAIMERS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - begin)


@contextmanager
def procrastinate_fetch(subject: Subject, jobs: int) -> Iterator[Callable[[int], int]]:
    """What a worker of procrastinate does to get a job, with so many waiting, in the database of the Tasks."""
    try:
        import procrastinate
        from procrastinate import SyncPsycopgConnector
        from procrastinate.sql import queries
    except ImportError as error:
        raise SystemExit("this measurement needs procrastinate: `make bench` installs it") from error
    url = subject.database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connector = SyncPsycopgConnector(conninfo=url, min_size=CLAIMERS, max_size=CLAIMERS)
    app = procrastinate.App(connector=connector)
    with app.open():
        app.schema_manager.apply_schema()
        with subject.database.transaction() as connection:
            connection.execute(
                text(
                    "insert into procrastinate_jobs (queue_name, task_name, priority, args) "
                    "select 'benchmark', 'task', 0, '{}' from generate_series(1, :jobs)"
                ),
                {"jobs": jobs},
            )
        with _administering(subject.database) as connection:
            connection.execute(text("vacuum analyze"))

        def fetch(_claimer: int) -> int:
            row = connector.execute_query_one(query=queries["fetch_job"], queues=None, worker_id=None)
            assert row["id"] is not None, "no jobs are left"
            return 1

        yield fetch


def show_rates(console: Console, subject: Subject, rounds: int, seconds: float) -> None:
    """Claims per second beside procrastinate's, for several numbers of free places."""
    batches = (1, 4, 16)
    found: dict[int, list[tuple[float, float]]] = {batch: [] for batch in batches}
    subject.lay(CASES[0])
    with procrastinate_fetch(subject, subject.tasks) as fetch:
        for number in range(-1, rounds):  # the first makes plans and connections
            for batch in batches:

                def claim(claimer: int, batch: int = batch) -> int:
                    return subject.claim(batch, pool=f"pool-{claimer}")

                pair = (rate(claim, seconds), rate(fetch, seconds))
                if number >= 0:
                    found[batch].append(pair)
    assert subject.claim(1) == 1, "no Tasks are left"
    shown = Table(
        title=f"{CLAIMERS} claimers beside {CLAIMERS} workers of procrastinate, {subject.tasks:,} waiting (goal: ≥ 1)"
    )
    for name in ("free places of a claimer", "Tasks/s", "jobs/s", "ratio", "of each round"):
        shown.add_column(name, justify="right")
    for batch, pairs in found.items():
        ours, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
        ratios = [one / other for one, other in pairs]
        each = " ".join(f"{ratio:.2f}" for ratio in ratios)
        shown.add_row(f"{batch}", f"{ours:,.0f}", f"{theirs:,.0f}", f"[bold]{statistics.median(ratios):.2f}[/]", each)
    console.print(shown)


# --- in which order ---------------------------------------------------------------------------------------------------


def show_order(console: Console, server: Database, claims: int) -> None:
    """Chi-square of claims among changing weights."""
    name = f"order_{time.time_ns()}"
    with _administering(server) as connection:
        connection.execute(text(f"create database {name}"))
    database = Database(server.engine.url.set(database=name).render_as_string(hide_password=False))
    try:
        schema.upgrade(database)
        with tempfile.TemporaryDirectory(prefix="order-") as folder:
            order = measure(World(database, Path(folder)), claims, max(claims // 1000, 1), random.randrange(1000))
    finally:
        database.close()
        with _administering(server) as connection:
            connection.execute(text(f"drop database {name}"))
    statistic, freedom = chi_square(order.observed, order.expected)
    # a chi-square variable over its degrees of freedom is 1 ± sqrt(2 / freedom)
    deviations = (statistic - freedom) / (2 * freedom) ** 0.5
    console.print(
        f"[bold]Order of {claims:,} claims[/], weights changed and Tasks added after each thousand: chi-square "
        f"{statistic:.1f} for {freedom} degrees of freedom, {deviations:+.1f} standard deviations; chance of as much: "
        f"at most {chance_of(statistic, freedom):.2g}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--tasks", type=int, default=LARGE, help="that wait, at most")
    parser.add_argument("--networks", type=int, default=2_000)
    parser.add_argument("--claims", type=int, default=600, help="in each case")
    parser.add_argument("--rounds", type=int, default=5, help="beside procrastinate; 0 leaves that out")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a round")
    parser.add_argument("--order", type=int, default=10_000, help="claims whose order is looked at; 0 leaves that out")
    parser.add_argument("--database-url", help="a Postgres whose user may create databases; one of our own otherwise")
    given = parser.parse_args(arguments)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="queue-") as folder:
        embedded = None if given.database_url else EmbeddedPostgres(Path(folder) / "postgres")
        server = Database(embedded.start() if embedded else given.database_url, pool_size=1)
        try:
            if given.order:
                show_order(console, server, given.order)
            subjects = [
                Subject(server, f"queue_{tasks}_{time.time_ns()}", tasks, given.networks)
                for tasks in (SMALL, given.tasks)
            ]
            try:
                if given.claims:
                    show_costs(console, *subjects, given.claims)
                if given.rounds:
                    show_rates(console, subjects[-1], given.rounds, given.seconds)
            finally:
                for subject in subjects:
                    subject.close()
        finally:
            server.close()
            if embedded:
                embedded.stop()


if __name__ == "__main__":
    main()
