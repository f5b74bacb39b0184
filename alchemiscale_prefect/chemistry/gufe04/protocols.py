"""Protocol, units, ProtocolDAG and their results for gufe 0.4, with the signatures of gufe >= 1.12."""

import datetime
import traceback as tracebacks
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import gufe
import networkx as nx
from gufe.protocols import protocolunit as gufe_protocolunit
from gufe.tokenization import TOKENIZABLE_REGISTRY, GufeKey
from openff.units import Quantity

from alchemiscale_prefect.chemistry.gufe04.settings import SettingsBaseModel


class ExecutionInterrupt(BaseException):
    """Ends a unit's execution without a ProtocolUnitFailure."""


@dataclass
class Context:
    """Where a unit works: a directory of its own, and one shared along the ProtocolDAG."""

    scratch: Path
    shared: Path
    stderr: Path | None = None
    stdout: Path | None = None


class _UnitResultBase(gufe_protocolunit.ProtocolUnitResultBase):  # type: ignore[misc]
    """What 0.4's unit results lack: captured output and times."""

    def __init__(
        self,
        *,
        stderr: dict[str, bytes] | None = None,
        stdout: dict[str, bytes] | None = None,
        start_time: datetime.datetime | None = None,
        end_time: datetime.datetime | None = None,
        _key: str | None = None,
        **given: Any,
    ) -> None:
        super().__init__(_key=None if _key is None else GufeKey(_key), **given)
        self.stderr = stderr or {}
        self.stdout = stdout or {}
        self.start_time = start_time
        self.end_time = end_time

    def _to_dict(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("stderr", "stdout", "start_time", "end_time")}
        return {**super()._to_dict(), **own}


class ProtocolUnitResult(_UnitResultBase):
    """Outputs of a unit that ran to its end."""

    @staticmethod
    def ok() -> bool:
        return True


class ProtocolUnitFailure(ProtocolUnitResult):
    """The exception that ended a unit."""

    def __init__(self, *, exception: tuple[str, tuple[Any, ...]], traceback: str, **given: Any) -> None:
        self.exception = exception
        self.traceback = traceback
        super().__init__(**given)

    def _to_dict(self) -> dict[str, Any]:
        return {**super()._to_dict(), "exception": self.exception, "traceback": self.traceback}

    @staticmethod
    def ok() -> bool:
        return False


def _captured(directory: Path | None) -> dict[str, bytes]:
    if directory is None:
        return {}
    return {entry.name: entry.read_bytes() for entry in sorted(directory.iterdir()) if entry.is_file()}


class ProtocolUnit(gufe.ProtocolUnit):  # type: ignore[misc]
    """A unit of work; ``_execute(ctx, **inputs)`` is its body."""

    @classmethod
    def _from_dict(cls, dct: dict[str, Any]) -> Self:
        unit = cls(name=dct["name"], **dct["inputs"])
        unit._key = GufeKey(dct["_key"])
        TOKENIZABLE_REGISTRY.setdefault(unit._key, unit)
        return unit

    def execute(self, *, context: Context, raise_error: bool = False, **inputs: Any) -> ProtocolUnitResult:
        """Run ``_execute``; an Exception it raises becomes a ProtocolUnitFailure unless ``raise_error``."""
        start = datetime.datetime.now(datetime.UTC)
        given: dict[str, Any] = {"name": self.name, "source_key": self.key, "inputs": inputs}
        try:
            given["outputs"] = self._execute(context, **inputs)
        except Exception as error:
            if raise_error:
                raise
            given["outputs"] = {}
            given["exception"] = (type(error).__qualname__, error.args)
            given["traceback"] = tracebacks.format_exc()
        given["stderr"], given["stdout"] = _captured(context.stderr), _captured(context.stdout)
        given["start_time"], given["end_time"] = start, datetime.datetime.now(datetime.UTC)
        return ProtocolUnitFailure(**given) if "exception" in given else ProtocolUnitResult(**given)


