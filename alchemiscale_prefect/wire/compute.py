"""Bodies between a compute flow run and the API. Bytes (DAG, unit results, result) travel as raw bodies."""

from typing import Literal

from pydantic import BaseModel, Field

from alchemiscale_prefect.wire.fields import ReasonText, StorableText

MAX_UNITS = 2**31 - 1
MAX_PARTS = 100_000
REASON_LENGTH = 2000
PART_BYTES = 16 * 1024**2
"""How large a run makes the parts of an archive: this much of it is in memory at once, there and in the API."""

LEASE_OWNER = "alchemiscale-lease-owner"
"""Header that carries the lease owner, ``<flow run id>/<run count>/<process>``, with every write of an attempt."""


class Begin(BaseModel):
    """``begin``: a flow run takes the lease of its attempt."""

    owner: str = Field(min_length=1, max_length=200)
    flow_run_id: str = Field(min_length=1, max_length=100)
    host: StorableText = Field(min_length=1, max_length=255)
    image: StorableText | None = Field(default=None, max_length=500)


class StoredFiles(BaseModel):
    """The files that a unit left in its shared directory, kept whole: an archive in so many parts.

    Attributes
    ----------
    parts
        Fetched by ``files``, from 0.
    relocatable
        Whether no file names the shared directory, so that they may lie at another path than they did.
    """

    parts: int
    relocatable: bool


class StoredUnit(BaseModel):
    """A unit result of an earlier attempt, to be taken up.

    Attributes
    ----------
    directory
        The shared directory of the try, an absolute path on the host that it ran on.
    files
        ``None`` where the files are nowhere but there.
    """

    key: str
    unit_key: str
    ok: bool
    directory: str | None = None
    files: StoredFiles | None = None


class Checkpoint(BaseModel):
    """What earlier attempts left: the ProtocolDAG (fetched by ``dag``) and the unit results (by ``units``).

    `shared_id` names the shared directory that the unit results' paths point into. Files that were left there are
    fetched by ``files``.
    """

    shared_id: str
    units: list[StoredUnit]


class Begun(BaseModel):
    """The answer of ``begin``: everything the run needs.

    Attributes
    ----------
    transformation
        Its ScopedKey.
    transformation_chain
        Its keyed chain, JSON text as the client sent it.
    gufe_version
        Who wrote that.
    extends
        Whether the result to extend from can be fetched by ``extends``.
    lease_seconds
        The lease ends this long after the last heartbeat.
    """

    transformation: str
    transformation_chain: str
    gufe_version: str
    extends: bool
    checkpoint: Checkpoint | None
    lease_seconds: float


class Heartbeat(BaseModel):
    """``heartbeat``: renews the lease and tells the progress.

    Attributes
    ----------
    fraction
        How much of the whole is done, with the parts of running units; ``None`` if none of them says how far it is.
    """

    units_done: int = Field(ge=0, le=MAX_UNITS)
    units_total: int = Field(ge=0, le=MAX_UNITS)
    fraction: float | None = Field(default=None, ge=0.0, le=1.0)


class StoreDag(BaseModel):
    """Query of ``PUT dag``."""

    # a part of paths on workers
    shared_id: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")


class StoreUnit(BaseModel):
    """Query of ``PUT units``."""

    unit_key: StorableText = Field(min_length=1, max_length=300)
    ok: bool
    directory: StorableText | None = Field(default=None, max_length=4096)


class StoreFiles(BaseModel):
    """Query of ``PUT files``: whether that was the last part, and then whether the files may lie elsewhere."""

    last: bool = False
    relocatable: bool = False


class StoreResult(BaseModel):
    """Query of ``PUT result``: the key of the ProtocolDAGResult, and whether it is ok."""

    key: str = Field(min_length=1, max_length=300)
    ok: bool


class UnitTraceback(BaseModel):
    """Why a ProtocolUnit failed."""

    failure_key: str
    source_key: str
    name: StorableText | None
    exception: StorableText
    traceback: StorableText


class Finish(BaseModel):
    """``finish``: the attempt's outcome.

    ``result`` is the key of the ProtocolDAGResult stored before by ``PUT result``; ``None`` if there is none because
    the ProtocolDAG could not even be made, and then `reason` says why. `gufe_version` is the run's.
    """

    ok: bool
    result: str | None
    estimate: float | None = None
    uncertainty: float | None = None
    units: str | None = None
    tracebacks: list[UnitTraceback] = []
    reason: ReasonText | None = None
    # what no heartbeat told: of a short attempt there is none
    units_done: int | None = Field(default=None, ge=0, le=MAX_UNITS)
    units_total: int | None = Field(default=None, ge=0, le=MAX_UNITS)
    gufe_version: str | None = Field(default=None, max_length=64, pattern=r"^[A-Za-z0-9.+_-]+$")


class Finished(BaseModel):
    """The status that the attempt gave its Task, which a restart pattern may set waiting at once; the result's key."""

    status: str
    result: str | None


class Release(BaseModel):
    """``release``: the run stops early; the attempt is over at once, its checkpoint kept.

    Attributes
    ----------
    cause
        ``failed``: what the run needs gave way (a full disk, say), which counts as a loss. ``stopped``: its place was
        wanted for others (a worker shuts down, a host is preempted); the Task waits again. ``cancelled``: somebody
        cancelled the flow run in Prefect; the Task is in error, until it is set waiting.
    """

    reason: StorableText = Field(max_length=REASON_LENGTH)
    cause: Literal["failed", "stopped", "cancelled"] = "failed"
