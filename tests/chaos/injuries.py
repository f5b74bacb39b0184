"""What is done to the system, and when: a pure function of the seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What happens. All are SIGKILL, but for those of users."""

    api = "the API is killed"
    prefect = "the Prefect server is killed"
    postgres = "Postgres is killed"
    prefect_postgres = "Prefect's Postgres is killed"
    dispatcher = "a dispatcher is killed"
    worker = "a worker is killed; its flow runs live on"
    machine = "a worker is killed with its flow runs"
    flow_run = "a flow run is killed"
    cancel = "a user cancels Tasks"
    action = "a user actions cancelled Tasks again"
    delete = "a user deletes a Task"


KILLS = (
    Kind.machine,
    Kind.postgres,
    Kind.api,
    Kind.prefect,
    Kind.flow_run,
    Kind.dispatcher,
    Kind.worker,
    Kind.prefect_postgres,
)


@dataclass(frozen=True, slots=True)
class Injury:
    """One of them.

    Attributes
    ----------
    after
        It happens once so many units have been done: on a machine of any speed the system is in the midst of it.
    which
        Of several workers, dispatchers, flow runs: this number, modulo how many there are.
    tasks
        Of those of users: the Tasks, by their index.
    down
        Seconds until what was killed is started again.
    """

    after: int
    kind: Kind
    which: int = 0
    tasks: tuple[int, ...] = ()
    down: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """All that will happen, and what is to come of it.

    Attributes
    ----------
    injuries
        By `Injury.after`.
    failing
        Tasks whose Protocol fails.
    cancelled
        Tasks that are cancelled for good.
    deleted
        Tasks that are deleted.
    """

    injuries: tuple[Injury, ...]
    failing: frozenset[int]
    cancelled: frozenset[int]
    deleted: frozenset[int]


def plan(seed: int, tasks: int, units: int, kills: int) -> Plan:
    """What happens to `tasks` Tasks of `units` units each: every kind of kill about equally often.

    Every fourth Task is cancelled by a user at some time; half of those are actioned again. One in twelve is deleted,
    and one in twelve fails.
    """
    chance = random.Random(seed)
    order = chance.sample(range(tasks), tasks)
    failing, deleted = order[: tasks // 12], order[tasks // 12 : tasks // 6]
    cancelled = order[tasks // 6 : tasks // 6 + tasks // 4]
    again = cancelled[: (len(cancelled) + 1) // 2]
    # what is sure to be done, whatever becomes of the others
    most = (tasks - len(failing) - len(deleted) - len(cancelled)) * units

    def moment(part: float = 1.0) -> int:
        return chance.randint(1, max(int(part * 0.9 * most), 1))

    injuries = [
        Injury(moment(), kind, chance.randrange(1000), down=chance.choice((0.0, 1.0, 3.0)))
        for kind in _kinds(chance, kills)
    ]
    for index in cancelled:
        at = moment(0.6)
        injuries.append(Injury(at, Kind.cancel, tasks=(index,)))
        if index in again:
            injuries.append(Injury(at + chance.choice((0, 0, 4)), Kind.action, tasks=(index,)))
    injuries += [Injury(moment(), Kind.delete, tasks=(index,)) for index in deleted]
    # a stable sort: what a user does first stays first
    injuries.sort(key=lambda injury: injury.after)
    return Plan(tuple(injuries), frozenset(failing), frozenset(cancelled) - frozenset(again), frozenset(deleted))


def _kinds(chance: random.Random, count: int) -> Sequence[Kind]:
    rounds = -(-count // len(KILLS))
    return [kind for _ in range(rounds) for kind in chance.sample(KILLS, len(KILLS))][:count]
