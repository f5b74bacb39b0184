"""Why a Task runs, or does not run yet."""

from collections.abc import Mapping
from dataclasses import replace

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.attempts import AttemptState
from alchemiscale_prefect.domain.errors import NotFound
from alchemiscale_prefect.domain.explanations import QueuePlace, SharePlace, Standing
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.selection import Contender
from alchemiscale_prefect.domain.shares import Ledger, Shares
from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.store import queue
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import explanations, pools, tasks
from alchemiscale_prefect.store.queries import shares as usage


def explain(
    database: Database, everything: Database, principal: Principal, shares: Shares | None, key: ScopedKey
) -> Standing:
    """How a Task stands, with all that stands before it.

    Parameters
    ----------
    database, everything
        As the principal sees it, and as it is. Of others' Scopes two numbers are told: which part of the next Tasks the
        network has, and which part of all computing its group had; and how full the work pools are, not of what.
    shares
        Fair share, as the dispatcher has it.

    Raises
    ------
    NotFound
        The Task is not there.
    """
    principal.require(key.scope)
    with database.transaction() as connection:
        # else, to count some, all that wait may be looked for first
        queue.read_in_order(connection)
        found = tasks.find(connection, [key]).get(str(key))
        if found is None:
            raise NotFound("No such object in database", field="task")
        row = explanations.task(connection, found.id)
        attempt = explanations.live_attempt(connection, found.id)
        places = explanations.places(connection, found.id)
        restarts = explanations.restarts(connection, found.id)
    ledger = None
    seen = []
    if attempt is not None and attempt.state is AttemptState.dispatched:
        with everything.transaction() as connection:
            seen = pools.seen(connection)
    elif any(place.open for place in places.values()):
        with everything.transaction() as connection:
            queue.read_in_order(connection)
            seen = pools.seen(connection)
            if shares is not None:
                ledger = Ledger(shares, usage.usages(connection, shares.window))
            places = _with_chances(places, queue.contenders(connection), ledger, key)
    return Standing(
        status=TaskStatus(row.status),
        status_changed_at=row.status_changed_at,
        reason=row.reason,
        priority=row.priority,
        losses=row.losses,
        not_before=row.not_before,
        extends=row.extends,
        extends_status=None if row.extends_status is None else TaskStatus(row.extends_status),
        attempt=attempt,
        places=tuple(places.values()),
        restarts=tuple(restarts),
        share=None if ledger is None else _share(ledger, key),
        pools=seen,
        now=row.now,
    )


def _with_chances(
    places: Mapping[int, QueuePlace], contenders: list[Contender], ledger: Ledger | None, key: ScopedKey
) -> dict[int, QueuePlace]:
    """The places of open networks with their part of the draws, rounded: exact ones would tell others' weights."""
    if ledger is not None:
        group = ledger.group_of(str(key.scope))
        contenders = [contender for contender in contenders if ledger.group_of(contender.scope) == group]
    weights = {contender.network_id: contender.weight for contender in contenders}
    whole = sum(weights.values())
    return {
        network_id: replace(place, chance=_rounded(weights[network_id] / whole)) if network_id in weights else place
        for network_id, place in places.items()
    }


def _share(ledger: Ledger, key: ScopedKey) -> SharePlace:
    group = ledger.group_of(str(key.scope))
    (part,) = (part for part in ledger.parts(group) if part.group == str(group))
    hours = ledger.shares.window.total_seconds() / 3600
    return SharePlace(part.group, part.share, _rounded(part.due), _rounded(part.used), hours)


def _rounded(part: float) -> float:
    # what is there is told as more than nothing
    return max(round(part, 2), 0.001) if part > 0.0 else 0.0
