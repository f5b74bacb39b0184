"""What is known of networks, apart from their content."""

from collections.abc import Sequence

from alchemiscale_prefect.domain.access import Principal
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.store.database import Database
from alchemiscale_prefect.store.queries import network_details, objects, status_counts
from alchemiscale_prefect.wire.network_details import NetworkDetails


def of_networks(database: Database, principal: Principal, keys: Sequence[ScopedKey]) -> list[NetworkDetails | None]:
    """Of each network, in this order; ``None`` for one that is not there."""
    principal.require_all(key.scope for key in keys)
    with database.transaction() as connection:
        ids = objects.ids_of(connection, "network", keys)
        rows = network_details.of_networks(connection, list(ids.values()))
        counts = status_counts.of_networks(connection, list(ids.values()))

    def details(key: ScopedKey) -> NetworkDetails | None:
        network_id = ids.get(str(key))
        row = None if network_id is None else rows.get(network_id)
        if network_id is None or row is None:
            return None
        return NetworkDetails(
            network=key,
            name=row.name,
            state=row.state,
            weight=row.weight,
            creator=row.creator,
            datetime_created=row.created_at,
            ancestor=None if row.ancestor is None else ScopedKey.of(row.ancestor, key.scope),
            transformations=row.transformations,
            status=counts.get(network_id, {}),
        )

    return [details(key) for key in keys]
