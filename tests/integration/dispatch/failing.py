"""Tasks that fail, and how they stand after that."""

from collections.abc import Sequence

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.services import restarts, runs
from alchemiscale_prefect.wire import compute as wire
from tests.integration.dispatch.world import PDR_KEY, FlowRun, Net, World

CUDA = 'Traceback (most recent call last):\n  File "unit.py", line 7\nRuntimeError: CUDA error 700\n'
DISK = "Traceback (most recent call last):\nOSError: [Errno 28] No space left on device\n"


def add(world: World, net: Net, patterns: Sequence[str], allowed: int = 1) -> None:
    restarts.add(world.database, world.user, net.key, patterns, allowed)


def fail(run: FlowRun, *tracebacks: str) -> wire.Finished:
    """Store a failed result and finish."""
    run.store_result(False)
    return finish(run, *tracebacks)


def finish(run: FlowRun, *tracebacks: str) -> wire.Finished:
    units = [
        wire.UnitTraceback(
            failure_key=f"ProtocolUnitFailure-{n}",
            source_key=f"ProtocolUnit-{n}",
            name=None,
            exception="Error()",
            traceback=traceback,
        )
        for n, traceback in enumerate(tracebacks)
    ]
    body = wire.Finish(ok=False, result=PDR_KEY, tracebacks=units)
    return runs.finish(run.world.database, run.world.store, run.world.compute, run.run, body)


def fail_once(world: World, *tracebacks: str) -> None:
    """Let the one Task that may run do so, and fail."""
    (run,) = world.started()
    fail(run, *tracebacks)


def state(world: World, key: ScopedKey) -> tuple[str | None, set[str]]:
    """A Task's status, and the names of the networks it is actioned on."""
    rows = world.rows(
        "select o.name from action a join task t on t.id = a.task_id join gufe_object o on o.id = a.network_id "
        "where t.key = :key",
        key=key.gufe_key,
    )
    return world.status(key), {row.name for row in rows}


def counts(world: World) -> dict[tuple[str, str], int]:
    """(network, pattern) → restarts, of the only Task."""
    rows = world.rows(
        "select o.name, p.pattern, c.num_retries from restart_count c join restart_pattern p on p.id = c.pattern_id "
        "join gufe_object o on o.id = c.network_id"
    )
    return {(row.name, row.pattern): row.num_retries for row in rows}
