"""Strategies, made from the name of their class and their settings."""

import importlib
from collections.abc import Mapping
from typing import Any, get_type_hints

from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.chemistry.base import GufeTokenizable
from alchemiscale_prefect.domain.errors import InvalidInput

_CLASS = "class"


def make(name: str, settings: Mapping[str, Any], *, allowed: AllowedModules | None = None) -> GufeTokenizable:
    """Make a Strategy.

    Parameters
    ----------
    name
        Its class, ``package.module:Class`` or ``package.module.Class``.
    settings
        What differs from the class's default settings.
    allowed
        Modules that may be imported. Default: :meth:`AllowedModules.from_environment`.

    Raises
    ------
    InvalidInput
        There is no such class here, it is no Strategy, or the settings are none of its.
    ModuleNotAllowed
        The module is not allowed.
    """
    cls = _class(name, AllowedModules.from_environment() if allowed is None else allowed)
    try:
        made: GufeTokenizable = cls(_settings(cls, settings))
    except InvalidInput:
        raise
    except Exception as error:  # a Strategy's own checks may raise anything
        raise InvalidInput(f"{name} refuses these settings: {error}", field="settings") from error
    return made


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
            f"{cls.__qualname__} has no settings {', '.join(unknown)}; there are: {known}", field="settings"
        )
    return kind(**values)
