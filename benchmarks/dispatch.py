"""``python -m benchmarks.dispatch``: what lies between a Task that may run and its flow run, beside Prefect alone.

Three measurements on one local stack (`up`'s): flow runs made per second by dispatchers' passes, beside Prefect's bulk
endpoint called bare with the same runs; the time from ``action_tasks`` to Running on an idle pool, beside
``run_deployment`` of the same deployment on the same worker; and what an idle dispatcher sends to the database, with
few networks and with many. Prefect's server is on Debian's Postgres where the machine has one, on SQLite otherwise.
"""

import argparse
import signal
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun
from rich.console import Console
from rich.table import Table
from sqlalchemy import event, text

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork
from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.domain.attempts import AttemptId, Launch
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.local.processes import stop as stop_process
from alchemiscale_prefect.local.stack import POOL, USER, LocalStack, StackOptions
from alchemiscale_prefect.orchestration.deployments import deploy_run_task, ensure_process_pool
from alchemiscale_prefect.orchestration.launcher import PrefectLauncher
from alchemiscale_prefect.sdk.client import AlchemiscaleClient
from alchemiscale_prefect.services import actions, dispatch, dispatcher, submission, tasks
from alchemiscale_prefect.settings import DispatchSettings
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.notifications import QueueListener
from tests.chains import keys_of, network_chain
from tests.debian_postgres import prefect_postgres
from tests.protocols import FanOutProtocol, FanOutSettings, transformation
from tests.waiting import wait_for

SCOPE = Scope("benchmark", "dispatch", "one")
OPERATOR = Principal.writing("benchmark", IdentityKind.user, (SCOPE,))
# a work pool without a worker: what is made there stays
UNSERVED = "benchmark"


def submit(database: Database, name: str, count: int) -> None:
    """A network with so many actioned Tasks."""
    chain = network_chain(name, ("a", "b"), [(0, 1)])
    network = submission.create_network(database, OPERATOR, chain, SCOPE)
    edge = ScopedKey.of(keys_of(chain, "Transformation")[0], SCOPE)
    if count:
        made = tasks.create(database, OPERATOR, [edge] * count)
        actions.action(database, OPERATOR, network, [ScopedKey.from_str(key) for key in made])


# --- the rate ---------------------------------------------------------------------------------------------------------


def rates(database: Database, client: SyncPrefectClient, runs: int, rounds: int) -> list[tuple[float, float]]:
    """Flow runs per second of a dispatcher and of the bare bulk endpoint, in turns."""
    ensure_process_pool(client, UNSERVED)
    launcher = PrefectLauncher(deploy_run_task(client, UNSERVED, working_directory=Path("/tmp")), client)
    found = []
    for number in range(-1, rounds):  # the first is not counted
        submit(database, f"rate {number}", runs)
        every = dispatch.Pool(UNSERVED, buffer=runs * (rounds + 2), max_in_flight=runs * (rounds + 2))
        bare = [_launch(number) for _ in range(runs)]
        begin = time.perf_counter()
        done = dispatch.dispatch(database, launcher, every)
        between = time.perf_counter()
        launcher.launch(bare)
        end = time.perf_counter()
        assert done == dispatch.Pass(launched=runs), done
        if number >= 0:
            found.append((runs / (between - begin), runs / (end - between)))
    return found


def _launch(number: int) -> Launch:
    """A flow run as the dispatcher would ask for it."""
    task = f"Task-{uuid.uuid4().hex}-{SCOPE}"
    tags = ("alchemiscale", f"scope:{SCOPE}", f"network:{number}-{SCOPE}", f"transformation:{number}-{SCOPE}")
    return Launch(AttemptId(task, 1), tags)


# --- the way to Running -----------------------------------------------------------------------------------------------


def latencies(stack: LocalStack, client: SyncPrefectClient, rounds: int) -> list[tuple[float, float]]:
    """Seconds from ``action_tasks`` and from ``run_deployment`` to Running, in turns, the pool idle each time."""
    asc = AlchemiscaleClient(stack.config.api_url, USER, stack.config.user_key, use_local_cache=False)
    network = AlchemicalNetwork([transformation(FanOutProtocol(FanOutSettings()))], name=uuid.uuid4().hex)
    network_key = asc.create_network(network, Scope("benchmark", "dispatch", "two"), visualize=False)
    (edge,) = asc.get_network_transformations(network_key)
    found = []
    for number in range(-1, rounds):
        (task,) = asc.create_tasks(edge)
        begin = time.time()
        asc.action_tasks([task], network_key)
        ours = _seconds_to_running(client, str(task), begin)
        name = f"Task-{uuid.uuid4().hex}-{SCOPE}"
        deployment = client.read_deployment_by_name(f"run-task/{POOL}")
        begin = time.time()
        # what run_deployment calls; the Task does not exist, so the run ends as soon as it has begun
        client.create_flow_run_from_deployment(deployment.id, name=name, parameters={"task": name, "attempt": 1})
        bare = _seconds_to_running(client, name, begin)
        if number >= 0:
            found.append((ours, bare))
    asc.close()
    return found


