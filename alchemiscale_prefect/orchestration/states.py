"""What Prefect's states mean for an attempt: one table.

A signal only. That an attempt is over is proved by its lease, that it succeeded by its result.

Where the messages come from: Prefect's engine, runner and worker (3.8), as they were recorded in
tests/unit/orchestration/test_states.py; prefect-kubernetes 0.8 (``observer.py``: what became of the job;
``diagnostics.py``: why, which goes to the flow run's logs, where the launcher reads it); prefect-slurm 0.1.7
(``worker.py``: no reason at all); Slurm's own job states. A preemption means that the place was wanted for others,
which counts against nobody. An eviction comes of the pressure that pods themselves make, and counts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prefect.client.schemas.objects import StateType

from alchemiscale_prefect.domain.attempts import Fate, RunEnd, RunState

UNDER_WAY: Mapping[StateType, RunState] = {
    StateType.SCHEDULED: RunState.scheduled,
    StateType.PAUSED: RunState.scheduled,
    StateType.PENDING: RunState.pending,
    StateType.RUNNING: RunState.running,
    StateType.CANCELLING: RunState.cancelling,
}
"""The states that are no end."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A row of the table: how a flow run ended that is in a state of this type, with this in its message."""

    type: StateType
    message: re.Pattern[str]
    fate: Fate
    reason: str


def _ending(type_: StateType, message: str, fate: Fate, reason: str) -> Ending:
    return Ending(type_, re.compile(message, re.IGNORECASE), fate, reason)


_CRASHED, _CANCELLED = StateType.CRASHED, StateType.CANCELLED

SILENT = "no heartbeat was heard of it"
"""What the automation for silent flow runs says, in the message."""

STUCK = "it hung in Pending"
"""What the automation for flow runs that never start says, in the message."""

ENDINGS: tuple[Ending, ...] = (
    _ending(StateType.COMPLETED, "", Fate.completed, "its flow run completed"),
    _ending(StateType.FAILED, "", Fate.failed, "its flow run failed"),
    # what `flows.run_task` answers when the API refuses it the attempt, which is over then and no loss
    _ending(_CANCELLED, r"^refused on host", Fate.preempted, "its host was refused"),
    _ending(_CANCELLED, r"is not \(or no longer\) this run's", Fate.lost, "its flow run was refused the attempt"),
    _ending(_CANCELLED, "", Fate.cancelled, "its flow run was cancelled in Prefect"),
    _ending(_CRASHED, SILENT, Fate.lost, "its host vanished, hangs or is cut off"),
    _ending(_CRASHED, STUCK, Fate.never_started, "its flow run hung in Pending"),
    _ending(_CRASHED, r"preempt|\bspot\b.*\b(reclaim|interrupt)", Fate.preempted, "its host was preempted"),
    _ending(_CRASHED, r"evict", Fate.lost, "it was evicted from its host"),
    _ending(
        _CRASHED,
        r"out.of.memory|\bOOM|high memory usage|status code:? (137|247)\b",
        Fate.lost,
        "it ran out of memory, probably",
    ),
    _ending(_CRASHED, r"status code:? -9\b", Fate.lost, "its process was killed; it ran out of memory, perhaps"),
    _ending(
        _CRASHED,
        r"time.?limit|deadline ?exceeded|\bTIMEOUT\b|walltime",
        Fate.lost,
        "its time on the host was over",
    ),
    _ending(
        _CRASHED,
        r"could not start|failed to submit|could not be created|Image ?Pull|status code:? (125|126|127)\b",
        Fate.never_started,
        "its flow run could not be started",
    ),
    _ending(
        _CRASHED,
        r"node.?(fail|lost|shutdown|not.?ready)|boot.?fail|no active or succeeded pods|crash-looping",
        Fate.lost,
        "its host or its pod failed",
    ),
    _ending(_CRASHED, r"job was deleted|job \d+ was terminated", Fate.lost, "its job was ended from outside"),
    _ending(
        _CRASHED,
        r"termination signal|interrupt signal|cancelled by the runtime|status code:? (-15|143|-2|130)\b",
        Fate.preempted,
        "its process was told to stop",
    ),
    _ending(
        _CRASHED, r"Request to .* failed|attempting to contact the server", Fate.lost, "it could not reach Prefect"
    ),
    _ending(_CRASHED, "", Fate.lost, "its flow run crashed"),
)
"""The first row that fits counts; every type that is an end has one without a message."""


# prefect-kubernetes, observer.py
_UNEXPLAINED = re.compile(r"No active or succeeded pods found for any job|Kubernetes job was deleted")
# prefect-kubernetes, diagnostics.py: the summaries, without "Pod is unschedulable", which is no end
_DIAGNOSIS = re.compile(
    r"Pod was evicted: |Container '[^']*' (was evicted|was killed due to out-of-memory|is crash-looping)"
    r"|Image pull failed for container '"
)


def run_state(run: Mapping[str, Any]) -> RunState:
    """Where a flow run, as the API answers it, stands."""
    return UNDER_WAY.get(StateType(run["state_type"]), RunState.ended)


def needs_diagnosis(run: Mapping[str, Any]) -> bool:
    """Whether the flow run's logs say why it ended, and its state does not: so it is with Kubernetes."""
    return run["state_type"] == StateType.CRASHED.value and _UNEXPLAINED.search(_message(run)) is not None


def is_diagnosis(line: str) -> bool:
    """Whether a line of a flow run's logs is what the Kubernetes worker writes about its pod."""
    return _DIAGNOSIS.match(line) is not None


def run_end(run: Mapping[str, Any], diagnosis: str | None = None) -> RunEnd | None:
    """How a flow run, as the API answers it, ended; ``None`` if it has not.

    Parameters
    ----------
    diagnosis
        What its logs say of that, if they do.
    """
    type_ = StateType(run["state_type"])
    if type_ in UNDER_WAY:
        return None
    message = diagnosis or _message(run)
    ending = next(row for row in ENDINGS if row.type is type_ and row.message.search(message))
    said = f": {message.splitlines()[0][:300]}" if message else ""
    return RunEnd(ending.fate, ending.reason + said)


def _message(run: Mapping[str, Any]) -> str:
    return ((run.get("state") or {}).get("message") or "").strip()