class _Labels:
    """Where a DAG came from, and an order of its units that survives a round trip."""

    _transformation_key: GufeKey | None
    _extends_key: GufeKey | None

    def _set_labels(self, transformation_key: str | None, extends_key: str | None) -> None:
        self._transformation_key = None if transformation_key is None else GufeKey(transformation_key)
        self._extends_key = None if extends_key is None else GufeKey(extends_key)

    @staticmethod
    def _iterate_dag_order(graph: nx.DiGraph) -> Iterator[Any]:
        # 0.4's order follows the order of insertion, which differs after decoding, and the key with it
        ordered: list[Any] = list(nx.lexicographical_topological_sort(graph, key=lambda node: node.key))
        return iter(ordered[::-1])

    @property
    def transformation_key(self) -> GufeKey | None:
        return self._transformation_key

    @property
    def extends_key(self) -> GufeKey | None:
        return self._extends_key


class ProtocolDAG(_Labels, gufe.ProtocolDAG):  # type: ignore[misc]
    """Units of one calculation, with the keys of their Transformation and of the result they extend."""

    def __init__(
        self,
        *,
        protocol_units: list[ProtocolUnit],
        transformation_key: str | None,
        extends_key: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(protocol_units=protocol_units, name=name)
        self._set_labels(transformation_key, extends_key)
        if missing := set(self.graph.nodes) - set(protocol_units):
            raise ValueError(f"units that others depend on are not in the ProtocolDAG: {sorted(missing)}")

    def _to_dict(self) -> dict[str, Any]:
        labels = {"transformation_key": self.transformation_key, "extends_key": self.extends_key}
        return {**super()._to_dict(), **labels}


class MissingUnitResultError(Exception):
    """The ProtocolDAGResult does not know this unit or unit result."""


class ProtocolUnitFailureError(Exception):
    """The unit has no successful result."""


class ProtocolDAGResult(_Labels, gufe.ProtocolDAGResult):  # type: ignore[misc]
    """Every unit result of one calculation: failed tries are kept beside the success."""

    def __init__(
        self,
        *,
        protocol_units: list[ProtocolUnit],
        protocol_unit_results: list[ProtocolUnitResult],
        transformation_key: str | None,
        extends_key: str | None = None,
        name: str | None = None,
    ) -> None:
        # not super().__init__: 0.4 maps each unit to one result, the last given
        self._name = name
        self._protocol_units = protocol_units
        self._protocol_unit_results = protocol_unit_results
        self._set_labels(transformation_key, extends_key)
        self._graph = self._build_graph(protocol_units)
        self._result_graph = self._build_graph(protocol_unit_results)
        units = {unit.key: unit for unit in protocol_units}
        tries: dict[str, list[ProtocolUnitResult]] = defaultdict(list)
        for result in protocol_unit_results:
            tries[result.source_key].append(result)
        self._unit_result_mapping = {unit: tries[unit.key] for unit in protocol_units}
        self._result_unit_mapping = {result: units[result.source_key] for result in protocol_unit_results}

    def _to_dict(self) -> dict[str, Any]:
        labels = {"transformation_key": self.transformation_key, "extends_key": self.extends_key}
        return {**super()._to_dict(), **labels}

    def ok(self) -> bool:
        """True if every unit has a successful result."""
        return all(any(result.ok() for result in results) for results in self._unit_result_mapping.values())

    @property
    def protocol_unit_successes(self) -> list[ProtocolUnitResult]:
        return [result for result in self.protocol_unit_results if result.ok()]

    @property
    def terminal_protocol_unit_results(self) -> list[ProtocolUnitResult]:
        """Results that no other result depends on."""
        return [result for result in self._protocol_unit_results if not self._result_graph.in_degree(result)]

    def unit_to_all_results(self, protocol_unit: ProtocolUnit) -> list[ProtocolUnitResult]:
        try:
            return self._unit_result_mapping[protocol_unit]
        except KeyError:
            raise MissingUnitResultError(f"not a unit of this result: {protocol_unit}") from None

    def unit_to_result(self, protocol_unit: ProtocolUnit) -> ProtocolUnitResult:
        """The successful result of a unit."""
        for result in self.unit_to_all_results(protocol_unit):
            if result.ok():
                return result
        raise ProtocolUnitFailureError(f"no successful result of {protocol_unit}")

    def result_to_unit(self, protocol_unit_result: ProtocolUnitResult) -> ProtocolUnit:
        try:
            return self._result_unit_mapping[protocol_unit_result]
        except KeyError:
            raise MissingUnitResultError(f"not a unit result of this result: {protocol_unit_result}") from None


class ProtocolResult(gufe.ProtocolResult):  # type: ignore[misc]
    """What a Protocol gathered from several ProtocolDAGResults."""

    def __init__(self, n_protocol_dag_results: int = 0, **data: Any) -> None:
        if n_protocol_dag_results < 0:
            raise ValueError("`n_protocol_dag_results` must not be negative")
        super().__init__(**data)
        self.n_protocol_dag_results = n_protocol_dag_results

    def _to_dict(self) -> dict[str, Any]:
        return {"n_protocol_dag_results": self.n_protocol_dag_results, "data": self.data}

    @classmethod
    def _from_dict(cls, dct: dict[str, Any]) -> Self:
        return cls(n_protocol_dag_results=dct["n_protocol_dag_results"], **dct["data"])

    @abstractmethod
    def get_estimate(self) -> Quantity: ...

    @abstractmethod
    def get_uncertainty(self) -> Quantity: ...

    def get_rate_of_convergence(self) -> Any:
        """Abstract in 0.4, gone in 1.x: nothing calls it."""
        raise NotImplementedError


class Protocol(gufe.Protocol):  # type: ignore[misc]
    """A method that estimates a free energy difference, with settings of class ``_settings_cls``."""

    _settings_cls: ClassVar[type[SettingsBaseModel]]
    result_cls: ClassVar[type[ProtocolResult]]

    def __init__(self, settings: SettingsBaseModel) -> None:
        name = type(self).__qualname__
        if not hasattr(type(self), "_settings_cls"):
            raise NotImplementedError(f"class `{name}` must implement the `_settings_cls` attribute")
        if not isinstance(settings, self._settings_cls):
            raise ValueError(f"`{name}` expected a `{self._settings_cls.__qualname__}` instance")
        super().__init__(settings.frozen_copy())

    @abstractmethod
    def _create(
        self, stateA: Any, stateB: Any, mapping: Any, extends: ProtocolDAGResult | None = None
    ) -> list[ProtocolUnit]: ...

    @abstractmethod
    def _gather(self, protocol_dag_results: Iterable[ProtocolDAGResult]) -> dict[str, Any]: ...

    def create(
        self,
        *,
        stateA: Any,
        stateB: Any,
        mapping: Any,
        extends: ProtocolDAGResult | None = None,
        name: str | None = None,
        transformation_key: str | None = None,
    ) -> ProtocolDAG:
        """A ProtocolDAG from what ``_create`` returns."""
        return ProtocolDAG(
            name=name,
            protocol_units=self._create(stateA=stateA, stateB=stateB, mapping=mapping, extends=extends),
            transformation_key=transformation_key,
            extends_key=None if extends is None else extends.key,
        )

    def gather(self, protocol_dag_results: Iterable[ProtocolDAGResult]) -> ProtocolResult:
        """A ``result_cls`` of what ``_gather`` returns."""
        if not isinstance(protocol_dag_results, Sized):
            raise ValueError("`protocol_dag_results` must implement `__len__`")
        count = len(protocol_dag_results)
        return self.result_cls(n_protocol_dag_results=count, **self._gather(protocol_dag_results))
