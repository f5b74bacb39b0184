"""What is known of networks, apart from their content."""

from collections.abc import Sequence

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_scoped_keys, batches
from alchemiscale_prefect.wire import paths
from alchemiscale_prefect.wire.network_details import NetworkDetails


class NetworksDetails(Area):
    """What a listing of networks shows."""

    def get_networks_details(
        self, networks: Sequence[ScopedKey | str], batch_size: int = 1000
    ) -> list[NetworkDetails | None]:
        """Name, state, weight, creator, ancestor, number of Transformations and Tasks by status, of each network.

        Parameters
        ----------
        networks
            Their ScopedKeys.
        batch_size
            How many networks go into one request.

        Returns
        -------
        list of NetworkDetails or None
            In the order of `networks`; ``None`` for one that does not exist.
        """

        def post(batch: list[ScopedKey]) -> list[NetworkDetails | None]:
            answers = self._post(paths.NETWORKS_DETAILS, {"networks": [str(key) for key in batch]})
            return [None if answer is None else NetworkDetails.model_validate(answer) for answer in answers]

        keys = as_scoped_keys(networks, "networks")
        return [item for items in self._transport.fan_out(post, batches(keys, batch_size)) for item in items]
