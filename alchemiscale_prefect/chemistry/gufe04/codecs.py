"""JSON for gufe 0.4 of what a Protocol holds and returns, in gufe 1.x's layout, and keys computed over it."""

import datetime
import functools
import json
from typing import Any
from uuid import UUID

import numpy as np
from gufe import tokenization
from gufe.custom_json import JSONCodec
from gufe.tokenization import JSON_HANDLER
from openff.units import DEFAULT_UNIT_REGISTRY

from alchemiscale_prefect.chemistry.gufe04.settings import SettingsBaseModel

_Quantity = DEFAULT_UNIT_REGISTRY.Quantity
_Unit = DEFAULT_UNIT_REGISTRY.Unit
_REGISTRY_NAME = "openff_units"


def _is_custom(document: dict[str, Any], *fields: str) -> bool:
    return ":is_custom:" in document and all(field in document for field in fields)


def _pint_document(**content: Any) -> dict[str, Any]:
    return {":is_custom:": True, "pint_unit_registry": _REGISTRY_NAME, **content}


def _is_pint_document(document: dict[str, Any], *fields: str) -> bool:
    return _is_custom(document, *fields) and document.get("pint_unit_registry") == _REGISTRY_NAME


@functools.cache
def _settings_class(module: str, qualname: str) -> type[SettingsBaseModel] | None:
    found = tokenization.import_qualname(module, qualname)
    return found if isinstance(found, type) and issubclass(found, SettingsBaseModel) else None


def _settings_from(document: dict[str, Any]) -> SettingsBaseModel:
    fields = {name: value for name, value in document.items() if name not in ("__class__", "__module__", ":is_custom:")}
    settings_class = _settings_class(document["__module__"], document["__class__"])
    if settings_class is None:
        raise TypeError(f"{document['__module__']}.{document['__class__']} is no settings class")
    return settings_class(**fields)


CODECS = (
    JSONCodec(
        cls=datetime.datetime,
        to_dict=lambda moment: {"isotime": moment.isoformat()},
        from_dict=lambda document: datetime.datetime.fromisoformat(document["isotime"]),
    ),
    JSONCodec(
        cls=UUID,
        to_dict=lambda uuid: {"uuid": str(uuid)},
        from_dict=lambda document: UUID(document["uuid"]),
    ),
    JSONCodec(
        cls=np.generic,
        to_dict=lambda scalar: {"dtype": str(scalar.dtype), "bytes": scalar.tobytes()},
        from_dict=lambda document: np.frombuffer(document["bytes"], dtype=np.dtype(document["dtype"]))[0],
    ),
    JSONCodec(
        cls=None,
        to_dict=lambda quantity: _pint_document(magnitude=quantity.m, unit=str(quantity.u)),
        from_dict=lambda document: _Quantity(document["magnitude"], document["unit"]),
        is_my_obj=lambda value: isinstance(value, _Quantity),
        is_my_dict=lambda document: _is_pint_document(document, "magnitude", "unit"),
    ),
    JSONCodec(
        cls=None,
        to_dict=lambda unit: _pint_document(unit_name=str(unit)),
        from_dict=lambda document: _Unit(document["unit_name"]),
        is_my_obj=lambda value: isinstance(value, _Unit),
        is_my_dict=lambda document: _is_pint_document(document, "unit_name"),
    ),
    # the last, because it looks up the class that a document names
    JSONCodec(
        cls=SettingsBaseModel,
        to_dict=lambda settings: {
            "__class__": type(settings).__qualname__,
            "__module__": type(settings).__module__,
            **dict(settings),
        },
        from_dict=_settings_from,
        is_my_dict=lambda document: (
            _is_custom(document, "__class__", "__module__")
            and _settings_class(document["__module__"], document["__class__"]) is not None
        ),
    ),
)
"""Codecs that gufe 0.4's own paths, arrays and bytes lack beside them."""

_UNKNOWN_TO_04 = (SettingsBaseModel, _Quantity, _Unit, UUID, np.ndarray, np.generic, datetime.datetime)

_normalize_of_04 = tokenization.normalize


def normalize(value: Any) -> Any:
    """``gufe.tokenization.normalize`` for values that 0.4 refuses, or writes as the numpy version at hand prints them.

    Such a value is taken in the form in which it is stored; so a key is the same before and after a round trip.
    """
    if isinstance(value, _UNKNOWN_TO_04):
        value = json.loads(JSON_HANDLER.serializer(value))
    return _normalize_of_04(value)
