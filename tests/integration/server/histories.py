"""Networks, Tasks, actions and statuses as a person would keep them on paper, and what the API should answer."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.tasks import ACTIONABLE, UNACTIONED_BY, TaskStatus
from alchemiscale_prefect.domain.transitions import Cause, may_become
from tests.chains import Chain

Answers = list[ScopedKey | None]


@dataclass
class Net:
    """A network that may be submitted; `there` once it is."""

    key: ScopedKey
    chain: Chain
    transformations: tuple[ScopedKey, ...]
    there: bool = False
    state: str = "active"
    weight: float = 0.5


@dataclass
class Task:
    transformation: ScopedKey
    parent: "Task | None" = None
    status: TaskStatus = TaskStatus.waiting
    priority: int = 10
    weights: dict[ScopedKey, float] = field(default_factory=dict)
    """By network."""

    def become(self, status: TaskStatus, cause: Cause = Cause.user) -> None:
        assert may_become(self.status, status, cause)
        self.status = status
        if status in UNACTIONED_BY:
            self.weights.clear()


class Paper:
    """All of it. Each method does what the API's call of its name does, and gives its answer."""

    def __init__(self, nets: Sequence[Net]) -> None:
        self.nets = {net.key: net for net in nets}
        self.tasks: dict[ScopedKey, Task] = {}

    @property
    def there(self) -> list[Net]:
        return [net for net in self.nets.values() if net.there]

    def networks_of(self, task: Task) -> set[ScopedKey]:
        return {net.key for net in self.there if task.transformation in net.transformations}

    # --- networks ----------------------------------------------------------------------------------------------------

    def submit(self, net: Net, state: str) -> ScopedKey:
        if not net.there:
            net.there, net.state = True, state
        return net.key

    def set_states(self, keys: Sequence[ScopedKey], states: Sequence[str]) -> Answers:
        for key, state in zip(keys, states, strict=True):
            if key in self.nets and self.nets[key].there:
                self.nets[key].state = state
        return self._networks(keys)

    def set_weights(self, keys: Sequence[ScopedKey], weights: Sequence[float]) -> Answers:
        for key, weight in zip(keys, weights, strict=True):
            if key in self.nets and self.nets[key].there:
                self.nets[key].weight = weight
        return self._networks(keys)

    def _networks(self, keys: Sequence[ScopedKey]) -> Answers:
        return [key if key in self.nets and self.nets[key].there else None for key in keys]

    # --- Tasks -------------------------------------------------------------------------------------------------------

    def created(
        self, made: Sequence[ScopedKey], asked: Sequence[ScopedKey], parents: Sequence[ScopedKey | None]
    ) -> None:
        """New Tasks in the order they were asked for, none of them known before."""
        assert not set(made) & set(self.tasks)
        assert len(set(made)) == len(made)
        for key, transformation, parent in zip(made, asked, parents, strict=True):
            assert (key.qualname, key.scope) == ("Task", transformation.scope)
            self.tasks[key] = Task(transformation, None if parent is None else self.tasks[parent])

    def action(self, net: Net, keys: Sequence[ScopedKey], weight: float | list[float] | None) -> Answers:
        weights = weight if isinstance(weight, list) else [weight] * len(keys)
        fit = {
            key
            for key in keys
            if key in self.tasks
            and self.tasks[key].status in ACTIONABLE
            and self.tasks[key].transformation in net.transformations
        }
        new = {key for key in fit if net.key not in self.tasks[key].weights}
        for key, its in zip(keys, weights, strict=True):
            if key in fit and (its is not None or key in new):
                self.tasks[key].weights[net.key] = 0.5 if its is None else its
        return [key if key in new else None for key in keys]

    def cancel(self, net: Net, keys: Sequence[ScopedKey]) -> Answers:
        actioned = {key for key in keys if key in self.tasks and net.key in self.tasks[key].weights}
        for key in actioned:
            del self.tasks[key].weights[net.key]
        for task in (self.tasks[key] for key in keys if key in self.tasks):
            # nobody wants it any more: it is stopped
            if task.status is TaskStatus.running and task.transformation in net.transformations and not task.weights:
                task.become(TaskStatus.waiting, Cause.stop)
        return [key if key in actioned else None for key in keys]

    def set_status(self, keys: Sequence[ScopedKey], status: TaskStatus) -> Answers:
        allowed = {key for key in keys if key in self.tasks and may_become(self.tasks[key].status, status)}
        family = [self.tasks[key] for key in allowed]
        if status is not TaskStatus.waiting:
            for member in family:
                family += [child for child in self.tasks.values() if child.parent is member and child not in family]
        for member in family:
            if may_become(member.status, status):
                member.become(status)
        return [key if key in allowed else None for key in keys]

    def set_priority(self, keys: Sequence[ScopedKey], priority: int) -> Answers:
        for key in keys:
            if key in self.tasks:
                self.tasks[key].priority = priority
        return [key if key in self.tasks else None for key in keys]

    # --- compute -----------------------------------------------------------------------------------------------------

    def claimable(self) -> set[ScopedKey]:
        return {
            key
            for key, task in self.tasks.items()
            if task.status is TaskStatus.waiting
            and (task.parent is None or task.parent.status is TaskStatus.complete)
            and any(weight > 0 and self.nets[net].weight > 0 for net, weight in task.weights.items())
        }

    # --- counts ------------------------------------------------------------------------------------------------------

    def counts(self, transformations: Sequence[ScopedKey]) -> dict[str, int]:
        """Of the Tasks of these, by status; those that are none are left out."""
        return dict(Counter(t.status.value for t in self.tasks.values() if t.transformation in transformations))
