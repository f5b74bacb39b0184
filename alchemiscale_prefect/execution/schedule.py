"""Running the units of a DAG: each as soon as what it needs is there, several at once."""

import queue
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Generic, Protocol, TypeVar

from alchemiscale_prefect.domain.slots import Slots

Node = TypeVar("Node", bound="DagNode")
Result = TypeVar("Result")


class DagNode(Protocol):
    """A node of a DAG: its key and the keys of the nodes it needs."""

    @property
    def key(self) -> str: ...

    @property
    def dependencies(self) -> tuple[str, ...]: ...


Done = Callable[[Result | BaseException], None]
Start = Callable[[Node, Mapping[str, Result], Done[Result]], None]
"""Starts a node in the background, given the results so far, and calls the third argument once, with its result or
the exception it ended with, from any thread."""


class Schedule(Generic[Node, Result]):
    """The nodes of a DAG on their way.

    Parameters
    ----------
    nodes
        In any order; every dependency among them.
    finished
        Results that are there already; their nodes are not run.
    start
        How to run a node.
    max_parallel
        Nodes under way at once.
    on_finished
        Called in the scheduling thread after each node, with the number of finished ones.
    capacity
        What the nodes under way may take together; ``None`` for no limit.
    need
        What a node takes while it is under way. One that needs more than there is gets all there is.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        finished: Mapping[str, Result],
        start: Start[Node, Result],
        max_parallel: int,
        on_finished: Callable[[int], None],
        capacity: Slots | None = None,
        need: Callable[[Node], Slots] = lambda _: Slots(),
    ) -> None:
        self.finished: dict[str, Result] = dict(finished)
        self._waiting = {node.key: node for node in nodes if node.key not in self.finished}
        self._running: dict[str, Slots] = {}
        self._ended: queue.SimpleQueue[tuple[str, Result | BaseException]] = queue.SimpleQueue()
        self._start = start
        self._max_parallel = max_parallel
        self._on_finished = on_finished
        self._free = capacity or Slots()
        self._needs = {
            node.key: need(node).at_most(self._free) if capacity else Slots() for node in self._waiting.values()
        }

    def run(self) -> BaseException | None:
        """Run until every node is finished, or one has failed and those under way have ended.

        Returns
        -------
        BaseException or None
            What the first node that failed ended with.
        """
        failure: BaseException | None = None
        while True:
            if failure is None:
                self._start_ready()
            if not self._running:
                if failure is None and self._waiting:
                    raise ValueError(f"nodes whose dependencies are not in the DAG: {sorted(self._waiting)}")
                return failure
            key, outcome = self._ended.get()
            self._free += self._running.pop(key)
            if isinstance(outcome, BaseException):
                failure = failure or outcome
            else:
                self.finished[key] = outcome
                if failure is None:
                    self._start_ready()  # first: whoever listens may be slow, and a GPU would wait
                self._on_finished(len(self.finished))

    def _start_ready(self) -> None:
        for key, node in list(self._waiting.items()):
            if len(self._running) >= self._max_parallel:
                return
            slots = self._needs[key]
            if slots.fits(self._free) and all(dependency in self.finished for dependency in node.dependencies):
                del self._waiting[key]
                self._running[key] = slots
                self._free -= slots
                done: Done[Result] = partial(self._end, key)
                try:
                    self._start(node, dict(self.finished), done)
                except Exception as error:  # noqa: BLE001  as any failure: those under way are not left to themselves
                    done(error)

    def _end(self, key: str, outcome: Result | BaseException) -> None:
        self._ended.put((key, outcome))
