"""Settings for gufe 0.4, which has none: pydantic models with Quantity fields, as in gufe >= 1.12."""

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeAlias

from gufe.tokenization import JSON_HANDLER
from openff.units import Quantity
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    InstanceOf,
    PlainSerializer,
    PlainValidator,
    PositiveFloat,
    PrivateAttr,
    WithJsonSchema,
)


def _as_quantity(value: Any) -> Quantity:
    if isinstance(value, Quantity):
        return value
    if isinstance(value, str):
        return Quantity(value)
    if isinstance(value, Mapping) and {"val", "unit"} <= value.keys():
        return Quantity(value["val"], value["unit"])
    raise ValueError(f"a Quantity is needed, such as 300 * unit.kelvin or '300 kelvin'; got {value!r}")


GufeQuantity: TypeAlias = Annotated[
    Quantity,
    PlainValidator(_as_quantity),
    PlainSerializer(lambda quantity: {"val": quantity.m, "unit": str(quantity.u)}),
    WithJsonSchema({"type": "number"}),
]
"""A settings field that holds a Quantity of any unit."""


def specify_quantity_units(unit_name: str) -> AfterValidator:
    """Annotation that takes a Quantity of the dimension of ``unit_name`` and converts it to that unit."""

    def to_unit(quantity: Quantity) -> Quantity:
        if not quantity.is_compatible_with(unit_name):
            raise ValueError(f"{quantity} cannot be converted to {unit_name}")
        return quantity.to(unit_name)

    return AfterValidator(to_unit)


AngstromQuantity: TypeAlias = Annotated[GufeQuantity, specify_quantity_units("angstrom")]
BarQuantity: TypeAlias = Annotated[GufeQuantity, specify_quantity_units("bar")]
KCalPerMolQuantity: TypeAlias = Annotated[GufeQuantity, specify_quantity_units("kilocalorie_per_mole")]
KelvinQuantity: TypeAlias = Annotated[GufeQuantity, specify_quantity_units("kelvin")]
NanometerQuantity: TypeAlias = Annotated[GufeQuantity, specify_quantity_units("nanometer")]
NanosecondQuantity: TypeAlias = Annotated[GufeQuantity, specify_quantity_units("nanosecond")]
PicosecondQuantity: TypeAlias = Annotated[GufeQuantity, specify_quantity_units("picosecond")]


class SettingsBaseModel(BaseModel):
    """Base of every settings class: mutable until a Protocol takes it, then frozen."""

    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, validate_default=True, validate_assignment=True
    )
    _is_frozen: bool = PrivateAttr(default=False)

    @property
    def is_frozen(self) -> bool:
        return self._is_frozen

    def frozen_copy(self) -> Self:
        """A deep copy that refuses assignment, nested settings included."""
        return self._copy(frozen=True)

    def unfrozen_copy(self) -> Self:
        """A deep copy that can be modified."""
        return self._copy(frozen=False)

    def _copy(self, *, frozen: bool) -> Self:
        copied = self.model_copy(deep=True)
        todo: list[SettingsBaseModel] = [copied]
        while todo:
            model = todo.pop()
            model._is_frozen = frozen
            todo += [value for _, value in model if isinstance(value, SettingsBaseModel)]
        return copied

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "_is_frozen" and self._is_frozen:
            raise AttributeError(
                f"cannot set {name!r}: settings are frozen once a Protocol holds them; change them before, "
                "or change an unfrozen_copy() and make a new Protocol"
            )
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        # through JSON: it holds the class and every field, and an array Quantity has no single truth value
        return isinstance(other, SettingsBaseModel) and bool(
            JSON_HANDLER.serializer(self) == JSON_HANDLER.serializer(other)
        )


class ThermoSettings(SettingsBaseModel):
    """Thermodynamic state."""

    temperature: KelvinQuantity | None = None
    pressure: BarQuantity | None = None
    ph: PositiveFloat | None = None


class BaseForceFieldSettings(SettingsBaseModel):
    """Base of force field settings."""


class Settings(SettingsBaseModel):
    """The settings that gufe 1.x asks of a Protocol at least. Subclass SettingsBaseModel where they do not fit."""

    forcefield_settings: InstanceOf[BaseForceFieldSettings]
    thermo_settings: InstanceOf[ThermoSettings]
