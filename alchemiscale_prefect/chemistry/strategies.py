"""Strategies, made from the name of their class and their settings, and described by these."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.chemistry.base import GufeTokenizable
from alchemiscale_prefect.domain.errors import InvalidInput

_CLASS = "class"
_SETTINGS = "settings"
INNER = ("strategy", "strategies")
"""Parameters of Strategies that are made of others."""


def make(name: str, settings: Mapping[str, Any], *, allowed: AllowedModules | None = None) -> GufeTokenizable:
    """Make a Strategy.

    Parameters
    ----------
    name
        Its class, ``package.module:Class`` or ``package.module.Class``.
    settings
        What differs from the class's default settings. Of a class that is made of other Strategies these too, under the
        name of its parameter: each a mapping with ``class`` and, if need be, ``settings``; or a list of such.
    allowed
        Modules that may be imported. Default: :meth:`AllowedModules.from_environment`.

    Raises
    ------
    InvalidInput
        There is no such class here, it is no Strategy, or the settings are none of its.
    ModuleNotAllowed
        The module is not allowed.
    """
    allowed = AllowedModules.from_environment() if allowed is None else allowed
    cls = _class(name, allowed)
    inner = _inner(cls)
    own = {field: value for field, value in settings.items() if field not in inner}
    parts = {field: _parts(cls, field, settings.get(field), allowed) for field in inner}
    try:
        made: GufeTokenizable = cls(_settings(cls, own), **parts)
    except InvalidInput:
        raise
    except Exception as error:  # a Strategy's own checks may raise anything
        raise InvalidInput(f"{name} refuses these settings: {error}", field=_SETTINGS) from error
    return made


def described(strategy: Any) -> dict[str, Any]:
    """The class and the settings that :meth:`make` makes a Strategy of, as JSON has them.

    Returns
    -------
    dict
        ``class`` and ``settings``; among these the Strategies that it is made of, each like this. What JSON has no form
        for, a quantity for example, is text.
    """
    cls = type(strategy)
    settings = _as_json(getattr(strategy, "settings", None) or {})
    parts = {field: getattr(strategy, field) for field in _inner(cls) if hasattr(strategy, field)}
    inner = {
        field: [described(one) for one in part] if isinstance(part, list | tuple) else described(part)
        for field, part in parts.items()
    }
    return {_CLASS: f"{cls.__module__}:{cls.__qualname__}", _SETTINGS: {**settings, **inner}}


def _as_json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, Mapping) or hasattr(type(value), "model_fields"):
        return {str(name): _as_json(item) for name, item in dict(value).items()}
    return str(value)


def _inner(cls: Any) -> list[str]:
    """Parameters of a class that are other Strategies."""
    return [parameter for parameter in inspect.signature(cls.__init__).parameters if parameter in INNER]


def _parts(cls: type, field: str, given: Any, allowed: AllowedModules) -> Any:
    """The Strategies that another one is made of."""
    if isinstance(given, list):
        return [_parts(cls, field, one, allowed) for one in given]
    if (
        not isinstance(given, Mapping)
        or not isinstance(given.get(_CLASS), str)
        or not isinstance(given.get(_SETTINGS, {}), Mapping)
        or given.keys() - {_CLASS, _SETTINGS}
    ):
        example = {_CLASS: "package.module:Class", _SETTINGS: {}}
        raise InvalidInput(
            f"{cls.__qualname__} is made of other Strategies: give `{field}` as {example}, or as a list of such",
            field=_SETTINGS,
        )
    return make(given[_CLASS], given.get(_SETTINGS, {}), allowed=allowed)


def _class(name: str, allowed: AllowedModules) -> Any:
    module, colon, qualname = name.partition(":")
    if not colon:
        module, _, qualname = name.rpartition(".")
    if not module or not qualname.isidentifier():
        raise InvalidInput(f"{name!r} names no class; expected package.module:Class", field=_CLASS)
    allowed.check(module)
    try:
        cls = getattr(importlib.import_module(module), qualname)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"{name} cannot be imported here: {error}", field=_CLASS) from error
    if not (isinstance(cls, type) and issubclass(cls, GufeTokenizable) and callable(getattr(cls, "propose", None))):
        raise InvalidInput(f"{name} is no Strategy: no gufe class with a method `propose`", field=_CLASS)
    return cls


def _settings(cls: Any, given: Mapping[str, Any]) -> Any:
    kind: Any
    if callable(getattr(cls, "default_settings", None)):
        defaults = cls.default_settings()
        kind, values = type(defaults), {**dict(defaults), **given}
    else:
        kind, values = get_type_hints(cls.__init__).get("settings"), dict(given)
    if kind is None:
        raise InvalidInput(f"{cls.__qualname__} does not say what its settings are; submit it as a file", field=_CLASS)
    fields: set[str] = set(getattr(kind, "model_fields", ()))
    if unknown := sorted(set(given) - fields):
        known = ", ".join(sorted(fields)) or "none"
        raise InvalidInput(
            f"{cls.__qualname__} has no settings {', '.join(unknown)}; there are: {known}", field=_SETTINGS
        )
    return kind(**values)
