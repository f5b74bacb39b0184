"""What is known of networks, apart from their content and their Tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """A network; `ancestor` is the gufe key, in the same scope, of the one it was extended from."""

    name: str | None
    state: str
    weight: float
    creator: str
    created_at: datetime
    ancestor: str | None
    transformations: int


def of_networks(connection: Connection, network_ids: Sequence[int]) -> dict[int, NetworkRow]:
    """Id → what is known."""
    rows = connection.execute(
        text(
            """
            select n.id, o.name, n.state, n.weight, n.creator, n.created_at, ancestor.key as ancestor,
                (select count(*) from network_transformation link where link.network_id = n.id) as transformations
            from network n join gufe_object o on o.id = n.id
            left join gufe_object ancestor on ancestor.id = n.ancestor_id
            where n.id = any(:networks)
            """
        ),
        {"networks": list(network_ids)},
    )
    return {
        row.id: NetworkRow(
            row.name, row.state, row.weight, row.creator, row.created_at, row.ancestor, row.transformations
        )
        for row in rows
    }
