"""What Prefect's states mean, by states as Prefect 3.8 and its workers write them."""

import pytest
from prefect.client.schemas.objects import TERMINAL_STATES, StateType

from alchemiscale_prefect.domain.attempts import Fate, RunEnd, RunState
from alchemiscale_prefect.domain.verdicts import NOT_THE_HOSTS
from alchemiscale_prefect.orchestration.states import (
    ENDINGS,
    SILENT,
    STUCK,
    UNDER_WAY,
    is_diagnosis,
    needs_diagnosis,
    run_end,
    run_state,
)

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
    (
        "CANCELLED",
        "refused on host n1: it is banned until 2026-11-22 07:30:00+00:00: Tasks fail on it that do not fail elsewhere",
        Fate.preempted,
        "host was refused",
    ),
    ("CRASHED", None, Fate.lost, "crashed"),
    ("CRASHED", "Execution was aborted by a termination signal.", Fate.preempted, "told to stop"),
    ("CRASHED", "Execution was aborted by an interrupt signal.", Fate.preempted, "told to stop"),
    ("CRASHED", "Execution was cancelled by the runtime environment.", Fate.preempted, "told to stop"),
    ("CRASHED", "Process exited with status code: -15. The process was terminated.", Fate.preempted, "told to stop"),
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
    ("CRASHED", "Slurm job 17 ended as PREEMPTED", Fate.preempted, "preempted"),
    ("CRASHED", "Slurm job 17 ended as TIMEOUT: CANCELLED DUE TO TIME LIMIT", Fate.lost, "time on the host"),
    ("CRASHED", "Job was active longer than specified deadline: DeadlineExceeded", Fate.lost, "time on the host"),
    ("CRASHED", "Slurm job 17 ended as NODE_FAIL", Fate.lost, "host or its pod failed"),
    ("CRASHED", "No active or succeeded pods found for any job", Fate.lost, "host or its pod failed"),
    ("CRASHED", "Slurm job 17 ended as BOOT_FAIL", Fate.lost, "host or its pod failed"),
    # prefect-slurm 0.1.7, worker.py: whatever Slurm's reason was
    ("CRASHED", "Slurm job 17 was terminated", Fate.lost, "ended from outside"),
    # prefect-kubernetes 0.8.0, observer.py
    ("CRASHED", "Kubernetes job was deleted", Fate.lost, "ended from outside"),
    # prefect-kubernetes 0.8.0, worker.py, through Prefect's base worker
    (
        "CRASHED",
        "Failed to submit flow run to infrastructure: InfrastructureError: Unable to create Kubernetes job: Forbidden: "
        'jobs.batch is forbidden: User "system:serviceaccount:prefect:worker" cannot create resource "jobs"',
        Fate.never_started,
        "could not be",
    ),
    ("CRASHED", f"180 s long {SILENT}", Fate.lost, "host vanished"),
    ("CRASHED", f"{STUCK} for 900 s", Fate.never_started, "hung in Pending"),
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


def test_what_is_not_the_hosts_fault_is_in_the_table():
    assert {row.reason for row in ENDINGS} >= NOT_THE_HOSTS


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


# prefect-kubernetes 0.8.0 (diagnostics.py) writes "<summary>: <detail> Resolution: <resolution>" to a flow run's logs;
# the kubelet's own words within are of Kubernetes' documentation of node-pressure eviction
DIAGNOSES = [
    (
        "Pod was evicted: The pod was evicted from its node. The node was low on resource: memory. Threshold quantity: "
        "100Mi, available: 64Mi. Resolution: Check node conditions for resource pressure.",
        "evicted",
    ),
    (
        "Container 'prefect-job' was killed due to out-of-memory (OOMKilled): The container exceeded its memory limit "
        "and was terminated by the kernel OOM killer. Resolution: Increase the container's memory limit",
        "out of memory",
    ),
    ("Container 'prefect-job' was evicted: The pod was evicted, likely due to node resource pressure", "evicted"),
    (
        "Image pull failed for container 'prefect-job': Kubernetes cannot pull the container image. Reason: "
        "ImagePullBackOff. Back-off pulling image",
        "could not be started",
    ),
    ("Container 'prefect-job' is crash-looping: The container repeatedly crashes after starting.", "pod failed"),
]


@pytest.mark.parametrize(("line", "reason"), DIAGNOSES)
def test_what_kubernetes_says_in_the_logs_explains_what_the_state_does_not(line, reason):
    run = _answer("CRASHED", "No active or succeeded pods found for any job")
    assert needs_diagnosis(run)
    assert is_diagnosis(line)
    end = run_end(run, line)
    assert reason in end.reason.partition(": ")[0]
    assert line[:100] in end.reason


@pytest.mark.parametrize(
    "line",
    [
        "Pod is unschedulable: Kubernetes cannot find a suitable node to run this pod. preemption: 0/5 nodes",
        "the Protocol's own words: Pod was evicted",
    ],
)
def test_other_lines_explain_nothing(line):
    assert not is_diagnosis(line)
    assert not needs_diagnosis(_answer("CRASHED", "Process exited with status code: -9."))
    assert not needs_diagnosis(_answer("RUNNING"))
