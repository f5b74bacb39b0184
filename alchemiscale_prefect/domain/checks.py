"""What a look at the installation finds."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum


class CheckStatus(StrEnum):
    """How a check came out."""

    ok = "ok"
    warning = "warning"
    """It works, but not as it should, or not for long."""
    failed = "failed"
    skipped = "skipped"
    """It does not apply here, or something that it needs failed."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name
        What, in a few words.
    status
        How it came out.
    detail
        What was found; why it was skipped.
    fix
        How to mend it; ``None`` if there is nothing to mend.
    """

    name: str
    status: CheckStatus
    detail: str
    fix: str | None = None


def ok(name: str, detail: str) -> Check:
    """A check that came out well."""
    return Check(name, CheckStatus.ok, detail)


def warning(name: str, detail: str, fix: str) -> Check:
    """A check of what should be better."""
    return Check(name, CheckStatus.warning, detail, fix)


def failed(name: str, detail: str, fix: str) -> Check:
    """A check that did not come out well."""
    return Check(name, CheckStatus.failed, detail, fix)


def skipped(name: str, detail: str) -> Check:
    """A check that was not made."""
    return Check(name, CheckStatus.skipped, detail)


def passed(checks: Iterable[Check]) -> bool:
    """Whether none of them failed."""
    return all(check.status is not CheckStatus.failed for check in checks)


CLOCK_WARNING = timedelta(seconds=5)
CLOCK_FAILURE = timedelta(seconds=60)


def clock(name: str, difference: timedelta, doubt: timedelta) -> Check:
    """Whether a clock agrees with this machine's.

    Parameters
    ----------
    difference
        How far it is ahead.
    doubt
        How well that is known, for example half of the time that the answer took.
    """
    off = max(abs(difference) - doubt, timedelta(0))
    if off < CLOCK_WARNING:
        return ok(name, "agrees with this machine's")
    direction = "ahead of" if difference > timedelta(0) else "behind"
    detail = f"{abs(difference).total_seconds():.0f} s {direction} this machine's"
    fix = "have both machines take their time from NTP (chrony, systemd-timesyncd)"
    return (failed if off >= CLOCK_FAILURE else warning)(name, detail, fix)


def http_clock(name: str, date: str | None, sent: datetime, answered: datetime) -> Check:
    """`clock` by the ``Date`` of an answer over HTTP, which has whole seconds."""
    try:
        told = parsedate_to_datetime(date or "")
    except ValueError:
        return skipped(name, "the answer has no Date")
    middle = sent + (answered - sent) / 2
    return clock(name, told + timedelta(seconds=0.5) - middle, (answered - sent) / 2 + timedelta(seconds=0.5))
