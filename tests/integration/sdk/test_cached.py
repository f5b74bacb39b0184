"""What a client keeps: its token, and on disk what it fetched."""

from collections.abc import Callable

import pytest

from alchemiscale_prefect import AlchemiscaleClient, ScopedKey
from alchemiscale_prefect.chemistry.base import ChemicalSystem, Transformation
from tests import protocols


@pytest.fixture
def without_api(client: AlchemiscaleClient) -> Callable[[], AlchemiscaleClient]:
    """Another client with the same cache, and no API."""
    return lambda: AlchemiscaleClient(**{**client._settings(), "api_url": "http://127.0.0.1:1"})


def test_refresh_credential(client: AlchemiscaleClient) -> None:
    assert len(client.list_scopes()) == 3
    token = client._transport._session()._token
    assert token is not None
    token.text = "nonsense"
    assert len(client.list_scopes()) == 3
    assert client._transport._session()._token is not token


def test_cached_transformation(
    client: AlchemiscaleClient,
    without_api: Callable[[], AlchemiscaleClient],
    transformation: Transformation,
    transformation_key: ScopedKey,
) -> None:
    assert client.get_transformation(transformation_key) is protocols.registered(transformation)
    assert len(client._cache) == 1
    assert without_api().get_transformation(str(transformation_key)) is protocols.registered(transformation)


def test_cached_chemicalsystem(
    client: AlchemiscaleClient,
    without_api: Callable[[], AlchemiscaleClient],
    chemicalsystem: ChemicalSystem,
    transformation_key: ScopedKey,
) -> None:
    key = ScopedKey.of(str(chemicalsystem.key), transformation_key.scope)
    assert client.get_chemicalsystem(key) is protocols.registered(chemicalsystem)
    assert len(client._cache) == 1
    assert without_api().get_chemicalsystem(key) is protocols.registered(chemicalsystem)
