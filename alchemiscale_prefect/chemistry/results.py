"""Free energies from the results of a Transformation."""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from alchemiscale_prefect.chemistry.base import (
    NonTransformation,
    ProtocolDAGResult,
    ProtocolResult,
    Quantity,
    Transformation,
)
from alchemiscale_prefect.chemistry.protocol_dags import is_ok
from alchemiscale_prefect.domain.result_summaries import ENERGY_UNITS as ENERGY_UNITS

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Estimate:
    """What a Protocol says of its free energy difference.

    Attributes
    ----------
    value
        Finite, in `units`.
    uncertainty
        Finite, in `units`; ``None`` where the Protocol gives none.
    units
        ``kilojoule_per_mole`` for every energy per mole; else the Protocol's own unit.
    """

    value: float
    uncertainty: float | None
    units: str


def gather(
    transformation: Transformation | NonTransformation, pdrs: Iterable[ProtocolDAGResult]
) -> ProtocolResult | None:
    """The ProtocolResult of the ok results among `pdrs`; ``None`` if there is none.

    Raises
    ------
    Exception
        Whatever the Protocol raises for these results.
    """
    successes = [pdr for pdr in pdrs if is_ok(pdr)]
    if not successes:
        return None
    result: ProtocolResult = transformation.gather(successes)
    return result


def estimate(protocol_result: ProtocolResult) -> Estimate | None:
    """The estimate of a ProtocolResult, energies per mole in kJ/mol.

    Parameters
    ----------
    protocol_result
        From :func:`gather`.

    Returns
    -------
    Estimate or None
        ``None``, with a warning in the log, if the Protocol raises or gives something else than one finite Quantity.
        An uncertainty of that kind is ``None`` alone.
    """
    value = _quantity(protocol_result, "get_estimate")
    if value is None:
        return None
    units = ENERGY_UNITS if value.is_compatible_with(ENERGY_UNITS) else str(value.units)
    magnitude = _magnitude(protocol_result, "get_estimate", value, units)
    if magnitude is None:
        return None
    uncertainty = _quantity(protocol_result, "get_uncertainty")
    return Estimate(
        value=magnitude,
        uncertainty=None if uncertainty is None else _magnitude(protocol_result, "get_uncertainty", uncertainty, units),
        units=units,
    )


def _quantity(protocol_result: ProtocolResult, method: str) -> Quantity | None:
    try:
        value: Any = getattr(protocol_result, method)()
    except Exception:  # noqa: BLE001 - a Protocol may raise anything, and one of them must not stop the others
        _log.warning("%s.%s raised", type(protocol_result).__qualname__, method, exc_info=True)
        return None
    if isinstance(value, Quantity):
        return value
    if value is not None or method == "get_estimate":
        _log.warning("%s.%s gave no Quantity: %r", type(protocol_result).__qualname__, method, value)
    return None


def _magnitude(protocol_result: ProtocolResult, method: str, value: Quantity, units: str) -> float | None:
    try:
        magnitude = float(value.m_as(units))
    except (TypeError, ValueError):
        _log.warning("%s.%s gave no number of %s", type(protocol_result).__qualname__, method, units, exc_info=True)
        return None
    if not math.isfinite(magnitude):
        level = logging.WARNING if method == "get_estimate" else logging.DEBUG
        _log.log(level, "%s.%s gave %s", type(protocol_result).__qualname__, method, magnitude)
        return None
    return magnitude
