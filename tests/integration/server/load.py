"""Users who work without pause, note down what the API told them, and can say what must be in the database."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import text

from alchemiscale_prefect import AlchemiscaleClient, ScopedKey
from alchemiscale_prefect.domain.access import IdentityKind, Principal
from alchemiscale_prefect.sdk.retries import RetryPolicy
from alchemiscale_prefect.services import identities
from alchemiscale_prefect.store.database import Database
from tests.api_server import KEY, SCOPE
from tests.chains import keys_of, network_chain


@dataclass(frozen=True, slots=True)
class CountedRetries(RetryPolicy):
    """Counts how often a client tries again, in whichever thread: a lost answer may have been the one that counted."""

    waits: list[float] = field(default_factory=list)

    def wait_seconds(self, retry: int, retry_after: float | None = None) -> float:
        self.waits.append(RetryPolicy.wait_seconds(self, retry, retry_after))
        return self.waits[-1]


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
    retries: CountedRetries
    tasks: dict[ScopedKey, Noted] = field(default_factory=dict)
    calls: int = 0
    again: int = 0
    """How often the last call was tried again."""
    faults: list[str] = field(default_factory=list)

    @property
    def retried(self) -> int:
        return len(self.retries.waits)

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
        before = self.retried
        answer = method(*arguments)
        self.calls += 1
        self.again = self.retried - before
        return answer

    def _told(self, answer: list[ScopedKey | None], expected: Sequence[ScopedKey | None]) -> None:
        """An answer for each; where the first answer was lost, the second one may say that it was so already."""
        again = [None] * len(expected) if self.again else expected
        if any(given not in pair for given, *pair in zip(answer, expected, again, strict=True)):
            self.faults.append(f"told {answer} instead of {expected}, after {self.again} retries")

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


def make_users(
    api_url: str, database: Database, submit: Callable[..., ScopedKey], count: int, retries: RetryPolicy
) -> list[User]:
    """Each an identity of its own, all at work on one network."""
    chain = network_chain()
    network = submit(chain)
    transformations = [ScopedKey.of(key, SCOPE) for key in keys_of(chain, "Transformation", "NonTransformation")]
    names = [f"user_{n}" for n in range(count)]
    for name in names:
        identities.create(database, Principal.operating(), IdentityKind.user, name, KEY, [SCOPE])
    with database.transaction() as connection:
        # all log in at once, and a hash worth its name takes a tenth of a second
        cheap = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1).hash(KEY)
        connection.execute(text("update identity_key set hash = :cheap"), {"cheap": cheap})
    made = []
    for n, name in enumerate(names):
        client = AlchemiscaleClient(api_url, name, KEY, use_local_cache=False)
        counted = CountedRetries(retries.max_retries, retries.base_seconds, retries.max_seconds)
        client._transport.retry = counted
        made.append(User(client, network, transformations, random.Random(n), counted))
    return made


def noted(users: Sequence[User]) -> dict[str, tuple[object, ...]]:
    """Every Task, as its owner knows it."""
    return {
        str(key): (
            user.client.identifier,
            task.transformation.gufe_key,
            None if task.extends is None else task.extends.gufe_key,
            task.status,
            task.priority,
            task.weight,
        )
        for user in users
        for key, task in user.tasks.items()
    }


def stored(database: Database) -> dict[str, tuple[object, ...]]:
    """Every Task of the database, as its owner should know it."""
    statement = text(
        f"""
        select t.key || '-{SCOPE}' as key, t.creator, o.key as transformation, parent.key as extends,
               t.status, t.priority, a.weight
        from task t
        join gufe_object o on o.id = t.transformation_id
        left join task parent on parent.id = t.extends_id
        left join action a on a.task_id = t.id
        """
    )
    with database.transaction() as connection:
        rows = connection.execute(statement).all()
    # two actions of a Task would be two rows
    assert len({row.key for row in rows}) == len(rows)
    return {row.key: tuple(row)[1:] for row in rows}
