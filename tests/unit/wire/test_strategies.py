"""Bodies about Strategies, as an older client reads those of a newer server."""

from typing import Any

from alchemiscale_prefect.domain.proposals import Decision
from alchemiscale_prefect.wire.strategies import StrategyProposal

PROPOSAL: dict[str, Any] = {
    "network": "AlchemicalNetwork-0-org-campaign-project",
    "iteration": 1,
    "performed_at": "2026-01-31T12:00:00Z",
    "status": "awake",
    "result_count": 0,
}
CHANGE: dict[str, Any] = {
    "transformation": "Transformation-0-org-campaign-project",
    "weight": 1.0,
    "target": 1,
    "held": 0,
    "reason": "why",
}


def test_what_is_not_known_yet_is_read_all_the_same() -> None:
    changes = [{**CHANGE, "decision": decision} for decision in ("errored", "tomorrow")]
    proposal = StrategyProposal.model_validate({**PROPOSAL, "changes": changes, "forecast": "fine"})
    assert [change.decision for change in proposal.changes] == [Decision.errored, "tomorrow"]
    assert isinstance(proposal.changes[0].decision, Decision)
    assert proposal.summary == "awake; created 0, actioned 0, cancelled 0; 1 skipped, Tasks of them failed"
