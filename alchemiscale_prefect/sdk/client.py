"""AlchemiscaleClient: everything a user does with the API."""

import os
from functools import partial
from pathlib import Path
from typing import Any, Self

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.sdk.actions import Actions
from alchemiscale_prefect.sdk.archives import Archives
from alchemiscale_prefect.sdk.cache import DiskCache
from alchemiscale_prefect.sdk.chemicalsystems import ChemicalSystems
from alchemiscale_prefect.sdk.content import ContentReader
from alchemiscale_prefect.sdk.copies import Copies
from alchemiscale_prefect.sdk.credentials import find_credentials
from alchemiscale_prefect.sdk.explanations import Explanations
from alchemiscale_prefect.sdk.grants import Grants
from alchemiscale_prefect.sdk.history import History
from alchemiscale_prefect.sdk.network_details import NetworksDetails
from alchemiscale_prefect.sdk.networks import Networks
from alchemiscale_prefect.sdk.restarts import Restarts
from alchemiscale_prefect.sdk.retries import RetryPolicy
from alchemiscale_prefect.sdk.scopes import Scopes
from alchemiscale_prefect.sdk.simulations import Simulations
from alchemiscale_prefect.sdk.status import Status
from alchemiscale_prefect.sdk.strategies import Strategies
from alchemiscale_prefect.sdk.tasks import Tasks
from alchemiscale_prefect.sdk.transformations import Transformations
from alchemiscale_prefect.sdk.transport import Transport
from alchemiscale_prefect.sdk.watch import Watch
from alchemiscale_prefect.wire import paths

CACHE_FOLDER = "alchemiscale-prefect-2"
"""Inside the cache directory, which may be alchemiscale's own; the number is the layout's."""


class AlchemiscaleClient(
    Scopes,
    Grants,
    Networks,
    NetworksDetails,
    Restarts,
    Strategies,
    Simulations,
    Transformations,
    ChemicalSystems,
    Tasks,
    Actions,
    Status,
    Archives,
    Copies,
    History,
    Explanations,
    Watch,
):
    """Submit AlchemicalNetworks, have their Tasks run, and get the free energies.

    Nothing is sent before the first call. Threads may share a client. Wherever a ScopedKey is meant its string will
    do too.

    Parameters
    ----------
    api_url
        Where the API is. Default: the environment variable ``ALCHEMISCALE_URL``.
    identifier
        Who you are. Default: ``ALCHEMISCALE_ID``.
    key
        Your key. Default: ``ALCHEMISCALE_KEY``. Where neither arguments nor environment say, the profile does that
        ``alchemiscale-prefect up`` wrote on this machine.
    cache_directory
        Where to keep what was fetched. Default: ``$XDG_CACHE_HOME/alchemiscale``, else ``~/.cache/alchemiscale``.
    cache_size_limit
        Of the cache, in bytes.
    use_local_cache
        Whether to keep anything on disk.
    max_retries
        How often to try again where the API cannot be reached or is busy; ``-1`` for no end.
    retry_base_seconds
        The wait before the n-th retry grows as ``retry_base_seconds ** n``; greater than 1.
    retry_max_seconds
        The longest wait.
    verify
        Whether to verify the API's certificate.
    timeout_seconds
        How long to wait for each part of an answer.

    Raises
    ------
    InvalidInput
        Also a ValueError: an API, identifier or key is found nowhere; the URL is none; a number is out of range.
    TypeError
        `cache_directory` is no path.

    Examples
    --------
    >>> client = AlchemiscaleClient()
    >>> network_key = client.create_network(network, Scope("my_org", "my_campaign", "my_project"))
    >>> tasks = client.create_transformations_tasks(client.get_network_transformations(network_key))
    >>> client.action_tasks(tasks, network_key)
    """

    def __init__(
        self,
        api_url: str | None = None,
        identifier: str | None = None,
        key: str | None = None,
        cache_directory: Path | str | None = None,
        cache_size_limit: int = 1073741824,
        use_local_cache: bool = True,
        max_retries: int = 5,
        retry_base_seconds: float = 2.0,
        retry_max_seconds: float = 60.0,
        verify: bool = True,
        *,
        timeout_seconds: float = 300.0,
    ) -> None:
        profile = find_credentials(api_url, identifier, key)
        self.api_url = profile.api_url
        self.identifier = profile.identifier
        self.key = profile.key
        self.max_retries = max_retries
        self.retry_base_seconds = retry_base_seconds
        self.retry_max_seconds = retry_max_seconds
        self.verify = verify
        self.timeout_seconds = timeout_seconds
        self._transport = Transport(
            self.api_url,
            self.identifier,
            self.key,
            retry=RetryPolicy(max_retries, retry_base_seconds, retry_max_seconds),
            verify=verify,
            timeout_seconds=timeout_seconds,
        )
        self._cache_enabled = use_local_cache
        self._cache_size_limit = cache_size_limit
        self._cache_directory = self._determine_cache_dir(cache_directory) if use_local_cache else None
        if cache_size_limit < 0:
            raise InvalidInput("`cache_size_limit` must be greater than or equal to zero.", field="cache_size_limit")
        if self._cache_directory is not None:
            self._cache = DiskCache(self._cache_directory / CACHE_FOLDER, cache_size_limit)
        self._contents = ContentReader(self._transport, getattr(self, "_cache", None))

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{self.api_url}')"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        # another process makes connections of its own
        return partial(type(self), **self._settings()), ()

    def close(self) -> None:
        """Close the connections. A later call opens new ones."""
        self._transport.close()

    def _settings(self) -> dict[str, Any]:
        """Arguments that make another client like this one."""
        return {
            "api_url": self.api_url,
            "identifier": self.identifier,
            "key": self.key,
            "cache_directory": self._cache_directory,
            "cache_size_limit": self._cache_size_limit,
            "use_local_cache": self._cache_enabled,
            "max_retries": self.max_retries,
            "retry_base_seconds": self.retry_base_seconds,
            "retry_max_seconds": self.retry_max_seconds,
            "verify": self.verify,
            "timeout_seconds": self.timeout_seconds,
        }

    def _api_check(self) -> None:
        """Raise unless the API is up and reaches what it needs."""
        self._get(paths.CHECK)

    @staticmethod
    def _determine_cache_dir(cache_directory: Path | str | None) -> Path:
        if cache_directory is None:
            default = os.environ.get("XDG_CACHE_HOME")
            cache_directory = (Path(default) if default else Path.home() / ".cache") / "alchemiscale"
        elif not isinstance(cache_directory, Path | str):
            raise TypeError("`cache_directory` must be a `str`, `pathlib.Path`, or `None`.")
        return Path(cache_directory).resolve()
