"""A user who works without pause, notes down what the API told them, and can say what must be in the database."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from alchemiscale_prefect import AlchemiscaleClient, ScopedKey
from alchemiscale_prefect.sdk.retries import RetryPolicy

TRIES = threading.local()


class CountedRetries(RetryPolicy):
    """Tells a thread how often its last call was tried again: a lost answer may have been the one that counted."""

    __slots__ = ()

    def wait_seconds(self, retry: int, retry_after: float | None = None) -> float:
        TRIES.again = getattr(TRIES, "again", 0) + 1
        return RetryPolicy.wait_seconds(self, retry, retry_after)


@dataclass
class Noted:
    """A Task as its owner knows it."""

    transformation: ScopedKey
    extends: ScopedKey | None = None
    status: str = "waiting"
    priority: int = 10
    weight: float | None = None
    """On the network; ``None``: not actioned."""


@dataclass
class User:
    """One client, its Tasks, and what went wrong. Nobody else touches its Tasks."""

    client: AlchemiscaleClient
    network: ScopedKey
    transformations: Sequence[ScopedKey]
    chance: random.Random
    tasks: dict[ScopedKey, Noted] = field(default_factory=dict)
    calls: int = 0
    retried: int = 0
    faults: list[str] = field(default_factory=list)

    def work(self, until: Callable[[], bool]) -> None:
        """One call after the other. An exception ends it, and is a fault."""
        steps = (self.create, self.create_many, self.action, self.action, self.cancel, self.prioritize, self.delete)
        try:
            while not until():
                self.chance.choice((*steps, self.look))()
        # a fault of any kind must be reported by the test, not lost with its thread
        except Exception as error:  # noqa: BLE001
            self.faults.append(f"{type(error).__name__}: {error}")

    # --- what users do -----------------------------------------------------------------------------------------------

    def create(self) -> None:
        parent = self.chance.choice([None, *self._some(1, lambda task: task.status != "deleted")])
        transformation = self.tasks[parent].transformation if parent else self.chance.choice(self.transformations)
        count = self.chance.randint(1, 4)
        made = self._call(self.client.create_tasks, transformation, parent, count)
        self._note(made, [transformation] * count, [parent] * count)

    def create_many(self) -> None:
        asked = self.chance.choices(self.transformations, k=5)
        self._note(self._call(self.client.create_transformations_tasks, asked), asked, [None] * 5)

    def action(self) -> None:
        asked = self._some(6)
        weight = self.chance.choice([None, 0.25, 1.0])
        expected = []
        for key in asked:
            task = self.tasks[key]
            new = task.weight is None and task.status == "waiting"
            expected.append(key if new else None)
            if new:
                task.weight = 0.5 if weight is None else weight
            elif task.weight is not None and weight is not None:
                task.weight = weight
        self._told(self._call(self.client.action_tasks, asked, self.network, weight), expected)

    def cancel(self) -> None:
        asked = self._some(2)
        expected = [key if self.tasks[key].weight is not None else None for key in asked]
        for key in asked:
            self.tasks[key].weight = None
        self._told(self._call(self.client.cancel_tasks, asked, self.network), expected)

    def prioritize(self) -> None:
        asked, priority = self._some(5), self.chance.randint(1, 99)
        for key in asked:
            self.tasks[key].priority = priority
        self._told(self._call(self.client.set_tasks_priority, asked, priority), asked)

    def delete(self) -> None:
        asked = self._some(1)
        for key in [*asked, *self._descendants(asked)]:
            self.tasks[key].status, self.tasks[key].weight = "deleted", None
        self._told(self._call(self.client.set_tasks_status, asked, "deleted"), asked)

    def look(self) -> None:
        asked = self._some(10)
        told = self._call(self.client.get_tasks_status, asked)
        if told != [self.tasks[key].status for key in asked]:
            self.faults.append(f"statuses of {asked}: {told}")

    # --- what they note ----------------------------------------------------------------------------------------------

    def _call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        TRIES.again = 0
        answer = method(*arguments)
        self.calls += 1
        self.retried += TRIES.again
        return answer

    def _told(self, answer: list[ScopedKey | None], expected: Sequence[ScopedKey | None]) -> None:
        """An answer for each; where the first answer was lost, the second one may say that it was so already."""
        again = [None] * len(expected) if TRIES.again else expected
        if any(given not in pair for given, *pair in zip(answer, expected, again, strict=True)):
            self.faults.append(f"told {answer} instead of {expected}, after {TRIES.again} retries")

    def _note(self, made: list[ScopedKey], asked: Sequence[ScopedKey], parents: Sequence[ScopedKey | None]) -> None:
        if len(made) != len(asked) or set(made) & set(self.tasks):
            self.faults.append(f"{len(asked)} Tasks asked for, told {made}")
        self.tasks.update(
            (key, Noted(transformation, parent))
            for key, transformation, parent in zip(made, asked, parents, strict=False)
        )

    def _some(self, count: int, which: Callable[[Noted], bool] = lambda task: True) -> list[ScopedKey]:
        """At most so many of the Tasks, the young ones rather than the old."""
        fit = [key for key, task in list(self.tasks.items())[-60:] if which(task)]
        return self.chance.sample(fit, min(count, len(fit)))

    def _descendants(self, keys: Sequence[ScopedKey]) -> list[ScopedKey]:
        children = [key for key, task in self.tasks.items() if task.extends in keys]
        return children + self._descendants(children) if children else []
