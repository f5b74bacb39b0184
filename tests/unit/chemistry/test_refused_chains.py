"""Documents that must not be read, and that nothing is imported for."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard
from gufe.tokenization import JSON_HANDLER
from hypothesis import given, settings
from hypothesis import strategies as st

from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.chemistry.base import GufeTokenizable, ProtocolUnitResult
from alchemiscale_prefect.chemistry.versions import GUFE_LINE
from alchemiscale_prefect.domain.errors import GufeVersionConflict, InvalidKeyedChain, ModuleNotAllowed
from tests import protocols
from tests.unit.chemistry.conftest import ALLOWED


def document(obj: GufeTokenizable) -> list[Any]:
    return json.loads(keyed_chains.to_json(obj))


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module ``trapped`` on the path that leaves a file when it is imported."""
    flag = tmp_path / "imported"
    source = f"import pathlib\npathlib.Path({str(flag)!r}).touch()\n"
    for name in ("trapped", "gufe_trapped"):
        (tmp_path / f"{name}.py").write_text(source)
    (tmp_path / "openfecli").mkdir()
    (tmp_path / "openfecli" / "__init__.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    return flag


_settings_document = {"__class__": "Settings", "__module__": "trapped", ":is_custom:": True}
_PLANTED = {
    "the object itself": lambda chain: chain[-1][1].update(__module__="trapped"),
    "a dependency": lambda chain: chain[0][1].update(__module__="trapped"),
    "a module with an allowed beginning": lambda chain: chain[0][1].update(__module__="gufe_trapped"),
    "a package with an allowed beginning": lambda chain: chain[0][1].update(__module__="openfecli"),
    "a settings value": lambda chain: chain[0][1].update(extra=_settings_document),
    "a value without the custom mark": lambda chain: chain[0][1].update(
        extra={"__class__": "S", "__module__": "trapped"}
    ),
    "a value with both names": lambda chain: chain[0][1].update(
        extra={"__class__": "bytes", "__module__": "trapped", "__qualname__": "bytes"}
    ),
    "a module alone": lambda chain: chain[0][1].update(extra={"__module__": "trapped"}),
    "deep inside": lambda chain: chain[0][1].update(extra=[[{"a": [{"b": dict(_settings_document)}]}]]),
    "inside a reference": lambda chain: chain[-1][1].update(
        extra={":gufe-key:": chain[0][0], "x": dict(_settings_document)}
    ),
    "another class of a module that codecs use": lambda chain: chain[0][1].update(
        extra={"__class__": "eval", "__module__": "builtins", ":is_custom:": True}
    ),
    "an object of a module that codecs use": lambda chain: chain[0][1].update(__module__="uuid"),
    "a codec class as an object": lambda chain: chain[0][1].update(
        extra={"__class__": "bytes", "__module__": "builtins", "__qualname__": "bytes"}
    ),
    "a numpy class that is no scalar": lambda chain: chain[0][1].update(
        extra={"__class__": "memmap", "__module__": "numpy", ":is_custom:": True}
    ),
}


@pytest.mark.parametrize("where", _PLANTED)
def test_a_module_outside_the_list_is_refused_before_anything_is_imported(
    where: str, trap: Path, allowed: AllowedModules, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = document(protocols.transformation())
    _PLANTED[where](chain)
    decoded = []
    monkeypatch.setattr(keyed_chains.tokenization, "from_dict", decoded.append)
    monkeypatch.setattr(JSON_HANDLER, "decoder", None)
    modules = set(sys.modules)

    with pytest.raises(ModuleNotAllowed, match="may not be imported here"):
        keyed_chains.from_json(json.dumps(chain), allowed=allowed)

    assert not trap.exists()
    assert not decoded
    assert set(sys.modules) == modules


def test_escapes_do_not_hide_a_module(trap: Path, allowed: AllowedModules) -> None:
    chain = document(protocols.transformation())
    chain[0][1]["extra"] = {"MODULE": "trapped"}
    text = json.dumps(chain).replace('"MODULE"', r'"\u005f\u005fmodule__"')

    with pytest.raises(ModuleNotAllowed, match="trapped"):
        keyed_chains.from_json(text, allowed=allowed)
    assert not trap.exists()


def test_the_trap_works(trap: Path) -> None:
    chain = document(protocols.transformation())
    chain[-1][1]["__module__"] = "trapped"

    with pytest.raises(InvalidKeyedChain, match=r"trapped\.Transformation cannot be imported here"):
        keyed_chains.from_json(
            chain, allowed=AllowedModules(("gufe", "tests", "trapped", "alchemiscale_prefect.chemistry"))
        )
    assert trap.exists()
    sys.modules.pop("trapped")


@pytest.mark.parametrize("name", [None, 7, ["gufe"], {"a": 1}])
def test_a_module_that_is_no_string_is_refused(name: Any, allowed: AllowedModules) -> None:
    chain = document(protocols.transformation())
    chain[0][1]["extra"] = {"__module__": name, "__class__": "X"}

    with pytest.raises(InvalidKeyedChain, match="must be strings"):
        keyed_chains.from_json(chain, allowed=allowed)


@pytest.mark.parametrize(
    ("module", "qualname"),
    [
        ("gufe.tokenization", "importlib.import_module"),
        ("gufe.tokenization", "GufeKey"),
        ("gufe.network", "nx.DiGraph"),
    ],
)
def test_a_class_that_is_no_gufe_class_is_refused(module: str, qualname: str, allowed: AllowedModules) -> None:
    chain = document(protocols.salt_water(0.1, "salted"))
    chain[-1][1] |= {"__module__": module, "__qualname__": qualname}
    chain[-1][0] = f"{qualname}-0123456789abcdef"

    with pytest.raises(InvalidKeyedChain, match="is no gufe class"):
        keyed_chains.from_json(chain, allowed=allowed)


def test_a_class_that_is_not_installed_is_named(allowed: AllowedModules) -> None:
    chain = document(protocols.salt_water(0.1, "salted"))
    chain[-1][1]["__module__"] = "pontibus.systems"

    with pytest.raises(InvalidKeyedChain, match=r"pontibus\.systems\.ChemicalSystem cannot be imported here.*install"):
        keyed_chains.from_json(chain, allowed=allowed)


def _forge_edge(chain: list[Any]) -> None:
    chain[-1][1]["name"] = "another edge"


def _forge_settings(chain: list[Any]) -> None:
    (protocol,) = [keyed_dict for key, keyed_dict in chain if key.startswith("FanOutProtocol")]
    protocol["settings"]["temperature"]["magnitude"] = 1000.0


def _forge_solvent(chain: list[Any]) -> None:
    chain[0][1]["ion_concentration"] = "3 molar"


@pytest.mark.parametrize("forge", [_forge_edge, _forge_settings, _forge_solvent])
def test_content_that_does_not_fit_its_key_is_refused(forge: Any, allowed: AllowedModules) -> None:
    edge = protocols.transformation()
    chain = document(edge)
    forge(chain)

    with pytest.raises(InvalidKeyedChain, match="does not fit its key"):
        keyed_chains.from_json(chain, allowed=allowed)


def test_a_key_that_another_object_has_is_refused(allowed: AllowedModules) -> None:
    one, other = protocols.salt_water(0.1, "one"), protocols.salt_water(0.1, "other")
    chain = document(one)
    chain[-1][0] = str(other.key)

    with pytest.raises(InvalidKeyedChain, match="does not fit its key"):
        keyed_chains.from_json(chain, allowed=allowed)


def test_a_unit_under_another_unit_s_key_is_refused(allowed: AllowedModules) -> None:
    result = ProtocolUnitResult(source_key="U-1", inputs={}, outputs={"a": 1})
    chain = document(result)
    chain[-1][0] = "ProtocolUnitResult-0123456789abcdef0123456789abcdef"

    with pytest.raises(InvalidKeyedChain, match="does not fit its key"):
        keyed_chains.from_json(chain, allowed=allowed)


def test_another_object_than_the_one_asked_for_is_refused(allowed: AllowedModules) -> None:
    system = protocols.salt_water(0.1, "one")

    with pytest.raises(InvalidKeyedChain, match=f"expected ChemicalSystem-0, but the keyed chain is of {system.key}"):
        keyed_chains.from_json(keyed_chains.to_json(system), expected_key="ChemicalSystem-0", allowed=allowed)


def test_damaged_content_is_named(allowed: AllowedModules) -> None:
    chain = document(protocols.salt_water(0.1, "salted"))
    chain[-1][1]["parts"] = chain[-1][1].pop("components")

    with pytest.raises(InvalidKeyedChain, match=f"{chain[-1][0]} cannot be built as"):
        keyed_chains.from_json(chain, allowed=allowed)


def test_settings_that_do_not_validate_are_refused(allowed: AllowedModules) -> None:
    chain = document(protocols.transformation())
    (protocol,) = [keyed_dict for key, keyed_dict in chain if key.startswith("FanOutProtocol")]
    protocol["settings"]["no_such_field"] = 1

    with pytest.raises(InvalidKeyedChain, match="no_such_field"):
        keyed_chains.from_json(chain, allowed=allowed)


def test_a_chain_of_the_other_gufe_line_is_refused(allowed: AllowedModules) -> None:
    chain = document(protocols.transformation())
    for _, keyed_dict in chain:
        if GUFE_LINE == "0":
            keyed_dict[":version:"] = 1
        else:
            del keyed_dict[":version:"]

    with pytest.raises(GufeVersionConflict, match=r"written by gufe \d\.x and this process has gufe \d+\.\d+"):
        keyed_chains.from_json(chain, allowed=allowed)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"[[]]",
        b'[["A-1"]]',
        b'[["A-1", 3]]',
        b"\xff\xfe",
        b"[" * 100_000,
        b"[" + b"9" * 5000 + b"]",
    ],
)
def test_text_that_is_no_keyed_chain_is_refused(text: bytes, allowed: AllowedModules) -> None:
    with pytest.raises(InvalidKeyedChain):
        keyed_chains.from_json(text, allowed=allowed)


