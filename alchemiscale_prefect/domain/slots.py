"""What units take of a machine while they run, in CPUs and GPUs."""

import os
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Slots:
    """So many CPUs and GPUs."""

    cpus: int = 0
    gpus: int = 0

    def __add__(self, other: "Slots") -> "Slots":
        return Slots(self.cpus + other.cpus, self.gpus + other.gpus)

    def __sub__(self, other: "Slots") -> "Slots":
        return Slots(self.cpus - other.cpus, self.gpus - other.gpus)

    def at_most(self, other: "Slots") -> "Slots":
        """Of each no more than `other` has."""
        return Slots(min(self.cpus, other.cpus), min(self.gpus, other.gpus))

    def fits(self, free: "Slots") -> bool:
        """Whether there are as many of each."""
        return self.cpus <= free.cpus and self.gpus <= free.gpus


class TakesSlots(Protocol):
    """A unit that may say what it takes."""

    @property
    def cpu_slots(self) -> int | None: ...

    @property
    def gpu_slots(self) -> int | None: ...


def usable_cpus() -> int:
    """How many CPUs this process may use: a batch system may have given it fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
