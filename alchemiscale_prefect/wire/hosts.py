"""Bodies about hosts, and the pools and images that ran on them."""

from datetime import datetime

from pydantic import BaseModel

from alchemiscale_prefect.domain import hosts as domain
from alchemiscale_prefect.domain.hosts import HostState
from alchemiscale_prefect.domain.verdicts import Verdict


class Record(BaseModel):
    """Tasks in the window, by what became of them; `blamed` of those that failed speak against the place.

    Attributes
    ----------
    failing
        Whether it is where Tasks fail that do not fail elsewhere.
    """

    running: int
    succeeded: int
    failed: int
    blamed: int
    failing: bool
    last_failure: str | None
    last_failed_at: datetime | None

    @classmethod
    def of(cls, verdict: Verdict) -> "Record":
        """What a verdict says."""
        last = verdict.last_failure
        return cls(
            running=verdict.running,
            succeeded=verdict.succeeded,
            failed=verdict.failed,
            blamed=len(verdict.blamed),
            failing=verdict.bad,
            last_failure=None if last is None else last.failure,
            last_failed_at=None if last is None else last.at,
        )


class Host(BaseModel):
    """A host.

    Attributes
    ----------
    state
        What it may do now; `since` and `until` of it are known once a flow run has asked.
    bans
        In a row.
    banned_by
        The operator; ``None`` if the ban came about by itself.
    """

    name: str
    state: HostState
    since: datetime | None
    until: datetime | None
    bans: int
    banned_by: str | None
    reason: str | None
    pools: list[str]
    images: list[str]
    record: Record

    @classmethod
    def of(cls, report: domain.HostReport) -> "Host":
        """What a report says."""
        health = report.health if report.health.state is report.state else domain.Health()
        return cls(
            name=report.name,
            state=report.state,
            since=health.since,
            until=health.until,
            bans=report.health.bans,
            banned_by=health.banned_by,
            reason=health.reason,
            pools=list(report.pools),
            images=list(report.images),
            record=Record.of(report.verdict),
        )


class Place(BaseModel):
    """A work pool or an image, and on how many hosts it ran."""

    name: str
    hosts: int
    record: Record

    @classmethod
    def of(cls, report: domain.PlaceReport) -> "Place":
        """What a report says."""
        return cls(name=report.name, hosts=report.hosts, record=Record.of(report.verdict))


class Hosts(BaseModel):
    """``GET /admin/hosts``: what was active in the window, and all hosts that are not healthy."""

    hosts: list[Host]
    pools: list[Place]
    images: list[Place]

    @classmethod
    def of(cls, report: domain.HealthReport) -> "Hosts":
        """What a report says."""
        return cls(
            hosts=[Host.of(item) for item in report.hosts],
            pools=[Place.of(item) for item in report.pools],
            images=[Place.of(item) for item in report.images],
        )


class BanHost(BaseModel):
    """``POST /admin/hosts/ban``; `until` has a time zone."""

    host: str
    reason: str
    until: datetime | None = None


class PardonHost(BaseModel):
    """``POST /admin/hosts/pardon``."""

    host: str
