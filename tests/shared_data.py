"""Real networks and results, which the project does not carry: see README.md beside them."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ.get("ALCHEMISCALE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

NETWORKS = (
    "benzene_rhfe_short_rhtp",
    "charge_annihilation_set_cdk2_dummy",
    "freesolv_ahfe_asp",
    "jacs_set_p38_rhtp",
    "jacs_set_tyk2_dummy",
    "jacs_set_tyk2_rhtp",
)


def network_text(name: str) -> str:
    """The JSON text of a network's keyed chain; skips the test where the data is absent."""
    path = FOLDER / "networks" / f"{name}.json.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent; set ALCHEMISCALE_TEST_DATA to the folder of the shared test data")
    return gzip.decompress(path.read_bytes()).decode()


def network(name: str) -> Any:
    """A network's keyed chain."""
    return json.loads(network_text(name))
