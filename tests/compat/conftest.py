"""What the released client is tried against is what our own is tried against, in tests/integration/sdk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alchemiscale_prefect.chemistry import base
from tests import protocols
from tests.integration.conftest import postgres, server, template_database
from tests.integration.sdk.conftest import (
    KEY,
    SCOPES,
    USER,
    _clean_environment,
    api_url,
    incomplete,
    network,
    preloaded,
    preloaded_databases,
    scope,
    system,
    work,
)

__all__ = [
    "_clean_environment",
    "api_url",
    "incomplete",
    "network",
    "postgres",
    "preloaded",
    "preloaded_databases",
    "scope",
    "server",
    "system",
    "template_database",
    "work",
]


@pytest.fixture
def client(api_url: str, tmp_path: Path) -> Iterator[Any]:
    """The released one."""
    from tests.compat.released import alchemiscale

    made = alchemiscale.AlchemiscaleClient(api_url, USER, KEY, cache_directory=tmp_path / "cache", max_retries=0)
    yield made
    made._cache.close()


@pytest.fixture
def home() -> Any:
    """The Scope that most of it happens in."""
    from tests.compat.released import scope_of

    return scope_of(SCOPES[0])


@pytest.fixture
def network_key(network: base.AlchemicalNetwork) -> Any:
    from tests.compat.released import key_of

    return key_of(f"{network.key}-{SCOPES[0]}")


@pytest.fixture
def tasks(client: Any, network_key: Any) -> Any:
    """Three Tasks of one Transformation of the network."""
    return client.create_tasks(sorted(client.get_network_transformations(network_key))[0], count=3)


@pytest.fixture
def submit(client: Any, home: Any) -> Any:
    """Submits a network of one Transformation and one NonTransformation; the keys of all three."""
    from tests.compat.released import key_of

    def submitted(protocol: base.Protocol) -> tuple[Any, Any, Any]:
        edge = protocols.transformation(protocol, name="the edge")
        rest = base.NonTransformation(system=edge.stateA, protocol=protocol, name="at rest")
        key = client.create_network(base.AlchemicalNetwork([edge, rest], name="small"), home, visualize=False)
        return key, key_of(f"{edge.key}-{home}"), key_of(f"{rest.key}-{home}")

    return submitted
