"""Objects whose class changed since they were written keep their key in the store and stay readable."""

import json
import logging
from typing import Any

import pytest

from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.chemistry.versions import GUFE_LINE, GUFE_VERSION
from alchemiscale_prefect.domain.errors import InvalidKeyedChain
from tests import protocols


def written_before_the_field(name: str) -> tuple[list[Any], protocols.FanOutProtocol]:
    """The chain of a FanOutProtocol as it was before its settings had the field, under the key it had then."""
    protocol = protocols.FanOutProtocol(protocols.FanOutSettings(n_samples=7))
    ((_, keyed_dict),) = json.loads(keyed_chains.to_json(protocol))
    del keyed_dict["settings"][name]
    token = keyed_chains.content_token(protocol, keyed_dict)
    return [[f"FanOutProtocol-{token}", keyed_dict]], protocol


def test_the_token_of_a_document_is_the_one_gufe_gives_its_object() -> None:
    network = protocols.chain_network(3)
    components = [protocols.ligand("CCO", "ethanol"), protocols.salt_water(0.2, "salted")]
    for obj in (network, *network.edges, *network.nodes, *components):
        document = dict(json.loads(keyed_chains.to_json(obj)))[str(obj.key)]

        assert obj.key == f"{type(obj).__qualname__}-{keyed_chains.content_token(obj, document)}"


def test_an_object_from_before_a_new_field_is_read(allowed: AllowedModules) -> None:
    chain, _ = written_before_the_field("seed")
    key = chain[-1][0]

    decoded = keyed_chains.from_json(chain, expected_key=key, allowed=allowed)

    assert decoded.settings.n_samples == 7
    assert decoded.settings.seed == 2026
    assert decoded.key != key


def test_such_an_object_is_still_held_against_its_key(allowed: AllowedModules) -> None:
    chain, _ = written_before_the_field("seed")
    chain[-1][1]["settings"]["n_samples"] = 8

    with pytest.raises(InvalidKeyedChain, match="does not fit its key"):
        keyed_chains.from_json(chain, allowed=allowed)


def test_an_object_of_another_version_of_gufe_is_read_and_logged(
    allowed: AllowedModules, caplog: pytest.LogCaptureFixture
) -> None:
    chain, _ = written_before_the_field("seed")
    chain[-1][0] = "FanOutProtocol-0123456789abcdef0123456789abcdef"

    with caplog.at_level(logging.INFO, logger=keyed_chains.__name__):
        decoded = keyed_chains.from_json(chain, allowed=allowed, gufe_version=f"{GUFE_LINE}.99")

    assert decoded.settings.n_samples == 7
    assert "written by gufe" in caplog.text
    with pytest.raises(InvalidKeyedChain, match="does not fit its key"):
        keyed_chains.from_json(chain, allowed=allowed, gufe_version=GUFE_VERSION)


def test_what_depends_on_such_an_object_is_read_with_it(allowed: AllowedModules) -> None:
    old, protocol = written_before_the_field("seed")
    edge = protocols.transformation(protocol)
    chain = json.loads(keyed_chains.to_json(edge))
    chain = [entry for entry in chain if entry[0] != protocol.key]
    chain[-1][1]["protocol"] = {":gufe-key:": old[-1][0]}
    key = f"Transformation-{keyed_chains.content_token(edge, chain[-1][1])}"
    chain[-1][0] = key

    decoded = keyed_chains.from_json([*old, *chain], expected_key=key, allowed=allowed)

    assert decoded.protocol.settings.n_samples == 7
    assert decoded.name == edge.name


@pytest.mark.skipif(GUFE_LINE == "0", reason="gufe 0.4 has no serialization migrations")
def test_an_object_from_before_a_migration_is_read(monkeypatch: pytest.MonkeyPatch, allowed: AllowedModules) -> None:
    protocol = protocols.FanOutProtocol(protocols.FanOutSettings(n_samples=9))
    ((key, keyed_dict),) = json.loads(keyed_chains.to_json(protocol))
    del protocol

    def migrate(cls: type, old: dict[str, Any], version: int) -> dict[str, Any]:
        assert version == 1
        return {"settings": old["settings"].model_copy(update={"n_samples": 90})}

    monkeypatch.setattr(protocols.FanOutProtocol, "_schema_version", classmethod(lambda cls: 2))
    monkeypatch.setattr(protocols.FanOutProtocol, "serialization_migration", classmethod(migrate))

    decoded = keyed_chains.from_json([[key, keyed_dict]], expected_key=key, allowed=allowed)

    assert decoded.settings.n_samples == 90
    keyed_dict["settings"]["n_samples"] = 10
    with pytest.raises(InvalidKeyedChain, match="does not fit its key"):
        keyed_chains.from_json([[key, keyed_dict]], allowed=allowed)
