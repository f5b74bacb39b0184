"""What a person sees in the Prefect UI: of a run its progress and its end, of reconcile and Strategies a table."""

import re
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from alchemiscale_prefect.domain.reconcile import Found
from alchemiscale_prefect.orchestration.reach import impatient
from alchemiscale_prefect.wire.strategies import ProposedChange, StrategyProposal

PROGRESS_SECONDS = 5.0
"""For Prefect to take note of how far a run is; if it does not, it is told the next time."""

MOST_ROWS = 1000
"""Of a table artifact; Prefect's pages grow slow beyond."""


class EstimateLike(Protocol):
    """A free energy with its error."""

    @property
    def value(self) -> float: ...

    @property
    def uncertainty(self) -> float | None: ...

    @property
    def units(self) -> str: ...


class OutcomeLike(Protocol):
    """How a run ended; see `execution.attempt.Outcome`, which this room does not know."""

    @property
    def task(self) -> str: ...

    @property
    def transformation(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def estimate(self) -> EstimateLike | None: ...

    @property
    def failures(self) -> tuple[str, ...]: ...

    @property
    def reason(self) -> str | None: ...


def artifact_key(*parts: str) -> str:
    """A key as Prefect allows it: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


class PrefectReport:
    """Reports the run of a Task as Prefect artifacts; call it from within the flow.

    Parameters
    ----------
    task
        ScopedKey of the Task.
    """

    def __init__(self, task: str) -> None:
        self._key = artifact_key(task)
        self._progress_id: UUID | None = None

    def progress(self, units_done: int, units_total: int, fraction: float | None = None) -> None:
        """So many of the units are finished, and this part of the whole, where units under way say how far they are."""
        percent = 100.0 * (fraction if fraction is not None else units_done / units_total if units_total else 0.0)
        description = f"{units_done} of {units_total} ProtocolUnits"
        # the units wait meanwhile
        with impatient(retries=0, seconds=PROGRESS_SECONDS):
            if self._progress_id is None:
                made = create_progress_artifact(percent, key=f"{self._key}-progress", description=description)
                self._progress_id = made if isinstance(made, UUID) else None
            else:
                update_progress_artifact(self._progress_id, percent, description=description)

    def outcome(self, outcome: OutcomeLike) -> None:
        """The run is over."""
        lines = [
            f"# {outcome.name}",
            "",
            f"**{outcome.status}**: {self.summary(outcome)}",
            "",
            f"- Task `{outcome.task}`",
            f"- Transformation `{outcome.transformation}`",
        ]
        if outcome.failures:
            lines += ["", "Failed tries:", "", *(f"- `{failure}`" for failure in outcome.failures)]
        if outcome.reason:
            lines += ["", "```", outcome.reason, "```"]
        create_markdown_artifact("\n".join(lines), key=f"{self._key}-result", description=outcome.name)

    @staticmethod
    def summary(outcome: OutcomeLike) -> str:
        """The estimate in a line, or why there is none."""
        estimate = outcome.estimate
        if estimate is None:
            return "; ".join(outcome.failures) or "no estimate"
        error = "" if estimate.uncertainty is None else f" ± {estimate.uncertainty:.3f}"
        return f"ΔG = {estimate.value:.3f}{error} {estimate.units}"


def report_found(found: Sequence[Found]) -> None:
    """What `services.reconcile` found and did, as a table artifact; call it from within the flow."""
    rows = [
        {"number": item.count, "what": item.what, "done": item.done or "nothing", "for example": list(item.examples)}
        for item in found
    ]
    create_table_artifact(
        rows or [{"number": 0, "what": "all is as it should be", "done": "nothing", "for example": []}],
        key="alchemiscale-reconcile",
        description="What differed between our tables, Prefect and the object store",
    )


def report_proposal(proposal: StrategyProposal) -> None:
    """What an iteration of a Strategy has done, as a table artifact of its network; call it from within the flow."""
    rows = sorted(proposal.changes, key=lambda change: not _is_changed(change))
    about = f"Iteration {proposal.iteration} of the Strategy of {proposal.network}: {proposal.summary}"
    if len(rows) > MOST_ROWS:
        about += f"; {len(rows) - MOST_ROWS} Transformations are left out here"
    create_table_artifact(
        [
            {
                "Transformation": str(change.transformation),
                "weight": change.weight,
                "target": change.target,
                "held": change.held,
                "created": len(change.created),
                "actioned": len(change.actioned),
                "cancelled": len(change.cancelled),
                "why": change.reason,
            }
            for change in rows[:MOST_ROWS]
        ],
        key=artifact_key("alchemiscale-strategy", str(proposal.network)),
        description=about,
    )


def _is_changed(change: ProposedChange) -> bool:
    return bool(change.created or change.actioned or change.cancelled or change.errored)
