"""Iterations of Strategies: which are due, and performing one.

An iteration reads in one transaction, has the Strategy propose outside of any, and acts in a second one, by what is
there by then. The second one is all or nothing, and does nothing if somebody has performed the Strategy meanwhile, set
another one, or disabled it: any number may be at it at once, and may die at any point.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.errors import Conflict, NotFound, Unavailable
from alchemiscale_prefect.domain.iterations import (
    Document,
    Material,
    Propose,
    Proposed,
    StrategyFailed,
    StrategyFailure,
)
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.proposals import Proposal, ProposalSettings, propose_changes
from alchemiscale_prefect.domain.strategies import StrategyMode, StrategyState, StrategyStatus
from alchemiscale_prefect.domain.tasks import DEFAULT_WEIGHT, TaskStatus
from alchemiscale_prefect.services import audit, stopping
from alchemiscale_prefect.services.networks import check_network_key, require_network
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.objects.port import ObjectStore
from alchemiscale_prefect.store.queries import actions, iterations, objects, tasks
from alchemiscale_prefect.store.queries.iterations import NetworkTasks, Standing
from alchemiscale_prefect.wire.strategies import ProposedChange, StrategyProposal

log = structlog.get_logger(__name__)

STRATEGIST = "strategist"
"""Who acts, in histories and in the audit."""
CANCELLED = "the network's Strategy wants fewer Tasks"
_OPEN = (TaskStatus.waiting, TaskStatus.running)


def due(database: Database, minimum: timedelta) -> list[ScopedKey]:
    """The networks whose Strategy is to be performed now.

    One is if it never was, was asked for (`services.strategies.set_awake`), is awake and its interval is over, or if
    results have come since and it is dormant, or none of the network's Tasks waits any more. Those that are disabled or
    in error are not, nor those of networks that are not active.

    Parameters
    ----------
    minimum
        Of the interval, where the Strategy's own is shorter.
    """
    with database.transaction() as connection:
        return [ScopedKey.from_str(name) for name in iterations.due(connection, minimum)]


def perform(database: Database, store: ObjectStore, propose: Propose, network: ScopedKey) -> StrategyProposal | None:
    """One iteration of a network's Strategy, whether it is due or not.

    Parameters
    ----------
    propose
        Performs the Strategy itself; what it raises is the Strategy's failure, which is then in error.

    Returns
    -------
    StrategyProposal or None
        What was proposed and done, also kept with the network; ``None`` if another iteration, or another setting of the
        Strategy, was faster.

    Raises
    ------
    InvalidInput
        The key is of no network.
    NotFound
        There is no such network, or it has no Strategy.
    Conflict
        The Strategy is disabled or in error, or the network is not active.
    Unavailable
        Database or object store are out of reach; nothing was changed.
    """
    check_network_key(network)
    with database.transaction() as connection:
        begun = _begin(connection, network)
        known = iterations.transformations(connection, begun.network_id)
        material = _material(connection, database, store, begun)
    done = sum(summary.n for summary in material.summaries.values())
    try:
        proposed = propose(material)
        # what is no weight, or of no Transformation here, is found before anything is locked
        propose_changes(proposed.weights, dict.fromkeys(known, ()), ProposalSettings.of(begun.state))
    except Unavailable:
        raise
    except StrategyFailed as failed:
        return _fail(database, network, begun, done, failed.failure)
    except Exception as error:  # noqa: BLE001  a Strategy may raise anything; it is told, and stops the Strategy
        return _fail(database, network, begun, done, StrategyFailure.of(error))
    return _act(database, network, begun, done, proposed)


def _begin(connection: Connection, network: ScopedKey) -> Standing:
    begun = iterations.standing(connection, require_network(connection, network))
    if begun is None:
        raise NotFound(f"{network} has no Strategy", field="network")
    if begun.performed:
        return begun
    if begun.state.mode is StrategyMode.disabled:
        raise Conflict(f"the Strategy of {network} is disabled; set it with another mode", field="mode")
    if begun.state.status is StrategyStatus.error:
        raise Conflict(f"the Strategy of {network} has failed; see to it, then set it awake", field="status")
    raise Conflict(f"{network} is {begun.network_state}; its Strategy goes on once it is active", field="network")


def _material(connection: Connection, database: Database, store: ObjectStore, begun: Standing) -> Material:
    network, strategy = (objects.read(connection, one) for one in (begun.network_id, begun.strategy_id))

    def results() -> Iterator[tuple[str, Document]]:
        with database.transaction() as later:
            located = iterations.result_locations(later, begun.network_id)
        for transformation, location, gufe_version in located:
            yield transformation, Document(store.get(location), gufe_version)

    return Material(
        Document(network.text, network.gufe_version),
        Document(strategy.text, strategy.gufe_version),
        iterations.summaries(connection, begun.network_id),
        results,
        iterations.other_attempts(connection, begun.network_id),
    )


def _fail(
    database: Database, network: ScopedKey, begun: Standing, done: int, failure: StrategyFailure
) -> StrategyProposal | None:
    # the name that structlog has for a traceback that is text already
    log.warning("strategy_failed", network=str(network), exception=failure.traceback)
    with database.transaction() as connection:
        now = iterations.standing(connection, begun.network_id, lock=True)
        if now is None or not now.continues(begun):
            return None
        state = iterations.finish(connection, begun, StrategyStatus.error, done, failure.exception, failure.traceback)
        return _kept(connection, network, begun.network_id, state, [])


def _act(
    database: Database, network: ScopedKey, begun: Standing, done: int, proposed: Proposed
) -> StrategyProposal | None:
    with database.transaction() as connection:
        now = iterations.standing(connection, begun.network_id, lock=True)
        if now is None or not now.continues(begun):
            return None
        found = iterations.tasks(connection, begun.network_id)
        plan = propose_changes(
            proposed.weights, found.planned, _within(ProposalSettings.of(now.state), found, done, proposed)
        )
        changes = _carry_out(connection, network, begun, found, plan)
        status = StrategyStatus.dormant if plan.finished else StrategyStatus.awake
        state = iterations.finish(connection, begun, status, done)
        return _kept(connection, network, begun.network_id, state, changes)


def _within(settings: ProposalSettings, found: NetworkTasks, done: int, proposed: Proposed) -> ProposalSettings:
    """With how many Tasks may wait or run for the network, as the Strategy limits them."""
    # Results of Tasks that are invalid by now count, and Tasks that completed since the results were read.
    done = max(done, found.complete)
    # What has failed may be set waiting again, so that it keeps its place in a budget. Not in what a Strategy wants for
    # now: one bad Transformation would take the place of all others, where that is a few Tasks at a time.
    failed = sum(
        task.actioned and task.status is TaskStatus.error for listed in found.planned.values() for task in listed
    )
    rooms = [] if proposed.max_tasks is None else [max(0, proposed.max_tasks - done)]
    if proposed.budget is None:
        return replace(settings, max_tasks=min(rooms, default=None))
    return replace(settings, max_tasks=min((*rooms, max(0, proposed.budget - done - failed))), taken=failed)


def _carry_out(
    connection: Connection, network: ScopedKey, begun: Standing, found: NetworkTasks, plan: Proposal
) -> list[ProposedChange]:
    """Create, action and cancel what the plan says; Tasks that changed since it was made are left alone."""
    ids = {key: found.ids[key] for change in plan.changes for key in (*change.action, *change.cancel)}
    queue.lock(connection, list(ids.values()))
    current = actions.candidates(connection, begun.network_id, list(ids.values()))
    open_now = {key for key, task_id in ids.items() if current[task_id].status in _OPEN}
    actioned_now = {key for key, task_id in ids.items() if current[task_id].actioned}
    plan = replace(
        plan,
        changes=tuple(
            replace(
                change,
                action=tuple(key for key in change.action if key in open_now and key not in actioned_now),
                cancel=tuple(key for key in change.cancel if key in open_now and key in actioned_now),
            )
            for change in plan.changes
        ),
    )
    wanted = [change.transformation for change in plan.changes for _ in range(change.create)]
    made = [ScopedKey.from_str(name) for name in _create(connection, begun, found, wanted)]
    fresh = [row.id for row in tasks.find(connection, made).values()]
    to_action = [ids[key] for change in plan.changes for key in change.action] + fresh
    if to_action:
        queue.enqueue(connection, begun.network_id, to_action, [DEFAULT_WEIGHT] * len(to_action))
    cancelled = [ids[key] for change in plan.changes for key in change.cancel]
    if cancelled:
        actions.remove(connection, begun.network_id, cancelled)
        stopping.stop_unactioned(connection, cancelled, STRATEGIST, CANCELLED)
        queue.refresh(connection, cancelled)
    if not plan.is_empty:
        details = {"created": len(made), "actioned": len(to_action), "cancelled": len(cancelled)}
        principal = Principal.operating(STRATEGIST)
        audit.record(connection, principal, "strategy.perform", network.scope, network, details)
    rest = iter(made)
    return [
        ProposedChange.of(change, network.scope, [next(rest) for _ in range(change.create)]) for change in plan.changes
    ]


def _create(connection: Connection, begun: Standing, found: NetworkTasks, wanted: Sequence[str]) -> list[str]:
    if not wanted:
        return []
    ids = [found.transformation_ids[key] for key in wanted]
    return tasks.create(connection, ids, [None] * len(ids), begun.creator)


def _kept(
    connection: Connection,
    network: ScopedKey,
    network_id: int,
    state: StrategyState,
    changes: Sequence[ProposedChange],
) -> StrategyProposal:
    proposal = StrategyProposal.of(network, state, changes)
    iterations.keep_proposal(connection, network_id, proposal.model_dump(mode="json"))
    return proposal
