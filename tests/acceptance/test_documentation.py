"""The Python of README and tutorial runs as it stands there."""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from alchemiscale_prefect.local.stack import USER, LocalStack

ROOT = Path(__file__).parents[2]
# the flow runs of three Tasks, on a machine that does other things too
pytestmark = pytest.mark.timeout(900)

# What the README calls `network`, and a wait where it says "when they are complete".
NETWORK = """
from gufe import AlchemicalNetwork, Transformation
from alchemiscale_prefect.protocols.harmonic import HarmonicProtocol, harmonic_system

protocol = HarmonicProtocol(HarmonicProtocol.default_settings())
network = AlchemicalNetwork([Transformation(harmonic_system(100.0), harmonic_system(150.0), protocol, name="wells")])
"""
WAIT = """
import time
while asc.get_network_status(sk, visualize=False).keys() & {"waiting", "running"}:
    time.sleep(0.5)
"""


def python_of(page: str) -> list[str]:
    """The Python code blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def run(stack: LocalStack, tmp_path: Path) -> Callable[[str], str]:
    """Run Python as a user would who has the stack's address in the environment; what it printed."""

    def run(script: str) -> str:
        environment = os.environ | {
            "ALCHEMISCALE_URL": stack.config.api_url,
            "ALCHEMISCALE_ID": USER,
            "ALCHEMISCALE_KEY": stack.config.user_key,
            "XDG_CACHE_HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{textwrap.indent(script, '    ')}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def test_the_snippet_of_the_readme(run: Callable[[str], str]) -> None:
    submit, look = python_of("README.md")
    printed = run(NETWORK + submit + WAIT + look)
    (estimate,) = re.findall(r"^wells (-?\d+\.\d+) kilojoule_per_mole", printed, re.MULTILINE)
    # 3/2 kT ln(150 / 100) at 300 K
    assert float(estimate) == pytest.approx(1.517, abs=0.2)


@pytest.mark.slow
def test_the_tutorial(run: Callable[[str], str]) -> None:
    printed = run("".join(python_of("docs/tutorial/first-network.md")))
    assert "{'complete': 3}" in printed
    estimates = dict(re.findall(r"^(\w+ to \w+): (-?\d+\.\d+) kilojoule_per_mole ±", printed, re.MULTILINE))
    assert set(estimates) == {"argon to krypton", "krypton to xenon", "argon to xenon"}
    (closure,) = re.findall(r"^around the cycle: (-?\d+\.\d+) kilojoule_per_mole", printed, re.MULTILINE)
    assert abs(float(closure)) < 1.0
