"""What one process writes another reads under the same keys, whatever its hash seed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

_WRITE = """
import json, sys, tempfile
from pathlib import Path
from alchemiscale_prefect.chemistry import keyed_chains, protocol_dags
from tests import protocols

folder = Path(sys.argv[1])
stable = {
    "network": protocols.chain_network(4),
    "molecule": protocols.ligand("C[C@H](N)C(=O)O", "alanine"),
    "protocol": protocols.FanOutProtocol(protocols.FanOutSettings(noise="0.1 kilocalorie_per_mole")),
}
dag = protocol_dags.create(protocols.transformation(), name="dag")
failing_edge = protocols.transformation(protocols.FailingProtocol(protocols.FailingSettings()))
failing = protocol_dags.create(failing_edge, name="f")
results = {}
with tempfile.TemporaryDirectory() as shared:
    for each in (dag, failing):
        finished = {}
        for node in protocol_dags.units(each):
            result = protocol_dags.execute_unit(node, finished, shared=Path(shared), scratch=Path(shared))
            finished[node.key] = result
        results[each] = list(finished.values())
random = {
    "dag": dag,
    "result": results[dag][1],
    "failure": results[failing][-1],
    "dag result": protocol_dags.assemble(dag, results[dag]),
    "failed dag result": protocol_dags.assemble(failing, results[failing]),
}
for name, obj in {**stable, **random}.items():
    (folder / f"{name}.zst").write_bytes(keyed_chains.compress(obj))
keys = {name: str(obj.key) for name, obj in {**stable, **random}.items()}
print(json.dumps({"keys": keys, "stable": sorted(stable)}))
"""

_READ = """
import json, sys
from pathlib import Path
from alchemiscale_prefect.chemistry import keyed_chains, protocol_dags, results
from tests import protocols

folder, keys = Path(sys.argv[1]), json.loads(sys.argv[2])
read = {}
for name, key in keys.items():
    data = (folder / f"{name}.zst").read_bytes()
    read[name] = keyed_chains.decompress(data, expected_key=key)
    assert keyed_chains.compress(read[name]) == data, name

first, second = read["dag"].protocol_units[0], read["dag result"].protocol_units[0]
edge = protocols.transformation()
estimate = results.estimate(results.gather(edge, [read["dag result"]]))
print(json.dumps({
    "keys": {name: str(obj.key) for name, obj in read.items()},
    "shared": first is second and any(unit is read["result"] for unit in read["dag result"].protocol_unit_results),
    "units": [node.key for node in protocol_dags.units(read["dag"])],
    "ok": [protocol_dags.is_ok(read[name]) for name in ("result", "failure", "dag result", "failed dag result")],
    "exception": protocol_dags.failures(read["failed dag result"])[0].exception,
    "transformation": read["dag"].transformation_key == edge.key,
    "estimate": estimate.value,
    "rebuilt": {"network": protocols.chain_network(4).key},
}))
"""


def run(script: str, *arguments: str, seed: str) -> dict[str, object]:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": str(ROOT),
        "ALCHEMISCALE_ALLOWED_MODULES": "tests",
    }
    command = [sys.executable, "-W", "error", "-c", script, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], list[str]]:
    folder = tmp_path_factory.mktemp("chains")
    said = run(_WRITE, str(folder), seed="1")
    return folder, said["keys"], said["stable"]


def test_everything_is_read_in_another_process_under_its_key(written: tuple[Path, dict[str, str], list[str]]) -> None:
    folder, keys, _ = written

    said = run(_READ, str(folder), json.dumps(keys), seed="4242")

    assert said["keys"] == keys
    assert said["shared"], "objects with the same key must be one object"
    assert len(said["units"]) == 5
    assert said["ok"] == [True, False, True, False]
    assert said["exception"] == "RuntimeError('Particle coordinate is NaN')"
    assert said["transformation"]
    assert said["estimate"] == pytest.approx(-12.275189803733705, abs=1e-12)
    assert said["rebuilt"]["network"] == keys["network"]


def test_keys_of_content_do_not_depend_on_the_hash_seed(
    written: tuple[Path, dict[str, str], list[str]], tmp_path: Path
) -> None:
    folder, keys, stable = written

    again = run(_WRITE, str(tmp_path), seed="77")["keys"]

    for name in keys:
        assert (again[name] == keys[name]) == (name in stable), name
    for name in stable:
        assert (tmp_path / f"{name}.zst").read_bytes() == (folder / f"{name}.zst").read_bytes()


def test_importing_the_package_imports_no_gufe() -> None:
    script = """
import json, sys
import alchemiscale_prefect.chemistry
from alchemiscale_prefect.chemistry import allowed_modules, versions
heavy = {"gufe", "openff", "rdkit", "numpy", "prefect"}
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules} & heavy)))
"""
    assert run(script, seed="0") == []
