"""A host with GPUs, as far as programs on the PATH can make one."""

import os
import sys
from pathlib import Path

import pytest

SMI = """#!/bin/sh
test "$*" = "--query-gpu=index,uuid --format=csv,noheader" || exit 2
cat {folder}/gpus
"""

# a daemon is a file in its folder of pipes; without one, the tool says what NVIDIA's says
CONTROL = """#!/bin/sh
pipes="${{CUDA_MPS_PIPE_DIRECTORY:-{folder}/usual}}"
if [ "$1" = -d ]; then
    test ! -e {folder}/broken || {{ echo "An instance of this daemon is already running" >&2; exit 1; }}
    env | grep -e CUDA_ -e ALCHEMISCALE_ > {folder}/daemon-environment
    echo started >> {folder}/starts
    touch "$pipes/control"
    exit 0
fi
read -r command
test "$command" = get_server_list || exit 2
test -e "$pipes/control" || {{ echo "Cannot find MPS control daemon process" >&2; exit 1; }}
"""


class GpuHost:
    """Its nvidia-smi and, with `install_mps`, its nvidia-cuda-mps-control."""

    def __init__(self, folder: Path, gpus: int) -> None:
        self.folder = folder
        self.list(*(f"{index}, GPU-{index}" for index in range(gpus)))
        self._install("nvidia-smi", SMI)

    def list(self, *lines: str) -> None:
        """What nvidia-smi prints."""
        (self.folder / "gpus").write_text("".join(f"{line}\n" for line in lines))

    def install_mps(self) -> None:
        """Have MPS."""
        self._install("nvidia-cuda-mps-control", CONTROL)

    def starts(self) -> int:
        """How often an MPS daemon was started."""
        path = self.folder / "starts"
        return len(path.read_text().split()) if path.exists() else 0

    def _install(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(script.format(folder=self.folder))
        path.chmod(0o755)


def made(folder: Path, gpus: int, monkeypatch: pytest.MonkeyPatch) -> GpuHost:
    """This host from now on, as one with so many GPUs; its Python has no OpenMM."""
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    for variable in [name for name in os.environ if name.startswith(("CUDA_", "OPENMM_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setitem(sys.modules, "openmm", None)
    return GpuHost(folder, gpus)
