"""Which GPU a flow run computes on. No GPU is needed: NVIDIA's programs are stand-ins, the locks are real."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect.execution import devices
from alchemiscale_prefect.execution.checks import check_gpus
from alchemiscale_prefect.execution.gpus import HostUnfit
from alchemiscale_prefect.settings import ComputeSettings
from tests.unit.execution.api import Api, Units
from tests.unit.execution.conftest import Run
from tests.unit.execution.gpu_host import GpuHost, made


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GpuHost:
    return made(tmp_path / "programs", 2, monkeypatch)


@pytest.fixture
def settings(settings: ComputeSettings, tmp_path: Path) -> ComputeSettings:
    return changed(settings, gpu_lock_dir=tmp_path / "locks", gpu_wait_seconds=0.0)


def changed(settings: ComputeSettings, **values: Any) -> ComputeSettings:
    for name, value in values.items():
        object.__setattr__(settings, name, value)  # frozen, and the fixture `run` has these very ones
    return settings


def taken(settings: ComputeSettings, stack: ExitStack, **environment: str) -> str | None:
    """What a flow run that is in this environment sees, until the stack is left."""
    own = {**{name: os.environ[name] for name in ("PATH",)}, **environment}
    stack.enter_context(devices.held(settings, own))
    return own.get("CUDA_VISIBLE_DEVICES")


# --- each its own ----------------------------------------------------------------------------------------------------


def test_flow_runs_are_spread_over_the_gpus(host: GpuHost, settings: ComputeSettings) -> None:
    with ExitStack() as all_, ExitStack() as first:
        assert [taken(settings, first), taken(settings, all_)] == ["0", "1"]
        assert sorted([taken(settings, all_) or "", taken(settings, all_) or ""]) == ["0", "1"]
        first.close()
        assert taken(settings, all_) == "0"


def test_no_more_share_a_gpu_than_are_set(host: GpuHost, settings: ComputeSettings) -> None:
    changed(settings, runs_per_gpu=2, mps="off")
    with ExitStack() as stack:
        assert [taken(settings, stack) for _ in range(4)] == ["0", "1", "0", "1"]
        with pytest.raises(HostUnfit, match="all GPUs are taken, by ALCHEMISCALE_COMPUTE_RUNS_PER_GPU=2"):
            taken(settings, stack)


def test_a_flow_run_gets_several_gpus_or_none(host: GpuHost, settings: ComputeSettings) -> None:
    changed(settings, runs_per_gpu=1, gpus_per_run=2)
    with ExitStack() as stack:
        one = changed(settings.model_copy(), gpus_per_run=1)
        taken(one, stack)
        with pytest.raises(HostUnfit):
            taken(settings, stack)
        assert taken(one, stack) == "1", "what could not be had whole is not kept"
    with ExitStack() as stack:
        assert taken(settings, stack) == "0,1"


def test_a_gpu_is_free_when_its_process_is_killed(host: GpuHost, settings: ComputeSettings) -> None:
    changed(settings, runs_per_gpu=1)
    holder = (
        "import sys, types; from alchemiscale_prefect.execution import gpus\n"
        "with gpus.held(gpus.find('auto'), types.SimpleNamespace("
        "gpus_per_run=2, runs_per_gpu=1, gpu_wait_seconds=0, gpu_lock_dir=__import__('pathlib').Path(sys.argv[1]))):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(settings.gpu_lock_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process, ExitStack() as stack:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(HostUnfit):
            taken(settings, stack)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert taken(settings, stack) == "0"


def test_the_environment_is_as_before_when_the_run_is_over(
    host: GpuHost, settings: ComputeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(os.environ)
    with devices.held(settings):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
        assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert dict(os.environ) == before


# --- which there are -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpus", "given", "seen"),
    [
        ("auto", None, ["0", "1"]),
        ("1", None, ["1", "1"]),
        ("GPU-1, 0", None, ["1", "0"]),
        ("none", None, ["", ""]),
        # a scheduler's choice goes before, and is named as the scheduler names it
        ("0", "1", ["1", "1"]),
        ("auto", "GPU-1,GPU-0", ["GPU-1", "GPU-0"]),
        ("auto", "MIG-5", ["MIG-5", "MIG-5"]),
        ("auto", "", ["", ""]),
        ("auto", "-1", ["-1", "-1"]),
        # of another numbering: not known which, so not shared out
        ("auto", "7", ["7", "7"]),
    ],
)
def test_gpus_are_those_of_the_scheduler_or_of_the_settings(
    host: GpuHost, settings: ComputeSettings, gpus: str, given: str | None, seen: list[str]
) -> None:
    changed(settings, gpus=gpus)
    environment = {} if given is None else {"CUDA_VISIBLE_DEVICES": given}
    with ExitStack() as stack:
        assert [taken(settings, stack, **environment) for _ in range(2)] == seen


def test_a_gpu_that_is_not_there_is_named(host: GpuHost, settings: ComputeSettings) -> None:
    with ExitStack() as stack, pytest.raises(HostUnfit, match="ALCHEMISCALE_COMPUTE_GPUS names 3, and there are: 0, 1"):
        taken(changed(settings, gpus="1,3"), stack)


# --- where the pool promises one -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "why"),
    [
        ("", "nvidia-smi lists none"),
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the driver\nexit 9",
            "communicate with the driver",
        ),
        (None, "there is no nvidia-smi"),
    ],
)
def test_a_host_without_a_gpu_gives_its_tasks_back(
    host: GpuHost, settings: ComputeSettings, api: Api, run: Run, units: Units, listed: str | None, why: str
) -> None:
    program = host.folder / "nvidia-smi"
    if listed is None:
        program.unlink()
    else:
        message, _, failure = listed.partition("\n")
        program.write_text(f'#!/bin/sh\necho "{message}"\n{failure}\n')
    changed(settings, require_gpu=True)
    with pytest.raises(HostUnfit):
        run()
    (reason,) = api.released
    assert reason.startswith("no GPU on host: no GPU")
    assert why in reason
    assert api.causes == ["failed"]
    assert (units.ran, api.dag) == ([], None)

    assert changed(settings, require_gpu=False)
    assert run(2).status == "complete"


def test_a_gpu_on_which_openmm_cannot_compute_is_none(
    host: GpuHost, settings: ComputeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "openmm")
    # as on a host whose driver is broken, also where there is one that is not
    monkeypatch.setattr(devices, "_PROBE", "tests.unit.execution.broken_platforms")
    changed(settings, require_gpu=True)
    with pytest.raises(HostUnfit, match=r"no GPU that works: .*CUDA: "), devices.held(settings):
        pass


def test_openmm_computes_on_the_gpu_that_was_tried(
    host: GpuHost, settings: ComputeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "_working_platform", lambda *_: "CUDA")
    monkeypatch.delitem(sys.modules, "openmm")
    with devices.held(changed(settings, require_gpu=True)):
        assert os.environ["OPENMM_DEFAULT_PLATFORM"] == "CUDA"
    assert "OPENMM_DEFAULT_PLATFORM" not in os.environ


def test_doctor_says_what_there_is(host: GpuHost, settings: ComputeSettings) -> None:
    assert check_gpus(settings).detail == "2"
    assert check_gpus(changed(settings, runs_per_gpu=3)).detail == "2, for 3 flow runs each"
    with ExitStack() as stack:
        taken(changed(settings, runs_per_gpu=1, gpus_per_run=2), stack)
        assert check_gpus(changed(settings, require_gpu=True)).status == "ok", "what is taken is no fault of the host"
    host.list()
    assert (check_gpus(settings).status, check_gpus(settings).detail) == ("failed", "no GPU: nvidia-smi lists none")
    assert check_gpus(changed(settings, require_gpu=False)).status == "skipped"


# --- MPS -------------------------------------------------------------------------------------------------------------


def _mps(settings: ComputeSettings, **environment: str) -> dict[str, str]:
    own = {"PATH": os.environ["PATH"], **environment}
    with devices.held(settings, own):
        return {name: value for name, value in own.items() if name.startswith("CUDA_MPS")}


def test_mps_is_started_once_where_flow_runs_share_a_gpu(host: GpuHost, settings: ComputeSettings) -> None:
    changed(settings, runs_per_gpu=3)
    assert _mps(settings) == {}
    host.install_mps()
    first = _mps(settings, ALCHEMISCALE_FLOW_RUN_PROCESS="1-a")
    assert first["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "66"
    assert Path(first["CUDA_MPS_PIPE_DIRECTORY"]).parent == settings.gpu_lock_dir
    assert _mps(settings) == first
    assert host.starts() == 1
    # it outlives the flow run that started it, and serves all GPUs
    kept = (host.folder / "daemon-environment").read_text()
    assert "ALCHEMISCALE_" not in kept
    assert "CUDA_VISIBLE_DEVICES" not in kept


def test_a_job_of_a_scheduler_has_its_own_daemon(host: GpuHost, settings: ComputeSettings) -> None:
    """One that another job started would have that job's GPUs, and end with it."""
    host.install_mps()
    changed(settings, runs_per_gpu=2)
    (host.folder / "usual").mkdir()
    (host.folder / "usual" / "control").touch()
    own, others = (_mps(settings, CUDA_VISIBLE_DEVICES=device) for device in "01")
    assert own["CUDA_MPS_PIPE_DIRECTORY"] != others["CUDA_MPS_PIPE_DIRECTORY"]
    assert host.starts() == 2


