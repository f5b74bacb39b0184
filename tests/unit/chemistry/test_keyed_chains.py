import copy
import datetime
import gc
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import zstandard
from gufe.tokenization import TOKENIZABLE_REGISTRY
from hypothesis import given, settings
from hypothesis import strategies as st

from alchemiscale_prefect.chemistry import keyed_chains, protocol_dags
from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.chemistry.base import (
    AlchemicalNetwork,
    ChemicalSystem,
    GufeTokenizable,
    ProtocolUnitResult,
    Quantity,
    SolventComponent,
    unit,
)
from alchemiscale_prefect.chemistry.versions import GUFE_LINE
from alchemiscale_prefect.domain.errors import (
    InvalidInput,
)
from tests import protocols
from tests.unit.chemistry.conftest import ALLOWED
from tests.unit.chemistry.odd_units import EchoUnit, OddProtocol


def document(obj: GufeTokenizable) -> list[Any]:
    return json.loads(keyed_chains.to_json(obj))


def forget(*chains: list[Any]) -> None:
    """Hide the chains' objects from gufe's registry, as in a new process, so that decoding has to build them."""
    for chain in chains:
        for key, _ in chain:
            TOKENIZABLE_REGISTRY.pop(key, None)


def objects() -> dict[str, GufeTokenizable]:
    edge = protocols.transformation()
    return {
        "component": SolventComponent(ion_concentration=0.15 * unit.molar),
        "small molecule": protocols.ligand("c1ccccc1O", "phenol"),
        "charged molecule": protocols.ligand("CC(=O)[O-]", "acetate"),
        "chiral molecule": protocols.ligand("C[C@H](N)C(=O)O", "alanine"),
        "chemical system": protocols.salt_water(0.1, "salted"),
        "protocol": protocols.FanOutProtocol(protocols.FanOutSettings(temperature="310.15 kelvin")),
        "transformation": edge,
        "network": protocols.chain_network(3),
        "empty network": AlchemicalNetwork(name="empty"),
        "protocol dag": protocol_dags.create(edge, name="dag"),
        "protocol result": edge.protocol.result_cls(n_protocol_dag_results=1, free_energies=[1.5 * unit.kelvin]),
    }


@pytest.mark.parametrize("name", objects())
def test_an_object_comes_back_with_its_key_when_none_of_it_is_in_memory(name: str, allowed: AllowedModules) -> None:
    obj = objects()[name]
    key = str(obj.key)
    data = keyed_chains.compress(obj)
    del obj
    forget(json.loads(zstandard.decompress(data)))

    decoded = keyed_chains.decompress(data, expected_key=key, allowed=allowed)

    assert decoded.key == key
    assert keyed_chains.compress(decoded) == data


def test_decoding_gives_the_object_that_is_alive_and_shares_its_parts(allowed: AllowedModules) -> None:
    network = protocols.chain_network(2, name="alive")

    decoded = keyed_chains.from_json(keyed_chains.to_json(network), allowed=allowed)

    assert decoded is protocols.registered(network)

    chain = document(protocols.chain_network(2, name="shared"))
    forget(chain)
    edges = {edge.name: edge for edge in keyed_chains.from_json(chain, allowed=allowed).edges}
    assert edges["shared 0"].stateB is edges["shared 1"].stateA
    assert edges["shared 0"].protocol is edges["shared 1"].protocol


def test_an_object_stands_once_and_after_what_it_depends_on() -> None:
    network = protocols.chain_network(20)

    chain = document(network)

    keys = [key for key, _ in chain]
    assert keys[-1] == network.key
    assert len(keys) == len(set(keys)) == 21 + 21 + 21 + 1 + 1  # solvents, systems, edges, Protocol, network
    seen: set[str] = set()
    for key, keyed_dict in chain:
        text = json.dumps(keyed_dict)
        assert not [other for other in keys if f'"{other}"' in text and other not in seen]
        seen.add(key)


def test_every_object_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = protocols.chain_network(50)
    calls = []
    original = ChemicalSystem._to_dict
    monkeypatch.setattr(ChemicalSystem, "_to_dict", lambda self: calls.append(self.key) or original(self))

    keyed_chains.to_json(network)

    assert len(calls) == len(set(calls)) == 51


