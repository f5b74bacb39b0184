"""Which hosts may run Tasks: asked when a flow run begins, shown to operators, who may ban and pardon."""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from alchemiscale_prefect.domain import checks
from alchemiscale_prefect.domain import hosts as rules
from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.checks import Check
from alchemiscale_prefect.domain.errors import HostRefused, InvalidInput, NotFound
from alchemiscale_prefect.domain.hosts import (
    Health,
    HealthReport,
    HostPolicy,
    HostReport,
    HostState,
    PlaceReport,
    Refusal,
)
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.verdicts import HostAttempt, Verdict, judge
from alchemiscale_prefect.services import audit
from alchemiscale_prefect.store.database import Connection, Database
from alchemiscale_prefect.store.queries import hosts
from alchemiscale_prefect.store.queries.hosts import Asking

log = structlog.get_logger(__name__)

# another host that ran something of the pool not longer ago than this may take a Task that failed here
ACTIVE = timedelta(minutes=15)
MAXIMUM_NAME = 255
MAXIMUM_REASON = 2000
_LAST_YEAR = 9000

_NOBODY = Verdict()


# --- flow runs -------------------------------------------------------------------------------------------------------


def admit(
    database: Database, task: ScopedKey, n: int, flow_run_id: UUID, host: str, image: str | None, policy: HostPolicy
) -> None:
    """Refuse an attempt that its host may not run, because of the host or because the Task failed there before.

    It ends, which is no loss, and its Task waits for another host. What is known of hosts is not of one scope alone,
    so the database must not be confined; whether the Task is the caller's to run is for the caller to see.

    Raises
    ------
    HostRefused
        With the reason, and how long the flow run is to keep its place.
    """
    threshold = policy.failures or 2**31  # failures without end: none is ever too many
    with database.transaction() as connection:
        asking = hosts.asking(connection, task, n, flow_run_id, host, threshold, policy.window)
        if asking is None:
            return
        if asking.refused is not None:  # the answer was lost
            refused: Refusal | None = Refusal(asking.refused)
        else:
            refused = _refusal(connection, asking, n, host, policy)
            rest = _rest(connection, asking, policy) if refused is not None and not refused.hold else timedelta(0)
            if refused is not None:
                attempt = (asking.task_id, n)
                if not hosts.refuse(connection, attempt, flow_run_id, host, image, refused.reason, rest):
                    return
    if refused is not None:
        log.warning("host_refused", host=host, task=str(task), attempt=n, reason=refused.reason)
        raise HostRefused(
            f"refused on host {host}: {refused.reason}", retry_after=math.ceil(refused.hold.total_seconds())
        )


def _refusal(connection: Connection, asking: Asking, n: int, host: str, policy: HostPolicy) -> Refusal | None:
    if asking.doubtful:
        refused = _by_health(connection, (asking.task_id, n), host, policy)
        if refused is not None:
            return refused
    if (
        asking.failed_here
        and hosts.avoided(connection, asking.task_id) < policy.avoidances
        and hosts.has_elsewhere(connection, asking.task_id, asking.pool, host, ACTIVE)
    ):
        return Refusal("an earlier attempt of this Task failed on it")
    return None


def _rest(connection: Connection, asking: Asking, policy: HostPolicy) -> timedelta:
    # else the same worker, which has a place free now, would take it again
    return policy.rest.delay(hosts.avoided(connection, asking.task_id) + 1, random.random())  # noqa: S311


def _by_health(connection: Connection, attempt: tuple[int, int], host: str, policy: HostPolicy) -> Refusal | None:
    # whoever asks at the same time waits here: of two that a host on probation is to be tried with, one is
    health, now = hosts.lock(connection, host)
    counts_from = health.failures_from(now, policy.window)
    found = hosts.recent(connection, [host], min(counts_from, now - policy.window))
    verdict = judge(found, policy.failures, since={host: counts_from}).get(host, _NOBODY)
    trial = hosts.trial(connection, health.probe)
    new, refused = rules.admit(health, attempt, verdict, trial, policy, now)
    hosts.write(connection, host, new)
    if new.state is not health.state or new.bans != health.bans:
        log.warning("host_" + new.state, host=host, until=new.until, bans=new.bans, reason=new.reason)
    return refused


# --- operators -------------------------------------------------------------------------------------------------------


def overview(database: Database, principal: Principal, policy: HostPolicy) -> HealthReport:
    """Hosts, pools and images of the window, with what their attempts say; and all hosts that are not healthy."""
    principal.require_administrator()
    return _overview(database, policy)


