"""What an iteration of a Strategy changes: from its weights and the Tasks that there are, a plan.

The plan names what is to be created, actioned and cancelled for each Transformation, and why. It changes nothing
itself, and once it has been carried out the same weights make a plan without changes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.scaling import StrategyWeighting, Weight, normalized, task_count
from alchemiscale_prefect.domain.strategies import StrategyMode, StrategyState, StrategyTaskScaling
from alchemiscale_prefect.domain.tasks import TaskStatus

MOST_TASKS = 10_000
"""So many one iteration adds to a network: they are made in one transaction, and a setting may ask for billions."""

# what a Strategy leaves its network to
_OPEN = (TaskStatus.running, TaskStatus.waiting)


class Decision(StrEnum):
    """Why a Transformation's Tasks are changed, or left."""

    more = "more"
    """It is to have more Tasks than wait and run for the network."""
    fewer = "fewer"
    """It is to have fewer, and the Strategy may cancel."""
    kept = "kept"
    """It is to have fewer, and the Strategy may not cancel."""
    enough = "enough"
    """As many wait and run as are to."""
    finished = "finished"
    """The Strategy wants no more of it."""
    errored = "errored"
    """Tasks of it have failed: it gets none until somebody has looked at them."""
    over_budget = "over_budget"
    """The network may not have as many Tasks as it would take."""
    later = "later"
    """An iteration does not add as many Tasks as it would take; the next ones do."""
    disabled = "disabled"
    """The Strategy may change nothing."""


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A Task of a Transformation as the Strategy sees it.

    Attributes
    ----------
    key
        Of the Task.
    actioned
        Whether it is actioned on the network in question.
    """

    key: str
    status: TaskStatus
    actioned: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a Transformation's Tasks.

    Attributes
    ----------
    weight
        Between 0 and 1; ``None`` if the Strategy wants no more of it.
    target
        How many of its Tasks are to wait or run for the network.
    held
        How many do.
    action, cancel
        Keys of Tasks.
    create
        How many new Tasks, to be actioned.
    decision
        Why.
    errored
        Keys of those that have failed.
    taken
        Where there is no room for all: how many places in the budget Tasks of the network keep that failed.
    """

    transformation: str
    weight: Weight
    target: int
    held: int
    decision: Decision
    action: tuple[str, ...] = ()
    create: int = 0
    cancel: tuple[str, ...] = ()
    errored: tuple[str, ...] = ()
    taken: int = 0

    @property
    def reason(self) -> str:
        """The decision in words, with the way out where there is one."""
        counts = f"{self.held} of {self.target} wait or run"
        taken = f"; {self.taken} that failed keep places until they are set to invalid or deleted" if self.taken else ""
        return {
            Decision.more: counts,
            Decision.fewer: counts,
            Decision.kept: f"{counts}; in this mode none is cancelled",
            Decision.enough: counts,
            Decision.finished: "the Strategy wants no more results of it",
            Decision.errored: (
                f"skipped: {len(self.errored)} of its Tasks failed ({', '.join(self.errored)}); set them to waiting to "
                "have them run again, or to invalid or deleted to have others take their place"
            ),
            Decision.over_budget: (
                f"{counts}; of the Tasks that the Strategy wants for the network in all, "
                f"{len(self.action) + self.create} more are its share{taken}"
            ),
            Decision.later: f"{counts}; an iteration adds {MOST_TASKS} Tasks at most, the next ones the others",
            Decision.disabled: "the Strategy is disabled",
        }[self.decision]


@dataclass(frozen=True, slots=True)
class Proposal:
    """The plan of one iteration.

    Attributes
    ----------
    changes
        One for each weighted Transformation, in the order of their keys.
    finished
        Whether the Strategy wants no more Tasks at all, so that it may sleep.
    """

    changes: tuple[Change, ...]
    finished: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done."""
        return not any(change.create or change.action or change.cancel for change in self.changes)

    @property
    def errored(self) -> tuple[Change, ...]:
        """Those that the Strategy wants more of and of which Tasks have failed: to be looked at."""
        return tuple(change for change in self.changes if change.errored and change.target)


@dataclass(frozen=True, slots=True)
class ProposalSettings:
    """How weights become changes.

    Attributes
    ----------
    mode
        What the Strategy may do.
    max_tasks_per_transformation
        How many Tasks of one may wait or run at a time.
    max_tasks
        How many Tasks may wait or run for the network in all, those that do among them; ``None`` for any number. What
        is cancelled makes room. Tasks that wait or run elsewhere and are only actioned count as those that are created.
    taken
        How many more it would be but for Tasks that failed; it is told where there is no room.
    """

    mode: StrategyMode = StrategyMode.partial
    scaling: StrategyTaskScaling = StrategyTaskScaling.exponential
    weighting: StrategyWeighting = StrategyWeighting.relative
    max_tasks_per_transformation: int = 3
    max_tasks: int | None = None
    taken: int = 0

    @classmethod
    def of(cls, state: StrategyState) -> Self:
        """As a network's Strategy is set."""
        return cls(
            mode=state.mode,
            scaling=state.task_scaling,
            weighting=state.weighting,
            max_tasks_per_transformation=state.max_tasks_per_transformation,
        )