def test_a_row_of_a_thousand_units_is_written_and_read_without_recursion(
    monkeypatch: pytest.MonkeyPatch, allowed: AllowedModules
) -> None:
    row: list[Any] = [EchoUnit(name="0")]
    for index in range(1, 1000):
        row.append(EchoUnit(name=str(index), before=row[-1]))
    monkeypatch.setattr(OddProtocol, "given", row)
    dag = protocol_dags.create(protocols.transformation(OddProtocol(protocols.FanOutSettings())), name="row")
    key = dag.key
    data = keyed_chains.compress(dag)
    del dag, row
    monkeypatch.undo()
    forget(json.loads(zstandard.decompress(data)))

    decoded = keyed_chains.decompress(data, expected_key=str(key), allowed=allowed)

    assert [node.name for node in protocol_dags.units(decoded)] == [str(index) for index in range(1000)]


def test_the_compressed_form_is_zstandard_of_what_json_gives() -> None:
    network = protocols.chain_network(2)

    assert zstandard.decompress(keyed_chains.compress(network)) == keyed_chains.to_json(network)


@pytest.mark.skipif(GUFE_LINE == "0", reason="gufe 0.4 has no keyed chains of its own")
def test_gufe_and_we_read_each_other_s_chains(allowed: AllowedModules) -> None:
    network = protocols.chain_network(5)
    theirs, ours = network.to_json(), keyed_chains.to_json(network).decode()
    key = network.key

    assert dict(json.loads(theirs)) == dict(json.loads(ours))
    del network
    assert keyed_chains.from_json(theirs, expected_key=str(key), allowed=allowed).key == key
    gc.collect()
    assert AlchemicalNetwork.from_json(content=ours).key == key


def test_a_list_is_read_like_its_text_and_stays_as_it_is(allowed: AllowedModules) -> None:
    network = protocols.chain_network(2, name="listed")
    chain = document(network)
    before = copy.deepcopy(chain)

    assert keyed_chains.from_json(chain, allowed=allowed) is protocols.registered(network)
    assert chain == before


# --- values -----------------------------------------------------------------------------------------------------

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=16)
    | st.uuids()
    | st.datetimes()
    | st.datetimes(timezones=st.just(datetime.UTC))
    | st.builds(Path, st.text("abc/.", min_size=1, max_size=8))
    | st.builds(lambda number: number * unit.kilojoule_per_mole, st.floats(-1e6, 1e6))
    | st.builds(np.float32, st.floats(-1e6, 1e6, width=32))
    | st.builds(np.int64, st.integers(-(2**63), 2**63 - 1))
    | st.builds(np.bool_, st.booleans())
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150)
@given(outputs=st.dictionaries(st.text("xyz", min_size=1, max_size=3), _values, max_size=4))
def test_what_a_unit_returns_comes_back_equal(outputs: dict[str, Any]) -> None:
    result = ProtocolUnitResult(name="u", source_key="U-1", inputs={}, outputs=outputs)
    key = result.key
    data = keyed_chains.compress(result)
    del result
    forget([(key, None)])

    decoded = keyed_chains.decompress(data, expected_key=str(key), allowed=ALLOWED)

    assert decoded.outputs == outputs
    assert decoded.key == key


@pytest.mark.parametrize("dtype", ["float64", "float32", "int16", "complex128", "bool", "U4"])
def test_arrays_come_back_with_shape_and_type(dtype: str, allowed: AllowedModules) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    data = keyed_chains.compress(ProtocolUnitResult(source_key="U-1", inputs={}, outputs={"a": array}))
    gc.collect()

    (decoded,) = keyed_chains.decompress(data, allowed=allowed).outputs.values()

    np.testing.assert_array_equal(decoded, array)
    assert decoded.dtype == array.dtype


def test_an_array_quantity_and_a_uuid_come_back(allowed: AllowedModules) -> None:
    outputs = {"box": np.eye(3) * unit.nanometer, "id": UUID(int=7), "unit": (1 * unit.picosecond).units}
    data = keyed_chains.compress(ProtocolUnitResult(source_key="U-1", inputs={}, outputs=outputs))
    gc.collect()

    decoded = keyed_chains.decompress(data, allowed=allowed).outputs

    assert isinstance(decoded["box"], Quantity)
    np.testing.assert_array_equal(decoded["box"].m_as("nanometer"), np.eye(3))
    assert decoded["id"] == UUID(int=7)
    assert decoded["unit"] == outputs["unit"]


def test_a_value_without_json_is_named(allowed: AllowedModules) -> None:
    result = ProtocolUnitResult(source_key="U-1", inputs={}, outputs={"lock": object()})

    with pytest.raises(InvalidInput, match=f"{result.key} cannot be written as JSON"):
        keyed_chains.to_json(result)


def test_something_that_is_no_gufe_object_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a gufe object is needed, got dict"):
        keyed_chains.to_json({"not": "gufe"})