_NETWORK = protocols.chain_network(2)
_TEXT = keyed_chains.to_json(_NETWORK)
_DATA = keyed_chains.compress(_NETWORK)


@settings(max_examples=60)
@given(end=st.integers(0, len(_TEXT) - 1))
def test_truncated_text_is_refused(end: int) -> None:
    with pytest.raises(InvalidKeyedChain):
        keyed_chains.from_json(_TEXT[:end], allowed=ALLOWED)


@settings(deadline=None, max_examples=60)
@given(end=st.integers(0, len(_DATA) - 1))
def test_truncated_data_is_refused(end: int) -> None:
    with pytest.raises(InvalidKeyedChain, match="zstandard"):
        keyed_chains.decompress(_DATA[:end], allowed=ALLOWED)


@settings(deadline=None, max_examples=60)
@given(count=st.integers(1, len(json.loads(_TEXT)) - 1))
def test_a_chain_without_its_last_objects_is_refused(count: int) -> None:
    chain = json.loads(_TEXT)[:-count]

    with pytest.raises(InvalidKeyedChain):
        keyed_chains.from_json(chain, expected_key=str(_NETWORK.key), allowed=ALLOWED)


def test_data_with_something_behind_it_is_refused(allowed: AllowedModules) -> None:
    with pytest.raises(InvalidKeyedChain, match="followed by other data"):
        keyed_chains.decompress(_DATA + b"more", allowed=allowed)


def test_data_of_a_stream_without_its_size_is_read(allowed: AllowedModules) -> None:
    compressor = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    data = compressor.compress(_TEXT) + compressor.flush()

    assert keyed_chains.decompress(data, allowed=allowed) is _NETWORK


def test_text_that_is_no_zstandard_is_refused(allowed: AllowedModules) -> None:
    with pytest.raises(InvalidKeyedChain, match="zstandard"):
        keyed_chains.decompress(_TEXT, allowed=allowed)
