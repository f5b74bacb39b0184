"""How checks are shown: a line each, with how to mend what is not well."""

from collections.abc import Sequence

import typer

from alchemiscale_prefect.cli.output import answer, line, shown
from alchemiscale_prefect.domain.checks import Check, CheckStatus, passed

_MARKS = {CheckStatus.ok: "ok", CheckStatus.warning: "warning", CheckStatus.failed: "FAILED", CheckStatus.skipped: "–"}


def report(checks: Sequence[Check], as_json: bool) -> None:
    """Answer with checks; exit code 1 if one of them failed."""
    well = passed(checks)
    answer({"ok": well, "checks": [_document(check) for check in checks]}, as_json, lambda: _show(checks))
    if not well:
        raise typer.Exit(1)


def _document(check: Check) -> dict[str, str | None]:
    return {"name": check.name, "status": check.status.value, "detail": check.detail, "fix": check.fix}


def _show(checks: Sequence[Check]) -> None:
    name_width = max((len(check.name) for check in checks), default=0)
    mark_width = max(map(len, _MARKS.values()))
    for check in checks:
        shown(f"{_MARKS[check.status].ljust(mark_width)}  {check.name.ljust(name_width)}  {check.detail}", check.status)
        if check.fix is not None and check.status in (CheckStatus.warning, CheckStatus.failed):
            line(f"{' ' * mark_width}  {' ' * name_width}  → {check.fix}")