def test_a_daemon_that_runs_is_used(host: GpuHost, settings: ComputeSettings) -> None:
    host.install_mps()
    changed(settings, runs_per_gpu=2)
    (host.folder / "usual").mkdir()
    (host.folder / "usual" / "control").touch()
    assert _mps(settings) == {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "100"}
    given = {"CUDA_MPS_PIPE_DIRECTORY": "/operators", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "30"}
    assert _mps(settings, **given) == given
    assert host.starts() == 0


def test_mps_is_used_as_it_is_set(host: GpuHost, settings: ComputeSettings) -> None:
    with pytest.raises(HostUnfit, match="there is no nvidia-cuda-mps-control"):
        _mps(changed(settings, mps="on"))
    host.install_mps()
    assert _mps(changed(settings, mps="auto")) == {}, "nobody shares a GPU"
    assert _mps(changed(settings, mps="off", runs_per_gpu=2)) == {}
    assert "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE" not in _mps(changed(settings, mps="on", runs_per_gpu=None))
    assert _mps(changed(settings, mps_thread_percentage=25))["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "25"


def test_without_a_daemon_flow_runs_take_turns_unless_it_is_wanted(host: GpuHost, settings: ComputeSettings) -> None:
    host.install_mps()
    (host.folder / "broken").touch()
    assert _mps(changed(settings, runs_per_gpu=2)) == {}
    with pytest.raises(HostUnfit, match="does not start: An instance of this daemon is already running"):
        _mps(changed(settings, mps="on"))
