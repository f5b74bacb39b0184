"""Bodies about AlchemicalNetworks."""

from typing import Any

from pydantic import BaseModel, Field

from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.wire.fields import ScopeField


class CreateNetwork(BaseModel):
    """``POST /networks``. `network` is a keyed chain; it is checked by `domain.keyed_chains`, not here."""

    network: list[Any]
    scope: ScopeField
    state: str = NetworkState.active.value
    # ours: without it the chain itself tells the major line
    gufe_version: str | None = Field(default=None, max_length=64)


class SetNetworksState(BaseModel):
    """``POST /bulk/networks/state/set``."""

    networks: list[str]
    states: list[str]


class Networks(BaseModel):
    """A list of networks, for the bulk getters."""

    networks: list[str]


class SetNetworksWeight(BaseModel):
    """``POST /bulk/networks/weight/set``."""

    networks: list[str]
    weights: list[float]


class NetworksTaskWeights(BaseModel):
    """``POST /bulk/networks/tasks/actioned``; `task_weights` as in `wire.tasks.TaskWeights`."""

    networks: list[str]
    task_weights: bool


class Progress(BaseModel):
    """``GET /networks/{network}/progress``: Tasks by status, and ProtocolUnits of the running ones."""

    status: dict[str, int]
    units_done: int
    units_total: int


class TransformationEstimate(BaseModel):
    """One line of ``GET /networks/{network}/estimates``, from the summaries kept beside the results.

    `estimates` and `uncertainties` are one per ok result, in `units`; ``None`` where the Protocol gives none.
    """

    transformation: str
    name: str | None
    state_a: str
    state_b: str
    estimates: list[float | None]
    uncertainties: list[float | None]
    units: str | None
