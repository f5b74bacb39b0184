"""The state machine of Tasks: one table of which status may follow which, and what may bring that about."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from alchemiscale_prefect.domain.tasks import TaskStatus


class Cause(StrEnum):
    """What changes the status of a Task.

    ``user`` sets it; ``begin``: a flow run took the lease of an attempt; ``outcome``: the attempt finished; ``loss``:
    its worker vanished or gave it back; ``regain``: a run that was given up for lost is heard of again; ``stop``: no
    network wants it any more, or its flow run was cancelled in Prefect; ``restart``: a restart
    pattern found its error.
    """

    user = "user"
    begin = "begin"
    outcome = "outcome"
    loss = "loss"
    regain = "regain"
    stop = "stop"
    restart = "restart"


_S = TaskStatus
_EVERY = frozenset(Cause)
_USER = frozenset({Cause.user})

TRANSITIONS: Mapping[TaskStatus, Mapping[TaskStatus, frozenset[Cause]]] = MappingProxyType(
    {
        _S.waiting: MappingProxyType(
            {
                _S.waiting: _EVERY,
                _S.running: frozenset({Cause.begin, Cause.regain}),
                # lost too often without ever having begun, or called off in Prefect
                _S.error: frozenset({Cause.loss, Cause.stop}),
                _S.invalid: _USER,
                _S.deleted: _USER,
            }
        ),
        _S.running: MappingProxyType(
            {
                _S.running: _EVERY,
                _S.waiting: frozenset({Cause.user, Cause.loss, Cause.stop}),
                _S.complete: frozenset({Cause.outcome}),
                # called off in Prefect, or as above
                _S.error: frozenset({Cause.outcome, Cause.loss, Cause.stop}),
                _S.invalid: _USER,
                _S.deleted: _USER,
            }
        ),
        _S.complete: MappingProxyType({_S.complete: _EVERY, _S.invalid: _USER, _S.deleted: _USER}),
        _S.error: MappingProxyType(
            {
                _S.error: _EVERY,
                _S.waiting: frozenset({Cause.user, Cause.restart}),
                # what was lost too often may still be heard of
                _S.running: frozenset({Cause.regain}),
                _S.invalid: _USER,
                _S.deleted: _USER,
            }
        ),
        _S.invalid: MappingProxyType({_S.invalid: _EVERY}),
        _S.deleted: MappingProxyType({_S.deleted: _EVERY}),
    }
)
"""From each status, the statuses a Task may take, each with its causes; staying where it is is always allowed."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a Task's status changes, for its history.

    Attributes
    ----------
    cause
        What it was.
    who
        Identifier of the identity that asked for it; ``None`` for what happens by itself.
    why
        In words, where that is not plain.
    """

    cause: Cause
    who: str | None = None
    why: str | None = None


def may_become(current: TaskStatus, new: TaskStatus, cause: Cause = Cause.user) -> bool:
    """Whether `cause` may bring a Task from `current` to `new`."""
    return cause in TRANSITIONS[current].get(new, ())


def sources_of(new: TaskStatus, cause: Cause = Cause.user) -> frozenset[TaskStatus]:
    """The statuses from which `cause` may bring a Task to `new`; `new` is one of them."""
    return frozenset(status for status in TaskStatus if may_become(status, new, cause))