def propose_changes(
    weights: Mapping[str, Weight], tasks: Mapping[str, Sequence[PlannedTask]], settings: ProposalSettings
) -> Proposal:
    """Plan one iteration.

    Only what is not covered by waiting and running Tasks is added: first such Tasks of the Transformation as are
    actioned elsewhere alone, running ones before waiting ones, then new ones. Only in full mode are Tasks cancelled:
    waiting ones first, the last in order before the others, then running ones. Where there is no room for all, or more
    than `MOST_TASKS` would be added, each Transformation gets one Task, the heaviest first, then each a second one, and
    so on.

    Parameters
    ----------
    weights
        By the key of the Transformation. One that is not in it is left alone.
    tasks
        All Tasks of each Transformation of the network, in the order in which they are to be taken.

    Raises
    ------
    InvalidInput
        A weight is none, or belongs to no Transformation of the network.
    """
    if strangers := sorted(weights.keys() - tasks.keys()):
        raise InvalidInput(
            f"the Strategy gave weights to what is not in the network: {', '.join(strangers)}", field="weights"
        )
    relative = normalized(weights, settings.weighting)
    before = {key: _without_additions(key, relative[key], tasks[key], settings) for key in sorted(relative)}
    needs = {key: change.target - change.held for key, change in before.items() if change.decision is Decision.more}
    room = sum(needs.values())
    if settings.max_tasks is not None:
        held = sum(len(_held(of)) for of in tasks.values())
        room = settings.max_tasks - held + sum(len(change.cancel) for change in before.values())
    short = Decision.later if room > MOST_TASKS else Decision.over_budget
    shares = _shared_out(needs, relative, min(max(0, room), MOST_TASKS))
    changes = [
        _with_additions(change, tasks[key], shares[key], short, settings.taken) if key in shares else change
        for key, change in before.items()
    ]
    return Proposal(tuple(changes), all(weight is None for weight in relative.values()))


def _without_additions(key: str, weight: Weight, tasks: Sequence[PlannedTask], settings: ProposalSettings) -> Change:
    """The change of a Transformation, but for Tasks that are added."""
    target = task_count(weight, settings.max_tasks_per_transformation, settings.scaling)
    held = _held(tasks)
    errored = tuple(task.key for task in tasks if task.status is TaskStatus.error)
    need = target - len(held)
    plain = Change(key, weight, target, len(held), Decision.enough, errored=errored)
    if settings.mode is StrategyMode.disabled:
        return replace(plain, decision=Decision.disabled)
    if need > 0:
        return replace(plain, decision=Decision.errored if errored else Decision.more)
    if need < 0 and settings.mode is StrategyMode.full:
        return replace(plain, decision=Decision.fewer, cancel=_in_order(held)[need:][::-1])
    if weight is None:
        return replace(plain, decision=Decision.finished)
    return replace(plain, decision=Decision.kept if need < 0 else Decision.enough)


def _held(tasks: Iterable[PlannedTask]) -> list[PlannedTask]:
    """Those that wait or run for the network."""
    return [task for task in tasks if task.actioned and task.status in _OPEN]


def _with_additions(change: Change, tasks: Sequence[PlannedTask], allowed: int, short: Decision, taken: int) -> Change:
    action = _in_order(task for task in tasks if not task.actioned and task.status in _OPEN)[:allowed]
    decision = Decision.more if allowed == change.target - change.held else short
    taken = taken if decision is Decision.over_budget else 0
    return replace(change, decision=decision, action=action, create=allowed - len(action), taken=taken)


def _shared_out(needs: Mapping[str, int], weights: Mapping[str, Weight], room: int) -> dict[str, int]:
    """How many Tasks each gets where there is room for so many: one each, the heaviest first, then a second each."""
    order = sorted(needs, key=lambda key: (-(weights[key] or 0.0), key))
    shares = dict.fromkeys(needs, 0)
    while room > 0 and (lacking := [key for key in order if shares[key] < needs[key]]):
        # as many rounds at once as everybody who still lacks some can take
        rounds = max(1, min(min(needs[key] - shares[key] for key in lacking), room // len(lacking)))
        for key in lacking[:room]:
            shares[key] += rounds
            room -= rounds
    return shares


def _in_order(tasks: Iterable[PlannedTask]) -> tuple[str, ...]:
    """Keys of running Tasks, then of waiting ones, each as they came."""
    listed = list(tasks)
    return tuple(task.key for status in _OPEN for task in listed if task.status is status)