def _seconds_to_running(client: SyncPrefectClient, name: str, begin: float) -> float:
    """Until the flow run of this name was Running, by Prefect's clock; returns once it has ended."""
    names = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
    runs: list[FlowRun] = []

    def over() -> bool:
        runs[:] = client.read_flow_runs(flow_run_filter=names)
        return bool(runs) and runs[0].end_time is not None

    wait_for(over, f"the flow run {name}", 120, every=0.5)
    started = runs[0].start_time
    assert isinstance(started, datetime)
    return started.timestamp() - begin


# --- idle -------------------------------------------------------------------------------------------------------------


def idle(database: Database, launcher: PrefectLauncher, seconds: float) -> float:
    """Statements per second that a dispatcher with nothing to do sends; `begin` and `commit` are counted too."""
    sent: list[str] = []

    def note(*_: object) -> None:
        sent.append("")

    names = ("before_cursor_execute", "begin", "commit", "rollback")
    listener = QueueListener(database)
    over = threading.Event()
    threading.Timer(seconds, over.set).start()
    pool = dispatch.Pool("idle", 4, 100)
    interval = DispatchSettings.model_fields["dispatch_interval_seconds"].default
    for name in names:
        event.listen(database.engine, name, note)
    try:
        dispatcher.run(lambda: dispatch.dispatch(database, launcher, pool), listener, interval, over)
    finally:
        for name in names:
            event.remove(database.engine, name, note)
        listener.close()
    return len(sent) / seconds


# --- all of it --------------------------------------------------------------------------------------------------------


@contextmanager
def running(folder: Path) -> Iterator[LocalStack]:
    """A stack whose worker runs one flow run at a time."""
    with prefect_postgres(folder / "prefect-postgres") as url:
        Console().print(f"Prefect's server is on {'Postgres' if url else 'SQLite'}")
        options = StackOptions(
            flow_runs=1,
            prefect_database_url=url,
            environment={"ALCHEMISCALE_ALLOWED_MODULES": "tests", "PYTHONPATH": str(Path(__file__).parents[1])},
        )
        with LocalStack(folder / "stack", options) as stack:
            yield stack


def row(shown: Table, what: str, unit: str, pairs: Sequence[tuple[float, float]], goal: str) -> None:
    """Medians of both, and the median of their ratios."""
    ours, bare = (statistics.median(values) for values in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    Console().print(f"{what}: {', '.join(f'{one:.2f} beside {other:.2f}' for one, other in pairs)} {unit}")
    shown.add_row(what, f"{ours:.2f} {unit}", f"{bare:.2f} {unit}", f"{ratio:.2f}", goal)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="flow runs of a round")
    parser.add_argument("--rounds", type=int, default=3, help="of flow runs that are only made; 0 leaves them out")
    parser.add_argument("--starts", type=int, default=3, help="of flow runs that are started; 0 leaves them out")
    parser.add_argument("--idle-seconds", type=float, default=60.0, help="two of the beats by which it is heard of")
    parser.add_argument("--networks", type=int, default=300, help="of the idle system")
    arguments = parser.parse_args()
    # told to stop, it stops what it has started
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    shown = Table(title="Dispatch")
    for name in ("", "here", "Prefect alone", "ratio", "goal"):
        shown.add_column(name, justify="left" if name == "" else "right")
    with tempfile.TemporaryDirectory(prefix="dispatch-") as name, running(Path(name)) as stack:
        database = Database(stack.database_url)
        with SyncPrefectClient(stack.config.prefect_api_url) as client:
            if arguments.starts:
                pairs = latencies(stack, client, arguments.starts)
                row(shown, "actioned (created in Prefect) → Running", "s", pairs, "≤ 1.3")
            # from here on, Tasks are for this process
            stop_process(stack.processes.pop("dispatcher"))
            if arguments.rounds:
                row(shown, "flow runs made", "/s", rates(database, client, arguments.runs, arguments.rounds), "≥ 0.9")
            launcher = PrefectLauncher(f"run-task/{POOL}", client)
            for networks in (0, arguments.networks):
                for number in range(networks):
                    submit(database, f"idle {number}", 0)
                with database.transaction() as connection:
                    count = connection.execute(text("select count(*) from network")).scalar_one()
                sent = idle(database, launcher, arguments.idle_seconds)
                shown.add_row(f"idle, {count} networks", f"{sent:.2f} statements/s", "", "", "< 1")
        database.close()
    Console().print(shown)


if __name__ == "__main__":
    main()
