"""What every area of the client stands on: requests whose answers are JSON."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.sdk.arguments import batches
from alchemiscale_prefect.sdk.content import ContentReader
from alchemiscale_prefect.sdk.display import waiting
from alchemiscale_prefect.sdk.transport import Params, Transport
from alchemiscale_prefect.wire.headers import IDEMPOTENCY_KEY


class Area:
    """Base of the parts that `AlchemiscaleClient` is composed of."""

    _transport: Transport
    _contents: ContentReader

    def _get(self, path: str, params: Params | None = None) -> Any:
        return self._transport.request("GET", path, params=params).json()

    def _get_keys(self, path: str, params: Params | None = None) -> list[ScopedKey]:
        return [ScopedKey.from_str(key) for key in self._get(path, params)]

    def _object(self, path: str, key: ScopedKey, compress: bool, visualize: bool) -> Any:
        """The gufe object `key`, which the API has at `path`."""
        with waiting(f"Retrieving [bold]'{key}'[/bold]...", show=visualize):
            return self._contents.object(path, key, compress)

    def _post(self, path: str, document: Any) -> Any:
        return self._transport.request("POST", path, json=document).json()

    def _post_new(self, path: str, document: Any) -> Any:
        """A request that makes something new: once, however often it has to be sent."""
        headers = {IDEMPOTENCY_KEY: uuid4().hex}
        return self._transport.request("POST", path, json=document, headers=headers).json()

    def _post_in_batches(
        self, path: str, keys: Sequence[ScopedKey], batch_size: int, rest: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """One value for each of the Tasks `keys`, in their order, asked for `batch_size` at a time."""

        def post(batch: list[ScopedKey]) -> list[Any]:
            values: list[Any] = self._post(path, {"tasks": [key.to_dict() for key in batch], **(rest or {})})
            return values

        return [value for values in self._transport.fan_out(post, batches(keys, batch_size)) for value in values]


def optional_key(value: str | None) -> ScopedKey | None:
    """A ScopedKey that the server may have left out."""
    return None if value is None else ScopedKey.from_str(value)
