"""What the adapter changes in gufe 0.4, and what it leaves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alchemiscale_prefect.chemistry.versions import GUFE_LINE

if GUFE_LINE != "0":
    pytest.skip("only for gufe 0.4", allow_module_level=True)

import gufe
import numpy as np
from gufe import tokenization
from gufe.tests.test_protocol import DummyProtocol

from alchemiscale_prefect.chemistry import gufe04, keyed_chains, protocol_dags
from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.chemistry.base import GufeTokenizable
from alchemiscale_prefect.domain.errors import InvalidInput
from tests import protocols

ROOT = Path(__file__).parents[3]

_KEYS = """
import json, sys
{first}
import gufe
from openff.units import unit
from rdkit import Chem
from rdkit.Chem import AllChem

molecule = Chem.AddHs(Chem.MolFromSmiles("C[C@H](N)C(=O)[O-]"))
AllChem.EmbedMolecule(molecule, randomSeed=7)
parts = dict(l=gufe.SmallMoleculeComponent(molecule, name="alanine"), s=gufe.SolventComponent())
import numpy
systems = [gufe.ChemicalSystem(parts), gufe.ChemicalSystem(parts, name="a", box_vectors=numpy.arange(9.0))]
objects = [*parts.values(), *systems]
before = [str(each.key) for each in objects]
import alchemiscale_prefect.chemistry.base
from alchemiscale_prefect.chemistry import keyed_chains
data = [keyed_chains.compress(each) for each in objects]
del objects, systems, parts
print(json.dumps([before, [str(keyed_chains.decompress(each).key) for each in data]]))
"""


def test_objects_made_before_the_adapter_is_imported_keep_their_keys() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    keys = []
    for first in ("import gufe", "import alchemiscale_prefect.chemistry.base"):
        command = [sys.executable, "-c", _KEYS.format(first=first)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        keys += json.loads(done.stdout)

    assert len(keys) == 4
    assert all(each == keys[0] for each in keys)
    assert len(keys[0]) == len(set(keys[0])) == 4


def test_applying_twice_changes_nothing() -> None:
    before = (tokenization.normalize, len(tokenization.JSON_HANDLER.codecs), gufe.Transformation.create)

    gufe04.apply()

    assert before == (tokenization.normalize, len(tokenization.JSON_HANDLER.codecs), gufe.Transformation.create)


def test_absent_box_vectors_are_written_as_null_and_given_ones_kept(allowed: AllowedModules) -> None:
    absent = protocols.salt_water(0.1, "absent")
    given = gufe.ChemicalSystem(absent.components, box_vectors=np.arange(9.0), name="given")
    texts = {system.name: keyed_chains.to_json(system) for system in (absent, given)}

    assert json.loads(texts["absent"])[-1][1]["box_vectors"] is None
    assert b"NaN" not in texts["absent"]
    key = given.key
    del absent, given
    decoded = keyed_chains.from_json(texts["given"], expected_key=str(key), allowed=allowed)
    np.testing.assert_array_equal(decoded.box_vectors, np.arange(9.0))
    assert np.isnan(keyed_chains.from_json(texts["absent"], allowed=allowed).box_vectors).all()


def test_a_protocol_written_to_0_4_says_what_to_subclass() -> None:
    edge = gufe.Transformation(
        stateA=protocols.salt_water(0.0, "a"), stateB=protocols.salt_water(0.1, "b"), protocol=DummyProtocol()
    )

    with pytest.raises(InvalidInput, match=r"alchemiscale_prefect\.chemistry\.base\.Protocol"):
        protocol_dags.create(edge, name="dag")


def test_a_class_written_to_1_x_can_have_classmethod_defaults() -> None:
    class Weighted(GufeTokenizable):
        def __init__(self, weight: float = 1.0) -> None:
            self.weight = weight

        @classmethod
        def _defaults(cls) -> dict[str, object]:
            return super()._defaults()

        def _to_dict(self) -> dict[str, object]:
            return {"weight": self.weight}

        @classmethod
        def _from_dict(cls, dct: dict[str, float]) -> "Weighted":
            return cls(**dct)

    assert Weighted().defaults == {"weight": 1.0}
    assert Weighted().key == Weighted(1.0).key != Weighted(2.0).key


def test_numpy_floats_have_the_key_of_python_s() -> None:
    results = [protocols.FanOutResult(n_protocol_dag_results=1, value=kind(1.5)) for kind in (float, np.float64)]

    assert results[0].key == results[1].key
