"""A network is submitted without loading the engines."""

import subprocess
import sys

CODE = """
import sys
import gufe
engines = {"openmm", "pymbar", "scipy"} - sys.modules.keys()
from alchemiscale_prefect.protocols.demo import demo_network
from alchemiscale_prefect.protocols.harmonic import HarmonicProtocol
network = demo_network()
[edge.create() for edge in network.edges]
loaded = engines & sys.modules.keys()
assert not loaded, loaded
assert "pymbar" in engines
"""


def test_building_a_network_and_its_dags_loads_no_engine():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
