"""Bodies about AlchemicalNetworks."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from alchemiscale_prefect.domain.tasks import TaskStatus
from alchemiscale_prefect.wire.fields import ScopedKeyField, ScopedKeyText, ScopeField


class CreateNetwork(BaseModel):
    """``POST /networks``. `network` is a keyed chain; it is checked by `domain.keyed_chains`, not here."""

    network: list[Any]
    scope: ScopeField
    # without it that of the ancestor, or active
    state: str | None = None
    # ours: without it the chain itself tells the major line
    gufe_version: str | None = Field(default=None, max_length=64)
    # ours: the network that this one was extended from
    ancestor: ScopedKeyField | None = None


class SetNetworksState(BaseModel):
    """``POST /bulk/networks/state/set``."""

    networks: list[str]
    states: list[str]
    # ours: also take their Tasks off them and stop what runs for no other network
    stop_tasks: bool = False


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


class RunningTask(BaseModel):
    """A Task that runs now.

    Attributes
    ----------
    seconds
        Since its attempt began.
    units_done, units_total
        ProtocolUnits, as the attempt last told; 0 before it did.
    flow_run_id
        Of Prefect, where the run can be watched.
    fraction
        How much of the whole is done, with the parts of running units; ``None`` if none of them says how far it is.
    """

    model_config = ConfigDict(frozen=True)

    task: ScopedKeyText
    seconds: float
    units_done: int
    units_total: int
    flow_run_id: UUID | None
    fraction: float | None = None


class Progress(BaseModel):
    """``GET /networks/{network}/progress``.

    Attributes
    ----------
    status
        Tasks by status.
    units_done, units_total
        ProtocolUnits of the running Tasks.
    waiting
        Waiting Tasks that are actioned on this network.
    running
        Those Tasks, the longest running first.
    completed
        Tasks completed within the last hour.
    mean_seconds
        How long these ran, on average; ``None`` if there are none.
    window_seconds
        Since the first of the completed and the running ones began; at most an hour, 0 if there are none.
    """

    status: dict[str, int]
    units_done: int
    units_total: int
    waiting: int = 0
    running: list[RunningTask] = []
    completed: int = 0
    mean_seconds: float | None = None
    window_seconds: float = 0.0

    @property
    def done(self) -> bool:
        """Whether no Task runs, and none waits that is actioned on this network."""
        return not self.waiting and not self.status.get(TaskStatus.running)


class TransformationEstimate(BaseModel):
    """One line of ``GET /networks/{network}/estimates``, from the summaries kept beside the results.

    `estimates` and `uncertainties` are one per ok result, in `units`; ``None`` where the Protocol gives none.
    """

    transformation: ScopedKeyText
    name: str | None
    state_a: ScopedKeyText
    state_b: ScopedKeyText
    estimates: list[float | None]
    uncertainties: list[float | None]
    units: str | None
