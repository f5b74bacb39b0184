"""What a look at the installation finds."""

from collections.abc import Iterable
from dataclasses import dataclass
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
