"""What Prefect's states mean, by states as Prefect 3.8 and its workers write them."""

import pytest
from prefect.client.schemas.objects import TERMINAL_STATES, StateType

from alchemiscale_prefect.domain.attempts import Fate, RunEnd, RunState
from alchemiscale_prefect.orchestration.states import ENDINGS, UNDER_WAY, run_end, run_state

# (type, message) → how it ended, and why
RECORDED = [
    ("COMPLETED", "ProtocolDAG: 4 units", Fate.completed, "completed"),
    ("FAILED", "ProtocolDAG: unit 3: ValueError", Fate.failed, "failed"),
    ("CANCELLED", None, Fate.cancelled, "cancelled in Prefect"),
    ("CANCELLED", "Flow run was cancelled before execution started.", Fate.cancelled, "cancelled in Prefect"),
    (
        "CANCELLED",
        "attempt 2 of Task-1-o-c-p is not (or no longer) this run's; it was cancelled, lost or superseded",
        Fate.lost,
        "refused the attempt",
    ),
    ("CRASHED", None, Fate.lost, "crashed"),
    ("CRASHED", "Execution was aborted by a termination signal.", Fate.lost, "told to stop"),
    ("CRASHED", "Execution was aborted by an interrupt signal.", Fate.lost, "told to stop"),
    ("CRASHED", "Execution was cancelled by the runtime environment.", Fate.lost, "told to stop"),
    ("CRASHED", "Process exited with status code: -15. The process was terminated.", Fate.lost, "told to stop"),
    ("CRASHED", "Process exited with status code: -9. Process exited due to a SIGKILL.", Fate.lost, "was killed"),
    (
        "CRASHED",
        "Process exited with status code: 137. Process was killed, likely due to an out-of-memory (OOM) condition.",
        Fate.lost,
        "out of memory, probably",
    ),
    ("CRASHED", "Flow run infrastructure exited with non-zero status code 247.", Fate.lost, "out of memory, probably"),
    ("CRASHED", "Container was OOMKilled", Fate.lost, "out of memory, probably"),
    ("CRASHED", "slurmstepd: error: Detected 1 oom_kill event; OUT_OF_MEMORY", Fate.lost, "out of memory, probably"),
    ("CRASHED", "Pod was evicted: The node was low on resource: memory.", Fate.lost, "evicted"),
    ("CRASHED", "Slurm job 17 ended as PREEMPTED", Fate.lost, "preempted"),
    ("CRASHED", "Slurm job 17 ended as TIMEOUT: CANCELLED DUE TO TIME LIMIT", Fate.lost, "time on the host"),
    ("CRASHED", "Job was active longer than specified deadline: DeadlineExceeded", Fate.lost, "time on the host"),
    ("CRASHED", "Slurm job 17 ended as NODE_FAIL", Fate.lost, "host failed"),
    ("CRASHED", "No active or succeeded pods found for any job", Fate.lost, "host failed"),
    ("CRASHED", "Flow run could not start: [Errno 12] Cannot allocate memory", Fate.never_started, "could not be"),
    (
        "CRASHED",
        "Failed to submit flow run to infrastructure: RuntimeError: ImagePullBackOff",
        Fate.never_started,
        "could not be",
    ),
    ("CRASHED", "Process exited with status code: 127. Command not found.", Fate.never_started, "could not be"),
    (
        "CRASHED",
        "Request to http://127.0.0.1:4200/api/csrf-token failed: ConnectError: refused.",
        Fate.lost,
        "could not reach Prefect",
    ),
    ("CRASHED", "Process exited with status code: 1. Process exited with a general error.", Fate.lost, "crashed"),
]


def _answer(type_, message=None):
    return {"id": "x", "state_type": type_, "state": {"type": type_, "message": message}}


@pytest.mark.parametrize(("type_", "message", "fate", "reason"), RECORDED)
def test_ends_are_told_apart(type_, message, fate, reason):
    end = run_end(_answer(type_, message))
    assert end is not None
    assert end.fate is fate
    assert reason in end.reason.partition(": ")[0]
    assert (message or "") in end.reason
    assert run_state(_answer(type_, message)) is RunState.ended


def test_every_type_of_state_has_its_place():
    assert set(UNDER_WAY) | TERMINAL_STATES == set(StateType)
    assert not set(UNDER_WAY) & TERMINAL_STATES
    for type_ in TERMINAL_STATES:
        assert [row.message.pattern for row in ENDINGS if row.type is type_][-1] == ""
    for type_, state in UNDER_WAY.items():
        assert run_state(_answer(type_.value)) is state
        assert run_end(_answer(type_.value)) is None


def test_every_row_of_the_table_is_used():
    used = {run_end(_answer(type_, message)).reason.partition(": ")[0] for type_, message, *_ in RECORDED}
    assert used == {row.reason for row in ENDINGS}


def test_long_messages_are_cut_and_a_state_without_details_is_known():
    end = run_end(_answer("CRASHED", "first line " * 100 + "\nTraceback ..."))
    assert len(end.reason) < 400
    assert "Traceback" not in end.reason
    assert run_end({"id": "x", "state_type": "CANCELLED", "state": None}) == RunEnd(
        Fate.cancelled, "its flow run was cancelled in Prefect"
    )
