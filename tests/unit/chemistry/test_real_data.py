"""Networks and an archive that gufe itself wrote, read on gufe >= 1."""

import gzip
import json
import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.chemistry.networks import check_no_self_transformations
from alchemiscale_prefect.chemistry.versions import GUFE_LINE
from alchemiscale_prefect.domain.errors import GufeVersionConflict, InvalidKeyedChain

DATA = Path(os.environ.get("ALCHEMISCALE_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))


def read(name: str) -> bytes:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no test data at {path}: set ALCHEMISCALE_TEST_DATA")
    data = path.read_bytes()
    return gzip.decompress(data) if name.endswith(".gz") else data


only_on_1 = pytest.mark.skipif(GUFE_LINE == "0", reason="written by gufe 1.x, and this is gufe 0.4")


@only_on_1
@pytest.mark.parametrize(
    ("name", "nodes", "edges"),
    [
        ("networks/jacs_set_tyk2_dummy.json.gz", 32, 44),
        ("networks/charge_annihilation_set_cdk2_dummy.json.gz", 6, 6),
    ],
)
def test_a_network_is_read_and_written_as_gufe_does(name: str, nodes: int, edges: int) -> None:
    text = read(name)

    network: Any = keyed_chains.from_json(text, expected_key=json.loads(text)[-1][0], allowed=AllowedModules())

    assert (len(network.nodes), len(network.edges)) == (nodes, edges)
    check_no_self_transformations(network)
    assert dict(json.loads(keyed_chains.to_json(network))) == dict(json.loads(text))


@only_on_1
def test_an_archive_with_results_of_an_older_version_is_read() -> None:
    text = read("upstream/gufe_alchemical_archive.json")

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Archive was produced with version", category=UserWarning)
        archive: Any = keyed_chains.from_json(text, allowed=AllowedModules())

    assert len(archive.network.edges) == 12
    assert sum(len(results) for _, results in archive.transformation_results) == 12


@only_on_1
@pytest.mark.parametrize(
    "name",
    [
        "results/pdr_md_failed_3attempts.json",
        "results/pdr_md_vacuum.json",
        "results/pdr_neq.json",
        "results/pdr_rfe_vacuum.json",
    ],
)
def test_a_result_is_read_where_its_protocol_is_installed_and_says_so_where_not(name: str) -> None:
    text = read(name)
    key = json.loads(text)[-1][0]
    module = next(keyed["__module__"] for _, keyed in json.loads(text) if keyed["__qualname__"].endswith("Protocol"))
    if find_spec(module.partition(".")[0]) is None:
        with pytest.raises(InvalidKeyedChain, match=r"cannot be imported here.*install the package that defines it"):
            keyed_chains.from_json(text, expected_key=key, allowed=AllowedModules())
        return

    result: Any = keyed_chains.from_json(text, expected_key=key, allowed=AllowedModules())

    assert result.ok() == ("failed" not in name)
    assert dict(json.loads(keyed_chains.to_json(result))) == dict(json.loads(text))


@pytest.mark.skipif(GUFE_LINE != "0", reason="this is gufe 1.x")
def test_a_chain_of_gufe_1_is_refused_on_0_4() -> None:
    with pytest.raises(GufeVersionConflict, match=r"written by gufe 1\.x and this process has gufe 0\.4"):
        keyed_chains.from_json(read("networks/jacs_set_tyk2_dummy.json.gz"), allowed=AllowedModules())
