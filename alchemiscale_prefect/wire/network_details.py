"""Bodies about what is known of networks, apart from their content."""

from datetime import datetime

from pydantic import BaseModel

from alchemiscale_prefect.wire.fields import ScopedKeyText


class NetworkDetails(BaseModel):
    """One item of ``POST /bulk/networks/details/get``.

    `ancestor` is the network that this one was extended from; `status` counts the Tasks, leaving out statuses that none
    has.
    """

    network: ScopedKeyText
    name: str | None
    state: str
    weight: float
    creator: str
    datetime_created: datetime
    ancestor: ScopedKeyText | None
    transformations: int
    status: dict[str, int]
