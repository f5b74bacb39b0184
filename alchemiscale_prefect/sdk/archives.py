"""Archives: a network and its results as one object, to be kept, shared and analysed without a server."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.sdk.arguments import as_scoped_keys
from alchemiscale_prefect.sdk.results import Results, Route
from alchemiscale_prefect.wire import paths

if TYPE_CHECKING:
    from alchemiscale_prefect.chemistry.base import AlchemicalArchive


class Archives(Results):
    """Results, and archives of them."""

    def get_network_archive(
        self,
        network: ScopedKey | str,
        metadata: dict[str, Any] | None = None,
        compress: bool = True,
        visualize: bool = True,
    ) -> "AlchemicalArchive | None":
        """A network together with all its successful ProtocolDAGResults.

        Parameters
        ----------
        network
            Its ScopedKey.
        metadata
            To put into the archive: whatever gufe has JSON for.
        compress
            Whether the API sends the network compressed. Results always come as compressed as they are stored.
        visualize
            Whether to show that it goes on.

        Returns
        -------
        AlchemicalArchive or None
            gufe's; its ``to_json`` writes a file that gufe alone can read again. Every Transformation of the network is
            in it, also one without results. ``None`` if there is no such network.

        Raises
        ------
        InvalidInput
            Also a ValueError, before anything is fetched: the metadata cannot be written as JSON.
        """
        return self.get_network_archives([network], None if metadata is None else [metadata], compress, visualize)[0]

    def get_network_archives(
        self,
        networks: Sequence[ScopedKey | str],
        metadata: Sequence[dict[str, Any] | None] | None = None,
        compress: bool = True,
        visualize: bool = True,
    ) -> "list[AlchemicalArchive | None]":
        """Networks, each together with all its successful ProtocolDAGResults.

        Parameters
        ----------
        networks
            Their ScopedKeys, each once.
        metadata
            For each of `networks` what to put into its archive, or ``None``.
        compress, visualize
            See `get_network_archive`.

        Returns
        -------
        list of AlchemicalArchive or None
            In the order of `networks`; ``None`` for one that does not exist.

        Raises
        ------
        InvalidInput
            Also a ValueError, before anything is fetched: a network comes twice, or the metadata are no list, of
            another length, no dictionaries, or cannot be written as JSON.
        """
        keys = as_scoped_keys(networks, "networks")
        if len(set(keys)) != len(keys):
            raise InvalidInput("`networks` list must not contain duplicate entries", field="networks")
        checked = _checked(metadata, keys)
        return [self._archive(key, its, compress, visualize) for key, its in zip(keys, checked, strict=True)]

    def _archive(
        self, key: ScopedKey, metadata: Mapping[str, Any] | None, compress: bool, visualize: bool
    ) -> "AlchemicalArchive | None":
        if not self._get(paths.fill(paths.EXISTS, key=key)):
            return None
        from alchemiscale_prefect.chemistry.base import AlchemicalArchive
        from alchemiscale_prefect.chemistry.networks import transformations_by_key

        network = self._contents.object(paths.fill(paths.NETWORK, network=key), key, compress)
        # by the server's keys. An edge that has another key here than there, as with another version of gufe, is asked
        # for by the server's.
        edges = transformations_by_key(network)
        entries = [
            (edges.get(its.gufe_key) or self._transformation(its, compress), results)
            for its, results in self._network_results(key, Route.results, visualize)
        ]
        return AlchemicalArchive(network, entries, metadata=metadata)


def _checked(
    metadata: Sequence[dict[str, Any] | None] | None, keys: Sequence[ScopedKey]
) -> Sequence[Mapping[str, Any] | None]:
    if metadata is None:
        return [None] * len(keys)
    if not isinstance(metadata, Sequence) or isinstance(metadata, str | bytes):
        raise InvalidInput("`metadata` must be a list/sequence of dictionaries or None", field="metadata")
    if len(metadata) != len(keys):
        raise InvalidInput("`metadata` and `networks` lists must be the same length", field="metadata")
    from alchemiscale_prefect.chemistry.archives import check_metadata

    for key, its in zip(keys, metadata, strict=True):
        if its is not None and not isinstance(its, Mapping):
            raise InvalidInput(f"Metadata for '{key}' must be a dictionary/mapping or None", field="metadata")
        try:
            check_metadata(its)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"Unable to serialize metadata for '{key}': {error}", field="metadata") from error
    return metadata
