"""Running the units of a DAG: each as soon as what it needs is there, several at once."""

import queue
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

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


class Admission(Protocol):
    """Which nodes may still start, in the time that is left."""

    def fits(self, node: Any) -> bool:
        """Whether there is time for it."""
        ...

    def expected(self, node: Any) -> float:
        """Seconds that it takes."""
        ...

    def refuse(self, nodes: Iterable[Any]) -> Exception:
        """Why none of these is started."""
        ...


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
    admission
        Asked before each node but the first, so that something is tried; ``None`` where there is time for everything.
    on_tick, tick_seconds
        Called in the scheduling thread about so often while nodes are under way; what it raises ends the schedule.
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
        *,
        admission: Admission | None = None,
        on_tick: Callable[[], None] = lambda: None,
        tick_seconds: float | None = None,
    ) -> None:
        self.finished: dict[str, Result] = dict(finished)
        self._waiting = {node.key: node for node in nodes if node.key not in self.finished}
        self._running: dict[str, Slots] = {}
        self._ended: queue.SimpleQueue[tuple[str, Result | BaseException]] = queue.SimpleQueue()
        self._start = start
        self._max_parallel = max_parallel
        self._on_finished = on_finished
        self._admission = admission
        self._on_tick = on_tick
        self._tick_seconds = tick_seconds
        self._started = 0
        self._free = capacity or Slots()
        self._needs = {
            node.key: need(node).at_most(self._free) if capacity else Slots() for node in self._waiting.values()
        }

    def run(self) -> BaseException | None:
        """Run until every node is finished; or one has failed, or there is no time for another, and those under way
        have ended.

        Returns
        -------
        BaseException or None
            What the first node that failed ended with, or why there is no time.
        """
        failure: BaseException | None = None
        while True:
            if failure is None:
                self._start_ready()
            if not self._running:
                return failure or self._obstacle()
            key, outcome = self._next_ended()
            self._free += self._running.pop(key)
            if isinstance(outcome, BaseException):
                failure = failure or outcome
            else:
                self.finished[key] = outcome
                if failure is None:
                    self._start_ready()  # first: whoever listens may be slow, and a GPU would wait
                self._on_finished(len(self.finished))

    def _next_ended(self) -> tuple[str, Result | BaseException]:
        while True:
            try:
                return self._ended.get(timeout=self._tick_seconds)
            except queue.Empty:
                self._on_tick()

    def _obstacle(self) -> BaseException | None:
        """Why nothing runs."""
        if not self._waiting:
            return None
        if ready := self._ready():
            assert self._admission is not None
            return self._admission.refuse(ready)
        raise ValueError(f"nodes whose dependencies are not in the DAG: {sorted(self._waiting)}")

    def _ready(self) -> list[Node]:
        """The waiting nodes whose dependencies are finished."""
        return [
            node
            for node in self._waiting.values()
            if all(dependency in self.finished for dependency in node.dependencies)
        ]

    def _start_ready(self) -> None:
        ready = self._ready()
        if self._admission is not None and not self._started:
            # one is tried, whatever it takes: one that does not fit would else be put off for ever
            ready.sort(key=self._admission.expected)
        for node in ready:
            if len(self._running) >= self._max_parallel:
                return
            slots = self._needs[node.key]
            if slots.fits(self._free) and self._may_start(node):
                self._begin(node, slots)

    def _may_start(self, node: Node) -> bool:
        return self._admission is None or not self._started or self._admission.fits(node)

    def _begin(self, node: Node, slots: Slots) -> None:
        del self._waiting[node.key]
        self._started += 1
        self._running[node.key] = slots
        self._free -= slots
        done: Done[Result] = partial(self._end, node.key)
        try:
            self._start(node, dict(self.finished), done)
        except Exception as error:  # noqa: BLE001  as any failure: those under way are not left to themselves
            done(error)

    def _end(self, key: str, outcome: Result | BaseException) -> None:
        self._ended.put((key, outcome))
