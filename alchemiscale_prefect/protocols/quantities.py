"""Quantities in settings: above zero, and held in one unit."""

from math import isfinite
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from alchemiscale_prefect.chemistry.base import GufeQuantity, Quantity


def positive_in(unit_name: str) -> AfterValidator:
    """Annotation of a settings field that converts a Quantity to a unit and refuses one that is not above zero.

    One validator for both, because pydantic 2.11 drops all but the last of a GufeQuantity's validators when the field
    is given by ``Field(default=...)``.
    """

    def convert(quantity: Quantity) -> Quantity:
        if not quantity.is_compatible_with(unit_name):
            raise ValueError(f"{quantity} cannot be converted to {unit_name}")
        converted = quantity.to(unit_name)
        if not (isfinite(converted.m) and converted.m > 0):
            raise ValueError(f"must be above zero and finite, not {quantity}")
        return converted

    return AfterValidator(convert)


Temperature: TypeAlias = Annotated[GufeQuantity, positive_in("kelvin")]
Length: TypeAlias = Annotated[GufeQuantity, positive_in("nanometer")]
Time: TypeAlias = Annotated[GufeQuantity, positive_in("picosecond")]
Rate: TypeAlias = Annotated[GufeQuantity, positive_in("1 / picosecond")]
