"""From ProtocolDAGResults to one estimate.

For Protocols whose analysis unit gives ``estimate``, ``uncertainty`` and ``lineage``.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from alchemiscale_prefect.chemistry.base import ProtocolDAGResult, ProtocolUnit, ProtocolUnitResult, unit
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.protocols.repeats import Repeat, average, independent


def successes(
    result: ProtocolDAGResult, unit_cls: type[ProtocolUnit]
) -> Iterator[tuple[ProtocolUnit, ProtocolUnitResult]]:
    """The units of one class that succeeded, each with its result."""
    for unit_result in result.protocol_unit_successes:
        source = result.result_to_unit(unit_result)
        if isinstance(source, unit_cls):
            yield source, unit_result


def analysis_outputs(result: ProtocolDAGResult, analysis_cls: type[ProtocolUnit]) -> dict[str, Any] | None:
    """Outputs of the analysis unit; None if it has not succeeded."""
    for _, unit_result in successes(result, analysis_cls):
        return dict(unit_result.outputs)
    return None


def lineage_of(result: ProtocolDAGResult, analysis_cls: type[ProtocolUnit]) -> list[int]:
    """The lineage of a finished run.

    Raises
    ------
    InvalidInput
        If the run has not come to its end, or is of another Protocol.
    """
    outputs = analysis_outputs(result, analysis_cls)
    if outputs is None:
        raise InvalidInput(
            f"cannot extend {result.key}: it holds no finished {analysis_cls.__qualname__}. "
            "Extend a complete result of the same Protocol",
            field="extends",
        )
    return [int(seed) for seed in outputs["lineage"]]


def finished_analyses(results: Iterable[ProtocolDAGResult], analysis_cls: type[ProtocolUnit]) -> list[dict[str, Any]]:
    """Outputs of the analysis units of those results that have come to their end."""
    return [outputs for result in results if (outputs := analysis_outputs(result, analysis_cls)) is not None]


def combined(
    finished: Iterable[dict[str, Any]], value: str, error: str, unit_name: str
) -> tuple[float, float, list[Repeat]]:
    """Mean over independent repeats, its standard error, and the repeats.

    Parameters
    ----------
    finished
        Outputs of analysis units; those that share samples count once.
    value, error
        Names of the outputs to average.
    unit_name
        Unit of the numbers returned.

    Raises
    ------
    InvalidInput
        If ``finished`` is empty.
    """
    repeats = independent(
        Repeat(
            estimate=float(outputs[value].m_as(unit_name)),
            uncertainty=float(outputs[error].m_as(unit_name)),
            lineage=tuple(int(seed) for seed in outputs["lineage"]),
        )
        for outputs in finished
    )
    return (*average(repeats), repeats)


def gathered(finished: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The ``data`` of a ProtocolResult.

    Parameters
    ----------
    finished
        Outputs of analysis units.

    Returns
    -------
    dict
        ``estimate`` and ``uncertainty`` (kJ/mol) of the mean, and ``repeats``: the same of each independent repeat.

    Raises
    ------
    InvalidInput
        If ``finished`` is empty.
    """
    estimate, uncertainty, repeats = combined(finished, "estimate", "uncertainty", "kilojoule_per_mole")
    return {
        "estimate": estimate * unit.kilojoule_per_mole,
        "uncertainty": uncertainty * unit.kilojoule_per_mole,
        "repeats": [
            {
                "estimate": repeat.estimate * unit.kilojoule_per_mole,
                "uncertainty": repeat.uncertainty * unit.kilojoule_per_mole,
                "lineage": list(repeat.lineage),
            }
            for repeat in repeats
        ],
    }