def ban(
    database: Database,
    principal: Principal,
    host: str,
    reason: str,
    until: datetime | None = None,
) -> None:
    """Let nothing begin on a host, whatever happens on it; what runs there goes on.

    Parameters
    ----------
    until
        With a time zone; default: until it is pardoned.
    """
    principal.require_administrator()
    _check_name(host)
    if not reason.strip() or len(reason) > MAXIMUM_REASON or "\0" in reason:
        raise InvalidInput(f"`reason` must be a text of 1 to {MAXIMUM_REASON} characters", field="reason")
    if until is not None and until.tzinfo is None:
        raise InvalidInput("`until` must have a time zone", field="until")
    with database.transaction() as connection:
        health, now = hosts.lock(connection, host)
        if until is not None and not (now < until and until.year <= _LAST_YEAR):
            raise InvalidInput(f"`until` must be later than now, and not after the year {_LAST_YEAR}", field="until")
        banned = Health(
            HostState.banned, health.bans, now, until, principal.identifier, reason, counts_from=health.counts_from
        )
        hosts.write(connection, host, banned)
        details = {"reason": reason, "until": None if until is None else until.isoformat()}
        audit.record(connection, principal, "host.ban", target=host, details=details)


def pardon(database: Database, principal: Principal, host: str) -> None:
    """Let a host run everything again; what failed on it until now does not count any more.

    Raises
    ------
    NotFound
        Nothing is known against it.
    """
    principal.require_administrator()
    _check_name(host)
    with database.transaction() as connection:
        if not hosts.is_known(connection, host):
            raise NotFound(f"nothing is known against a host {host!r}", field="host")
        health, now = hosts.lock(connection, host)
        hosts.write(connection, host, Health(since=now, counts_from=now))
        audit.record(connection, principal, "host.pardon", target=host, details={"state": health.state.value})


def check(database: Database, policy: HostPolicy) -> Check:
    """Whether hosts are banned, or a pool or an image fails as a whole."""
    report = _overview(database, policy)
    found = [f"{host.name} ({host.state})" for host in report.hosts if host.state is not HostState.healthy]
    found += [f"pool {place.name} fails" for place in report.pools if place.verdict.bad]
    found += [f"image {place.name} fails" for place in report.images if place.verdict.bad]
    if not found:
        return checks.ok("hosts", f"{len(report.hosts)} active, none is refused Tasks")
    return checks.warning(
        "hosts", ", ".join(found), "see: alchemiscale-prefect host list; when mended: alchemiscale-prefect host pardon"
    )


def _overview(database: Database, policy: HostPolicy) -> HealthReport:
    with database.transaction() as connection:
        known, now = hosts.every(connection)
        since = {name: health.failures_from(now, policy.window) for name, health in known.items()}
        doubtful = [name for name, health in known.items() if health.state is not HostState.healthy]
        first = min([now - policy.window, *(since[name] for name in doubtful)])
        found = hosts.recent(connection, doubtful, first)
    verdicts = judge(found, policy.failures, since=since)
    pools, images = _places(found, lambda attempt: attempt.pool), _places(found, lambda attempt: attempt.image)
    reports = tuple(
        HostReport(
            name,
            rules.standing(known.get(name, Health()), verdicts.get(name, _NOBODY), now),
            known.get(name, Health()),
            verdicts.get(name, _NOBODY),
            tuple(pool for pool, names in pools.items() if name in names),
            tuple(image for image, names in images.items() if name in names),
        )
        for name in sorted({*verdicts, *doubtful})
    )
    return HealthReport(
        reports,
        _reports(pools, judge(found, policy.failures, lambda attempt: attempt.pool)),
        _reports(images, judge(found, policy.failures, lambda attempt: attempt.image)),
    )


def _places(attempts: Iterable[HostAttempt], of: Callable[[HostAttempt], str | None]) -> dict[str, set[str]]:
    """Pool, or image → the hosts that it ran on."""
    places: dict[str, set[str]] = defaultdict(set)
    for attempt in attempts:
        place = of(attempt)
        if place is not None:
            places[place].add(attempt.host)
    return dict(sorted(places.items()))


def _reports(places: dict[str, set[str]], verdicts: dict[str, Verdict]) -> tuple[PlaceReport, ...]:
    return tuple(PlaceReport(name, len(names), verdicts[name]) for name, names in places.items())


def _check_name(host: str) -> None:
    if not 1 <= len(host) <= MAXIMUM_NAME or not host.isprintable():
        raise InvalidInput(f"`host` must be 1 to {MAXIMUM_NAME} printable characters", field="host")
