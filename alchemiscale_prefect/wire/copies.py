"""Bodies about networks that are made of others."""

from typing import Any

from pydantic import BaseModel, Field

from alchemiscale_prefect.domain.networks import NetworkState
from alchemiscale_prefect.wire.fields import ScopedKeyText, ScopeField

MAX_NETWORKS_PER_CALL = 10_000


class CopyNetworks(BaseModel):
    """``POST /bulk/networks/copy``."""

    networks: list[ScopedKeyText] = Field(max_length=MAX_NETWORKS_PER_CALL)
    scope: ScopeField
    state: str = NetworkState.active.value


class MergeNetworks(BaseModel):
    """``POST /bulk/networks/merge``.

    `network` is the new network alone: ``[key, keyed dict]``, with the nodes and edges of all `networks`.
    """

    networks: list[ScopedKeyText] = Field(min_length=1, max_length=MAX_NETWORKS_PER_CALL)
    network: list[Any]
    scope: ScopeField
    state: str = NetworkState.active.value
    # as with `wire.networks.CreateNetwork`
    gufe_version: str | None = Field(default=None, max_length=64)
