"""Tasks by status, and the progress of the running ones."""

from collections.abc import Sequence

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_scope, as_scoped_key, as_scoped_keys
from alchemiscale_prefect.sdk.display import print_status
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.networks import Progress


class Status(Area):
    """Counts of Tasks. A status that no Task has is left out."""

    def get_scope_status(
        self,
        scope: Scope | None = None,
        visualize: bool | None = True,
        network_state: NetworkState | str | None = NetworkState.active,
    ) -> dict[str, int]:
        """Tasks by status in a Scope.

        Parameters
        ----------
        scope
            May have wildcards. Default: every scope of this identity.
        visualize
            Whether to print a table.
        network_state
            Count Tasks of networks in this state, or whose whole state fits this regular expression; ``None`` for any.

        Returns
        -------
        dict of str to int
            Empty if the scope is out of reach.
        """
        scope = as_scope(scope)
        state = getattr(network_state, "value", network_state)
        return self._status(paths.fill(paths.SCOPE_STATUS, scope=scope), scope, visualize, {"network_state": state})

    def get_network_status(self, network: ScopedKey | str, visualize: bool | None = True) -> dict[str, int]:
        """Tasks by status of the Transformations of a network, actioned there or not.

        Parameters
        ----------
        network
            Its ScopedKey.
        visualize
            Whether to print a table.

        Returns
        -------
        dict of str to int
        """
        key = as_scoped_key(network, "network")
        return self._status(paths.fill(paths.NETWORK_STATUS, network=key), key, visualize)

    def get_networks_status(self, networks: Sequence[ScopedKey | str]) -> list[dict[str, int]]:
        """Tasks by status for each of several networks, in one request.

        Parameters
        ----------
        networks
            Their ScopedKeys.

        Returns
        -------
        list of dict of str to int
            In the order of `networks`; empty for one that does not exist or has no Tasks.
        """
        document = {"networks": [str(key) for key in as_scoped_keys(networks, "networks")]}
        statuses: list[dict[str, int]] = self._post(paths.NETWORKS_STATUS, document)
        return statuses

    def get_transformation_status(
        self, transformation: ScopedKey | str, visualize: bool | None = True
    ) -> dict[str, int]:
        """Tasks by status of a Transformation.

        Parameters
        ----------
        transformation
            Its ScopedKey.
        visualize
            Whether to print a table.

        Returns
        -------
        dict of str to int
        """
        key = as_scoped_key(transformation, "transformation")
        return self._status(paths.fill(paths.TRANSFORMATION_STATUS, transformation=key), key, visualize)

    def get_network_progress(self, network: ScopedKey | str) -> Progress:
        """How far a network is: its Tasks by status, and the ProtocolUnits of the running ones.

        Parameters
        ----------
        network
            Its ScopedKey.

        Returns
        -------
        Progress
            With ``status``, ``units_done`` and ``units_total``.
        """
        path = paths.fill(paths.NETWORK_PROGRESS, network=as_scoped_key(network, "network"))
        return Progress.model_validate(self._get(path))

    def _status(
        self, path: str, of: Scope | ScopedKey, visualize: bool | None, params: dict[str, str | None] | None = None
    ) -> dict[str, int]:
        counts: dict[str, int] = self._get(path, params)
        if visualize:
            print_status(counts, str(of))
        return counts
