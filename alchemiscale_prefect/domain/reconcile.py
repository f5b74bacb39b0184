"""Holding our tables, Prefect's flow runs and the object store against each other: what was found and done."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from alchemiscale_prefect.domain.attempts import AttemptId, RunState

EXAMPLES = 5

RUN_GRACE = timedelta(minutes=10)
"""A flow run may outlive its attempt for so long: it says its last words, or may be heard of again."""

CANCELLING_GRACE = timedelta(minutes=15)
"""A flow run that is Cancelling for so long, and that no attempt has, is nobody's: it is moved to its end."""

UNLAUNCHED_GRACE = timedelta(minutes=15)
"""A claim without a flow run for so long is one that no dispatcher takes up any more."""

MOST_ORPHANS = 10_000
"""Bytes deleted in one go; the rest stays for the next."""

FEW_ORPHANS = 100
"""So many may be orphans whatever their share; of more than these, at most half of what is kept may be."""


@dataclass(frozen=True, slots=True)
class FlowRunUnderWay:
    """A flow run that has not ended, as the orchestrator has it.

    Attributes
    ----------
    attempt
        Which execution of which Task (`ScopedKey` as a string) it was made for.
    since
        When it came into its state.
    """

    flow_run_id: UUID
    attempt: AttemptId
    state: RunState
    since: datetime


class FlowRuns(Protocol):
    """What the orchestrator knows of flow runs and work pools that our tables may not."""

    def under_way(self) -> Sequence[FlowRunUnderWay]:
        """Every flow run that executes, or would execute, an attempt and has not ended."""
        ...

    def closed(self, pools: Collection[str]) -> Mapping[str, str]:
        """Those of these work pools in which nothing starts, with the reason."""
        ...

    def end(self, flow_run_ids: Collection[UUID]) -> None:
        """Move flow runs to their end that nothing executes."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """Something that was not as it should be.

    Attributes
    ----------
    what
        In words, in the plural.
    count
        How many.
    examples
        A few of them.
    done
        What was done about it; empty if nothing.
    """

    what: str
    count: int
    examples: tuple[str, ...]
    done: str

    @classmethod
    def of(cls, what: str, items: Collection[object], done: str) -> "Found":
        """Of all these items."""
        return cls(what, len(items), tuple(map(str, items))[:EXAMPLES], done)


def too_many(orphans: int, kept: int) -> bool:
    """Whether so many of the bytes kept are nobody's that the store is another database's, rather.

    Parameters
    ----------
    orphans, kept
        Counts; `orphans` are among the `kept`.
    """
    return orphans > FEW_ORPHANS and 2 * orphans > kept
