"""A ProtocolDAG from its Transformation to its result, one unit at a time.

Every function is safe to call from several threads at once: units run in parallel.
"""

import json
import traceback as tracebacks
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from gufe.tokenization import JSON_HANDLER

from alchemiscale_prefect.chemistry.base import (
    Context,
    NonTransformation,
    ProtocolDAG,
    ProtocolDAGResult,
    ProtocolUnit,
    ProtocolUnitFailure,
    ProtocolUnitResult,
    Transformation,
)
from alchemiscale_prefect.domain.errors import InvalidInput


@dataclass(frozen=True)
class UnitNode:
    """One ProtocolUnit of a ProtocolDAG.

    Attributes
    ----------
    key
        The unit's gufe key; random, and kept in the stored ProtocolDAG.
    name
        As the Protocol's author gave it; it need not be unique.
    qualname
        Class of the unit.
    dependencies
        Keys of the units whose results it needs, each once.
    cpu_slots, gpu_slots
        What it says that it takes while it runs: its attributes ``cpu_slots`` and ``gpu_slots``; ``None`` where it has
        none. gufe knows no such thing; a unit's class may have them, as numbers or as properties.
    unit
        The unit itself.
    """

    key: str
    name: str | None
    qualname: str
    dependencies: tuple[str, ...]
    unit: ProtocolUnit = field(repr=False)
    cpu_slots: int | None = None
    gpu_slots: int | None = None


@dataclass(frozen=True)
class UnitTraceback:
    """One failed try of a unit.

    Attributes
    ----------
    failure_key, source_key
        Keys of the ProtocolUnitFailure and of the unit that it is of.
    unit_name
        The unit's name, if it has one.
    exception
        Class and arguments of the exception, for example ``ValueError('no such ligand')``.
    traceback
        Text of the traceback.
    """

    failure_key: str
    source_key: str
    unit_name: str | None
    exception: str
    traceback: str


def create(
    transformation: Transformation | NonTransformation, *, extends: ProtocolDAGResult | None = None, name: str
) -> ProtocolDAG:
    """Create a ProtocolDAG. Its units' keys are random: store it before running any of them.

    Parameters
    ----------
    transformation
        A Transformation or NonTransformation.
    extends
        The result that the new calculation starts from.
    name
        Name of the ProtocolDAG.

    Raises
    ------
    Exception
        Whatever the Protocol raises for these inputs.
    """
    dag: ProtocolDAG = transformation.create(extends=extends, name=name)
    return dag


def units(dag: ProtocolDAG) -> tuple[UnitNode, ...]:
    """The units in DAG order: each after all that it depends on, the same order every time.

    Raises
    ------
    InvalidInput
        A unit depends on one that is not in the ProtocolDAG, or says that it takes something else than a number of
        CPUs or GPUs.
    """
    nodes = {str(unit.key): _node(unit) for unit in dag.protocol_units}
    for node in nodes.values():
        if missing := set(node.dependencies) - nodes.keys():
            raise InvalidInput(f"{node.key} depends on units that are not in {dag.key}: {sorted(missing)}")
    order = TopologicalSorter({key: node.dependencies for key, node in nodes.items()})
    return tuple(nodes[key] for key in order.static_order())


def execute_unit(
    node: UnitNode,
    finished: Mapping[str, ProtocolUnitResult],
    *,
    shared: Path,
    scratch: Path,
    stdout: Path | None = None,
    stderr: Path | None = None,
) -> ProtocolUnitResult:
    """Run one unit.

    Parameters
    ----------
    node
        The unit.
    finished
        Successful results by the key of their unit; all of ``node.dependencies`` must be there.
    shared, scratch
        Existing directories. ``shared`` must stay in place until the last unit of the ProtocolDAG has run.
    stdout, stderr
        Existing directories, or ``None``. The files that the unit leaves in them become part of the result.

    Returns
    -------
    ProtocolUnitResult
        A ProtocolUnitFailure if the unit raised an Exception, or returned something that gufe has no JSON for.

    Raises
    ------
    InvalidInput
        The result of a dependency is missing or is a failure.
    BaseException
        What is no Exception goes through: KeyboardInterrupt, SystemExit, gufe's ExecutionInterrupt.
    """
    for key in node.dependencies:
        if key not in finished or not finished[key].ok():
            raise InvalidInput(f"{node.key} needs a successful result of {key}", field="finished")
    inputs = _with_results(node.unit.inputs, finished)
    context = Context(shared=shared, scratch=scratch, stdout=stdout, stderr=stderr)
    return _storable(node.unit.execute(context=context, raise_error=False, **inputs))


