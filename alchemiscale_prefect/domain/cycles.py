"""Cycle closures: free energies around a closed path sum to zero, within their errors."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edge:
    """A free energy difference from one state to another.

    Attributes
    ----------
    start, end
        Names of the states.
    value, error
        The difference and its standard error, in one unit for all edges.
    """

    start: str
    end: str
    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Closure:
    """The sum around a cycle.

    Attributes
    ----------
    nodes
        The states, the first one again at the end.
    value, error
        The sum of the differences, and its standard error if the edges are independent.
    """

    nodes: tuple[str, ...]
    value: float
    error: float


@dataclass(frozen=True, slots=True)
class _Step:
    node: str
    edge: Edge | None
    depth: int
    before: "_Step | None"


def cycle_closures(edges: Iterable[Edge]) -> tuple[Closure, ...]:
    """Closures of a fundamental cycle basis: one per edge beyond a spanning forest, breadth first.

    Every other cycle is a combination of these. An edge from a state to itself is a cycle of its own.

    Parameters
    ----------
    edges
        In any direction; parallel edges make a cycle too.
    """
    ordered = list(edges)
    forest, chords = _spanning_forest(ordered)
    return tuple(_closure(chord, forest) for chord in chords)


def _spanning_forest(edges: Sequence[Edge]) -> tuple[dict[str, _Step], list[Edge]]:
    around: dict[str, list[tuple[int, Edge]]] = {}
    for number, edge in enumerate(edges):
        around.setdefault(edge.start, []).append((number, edge))
        around.setdefault(edge.end, []).append((number, edge))
    steps: dict[str, _Step] = {}
    used: set[int] = set()
    for root in around:
        if root in steps:
            continue
        steps[root] = _Step(root, None, 0, None)
        queue = [root]
        for here in queue:
            for number, edge in around[here]:
                there = edge.end if edge.start == here else edge.start
                if there not in steps:
                    used.add(number)
                    steps[there] = _Step(there, edge, steps[here].depth + 1, steps[here])
                    queue.append(there)
    return steps, [edge for number, edge in enumerate(edges) if number not in used]


def _closure(chord: Edge, forest: dict[str, _Step]) -> Closure:
    # along the chord, then through the tree from its end back to its start
    left, right = forest[chord.end], forest[chord.start]
    down: list[_Step] = []
    up: list[_Step] = []
    while left is not right:
        if left.depth >= right.depth:
            down.append(left)
            left = _before(left)
        else:
            up.append(right)
            right = _before(right)
    value, variance = chord.value, chord.error**2
    nodes = [chord.start, chord.end]
    for step in down:  # from `step` to the one before it
        value += _signed(step, forwards=False)
        variance += _edge(step).error ** 2
        nodes.append(_before(step).node)
    for step in reversed(up):  # from the one before `step` to it
        value += _signed(step, forwards=True)
        variance += _edge(step).error ** 2
        nodes.append(step.node)
    return Closure(tuple(nodes), value, math.sqrt(variance))


def _signed(step: _Step, *, forwards: bool) -> float:
    """The difference along the step's edge, to the step if `forwards`, else from it."""
    edge = _edge(step)
    return edge.value if (edge.end == step.node) is forwards else -edge.value


def _edge(step: _Step) -> Edge:
    if step.edge is None:
        raise ValueError(f"{step.node} is a root")
    return step.edge


def _before(step: _Step) -> _Step:
    if step.before is None:
        raise ValueError(f"{step.node} is a root")
    return step.before
