"""What computes, and how it goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from alchemiscale_prefect.domain.shares import Part


@dataclass(frozen=True, slots=True)
class PoolMetrics:
    """Attempts in a Prefect work pool: those that wait for a worker and that run now, and by state those that ended."""

    pool: str
    dispatched: int
    running: int
    ended: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RunningAttempt:
    """An execution of a Task that runs now; `task` is its ScopedKey."""

    task: str
    n: int
    pool: str
    host: str | None
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class ComputeMetrics:
    """What computes now, and what came of it.

    Attributes
    ----------
    hours
        How far back attempts that ended are counted.
    tasks
        Scope → status → Tasks, without zeros.
    pools
        By name.
    running
        What runs longest first; not more than the server tells one by one.
    shares
        With fair share: what each group should have of the compute, and what it had within the window of that.
    """

    hours: float
    tasks: Mapping[str, Mapping[str, int]]
    pools: tuple[PoolMetrics, ...]
    running: tuple[RunningAttempt, ...]
    shares: tuple[Part, ...] = ()