def assemble(dag: ProtocolDAG, unit_results: Sequence[ProtocolUnitResult]) -> ProtocolDAGResult:
    """The result of a ProtocolDAG, from the results of all tries of its units, in the order in which they ran.

    Parameters
    ----------
    dag
        The ProtocolDAG.
    unit_results
        Successes and failures. A result given twice counts once; a unit may have several, or none.

    Raises
    ------
    InvalidInput
        A result is of a unit that is not in `dag`.
    """
    keys = {unit.key for unit in dag.protocol_units}
    tries = {result.key: result for result in unit_results}
    for result in tries.values():
        if result.source_key not in keys:
            raise InvalidInput(f"{result.key} is of {result.source_key}, which is not in {dag.key}")
    return ProtocolDAGResult(
        name=dag.name,
        protocol_units=dag.protocol_units,
        protocol_unit_results=list(tries.values()),
        transformation_key=dag.transformation_key,
        extends_key=dag.extends_key,
    )


def is_ok(result: ProtocolUnitResult | ProtocolDAGResult) -> bool:
    """Whether a unit succeeded; for a ProtocolDAGResult, whether each of its units did in one of its tries."""
    return bool(result.ok())


def result_key(unit_result: ProtocolUnitResult) -> str:
    """The unit result's own key."""
    return str(unit_result.key)


def source_key(unit_result: ProtocolUnitResult) -> str:
    """The key of the unit that the result is of."""
    return str(unit_result.source_key)


def results_used(unit_result: ProtocolUnitResult) -> frozenset[str]:
    """Keys of the results of other units that the unit was given."""
    return frozenset(str(used.key) for used in _found_in(unit_result.inputs, ProtocolUnitResult))


def times(unit_result: ProtocolUnitResult) -> tuple[datetime | None, datetime | None]:
    """Start and end of a unit's execution in UTC. gufe 1.x writes them in local time, without saying so."""
    start, end = unit_result.start_time, unit_result.end_time
    return start and start.astimezone(UTC), end and end.astimezone(UTC)


def failures(pdr: ProtocolDAGResult) -> tuple[UnitTraceback, ...]:
    """Every failed try, by unit in DAG order and then by the time at which it started."""
    position = {unit.key: index for index, unit in enumerate(pdr.protocol_units)}
    never = datetime.min.replace(tzinfo=UTC)
    failed = sorted(
        pdr.protocol_unit_failures, key=lambda result: (position[result.source_key], times(result)[0] or never)
    )
    return tuple(unit_traceback(result) for result in failed)


def unit_traceback(failure: ProtocolUnitFailure) -> UnitTraceback:
    """What a ProtocolUnitFailure says."""
    name, arguments = failure.exception
    return UnitTraceback(
        failure_key=str(failure.key),
        source_key=str(failure.source_key),
        unit_name=failure.name,
        exception=f"{name}({', '.join(repr(argument) for argument in arguments)})",
        traceback=failure.traceback,
    )


def _node(unit: ProtocolUnit) -> UnitNode:
    # not `unit.dependencies`: gufe looks one level deep there, but replaces units by results at any depth
    dependencies = tuple(dict.fromkeys(str(dependency.key) for dependency in _found_in(unit.inputs, ProtocolUnit)))
    slots = (_slots(unit, "cpu_slots"), _slots(unit, "gpu_slots"))
    return UnitNode(str(unit.key), unit.name, type(unit).__qualname__, dependencies, unit, *slots)


def _slots(unit: ProtocolUnit, attribute: str) -> int | None:
    value = getattr(unit, attribute, None)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise InvalidInput(
        f"{type(unit).__qualname__}.{attribute} is {value!r}; it must be an integer that is not negative, or None",
        field=attribute,
    )


def _found_in(value: Any, kind: type) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _found_in(inner, kind)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _found_in(inner, kind)


def _with_results(value: Any, finished: Mapping[str, ProtocolUnitResult]) -> Any:
    if isinstance(value, ProtocolUnit):
        return finished[str(value.key)]
    if isinstance(value, dict):
        return {name: _with_results(inner, finished) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_results(inner, finished) for inner in value]
    return value


def _storable(result: ProtocolUnitResult) -> ProtocolUnitResult:
    """`result`, or a failure in its place if it could not be stored: it must not be lost for that."""
    try:
        json.dumps(result.to_keyed_dict(), cls=JSON_HANDLER.encoder)
    except (TypeError, ValueError, RecursionError) as error:
        given: dict[str, Any] = {
            name: getattr(result, name)
            for name in ("name", "source_key", "inputs", "stderr", "stdout", "start_time", "end_time")
        }
        if isinstance(result, ProtocolUnitFailure):
            name, arguments = result.exception
            exception, text = (name, tuple(str(argument) for argument in arguments)), result.traceback
        else:
            text = "".join(tracebacks.format_exception(error))
            exception = (type(error).__qualname__, (f"the unit's outputs cannot be written as JSON: {error}",))
        return ProtocolUnitFailure(outputs={}, exception=exception, traceback=text, **given)
    return result
