"""What is changed in gufe 0.4's own classes, because users build networks from them directly.

Idempotent. Keys that 0.4 could compute stay as they were; so objects made before the import remain valid.
"""

import inspect
import math
from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache
from hashlib import md5
from typing import Any

import gufe
import numpy as np
from gufe import tokenization
from gufe.tokenization import JSON_HANDLER, GufeTokenizable

from alchemiscale_prefect.chemistry.gufe04 import codecs
from alchemiscale_prefect.chemistry.gufe04.protocols import Protocol, ProtocolDAG, ProtocolDAGResult
from alchemiscale_prefect.domain.errors import InvalidInput

_ABSENT_BOX_VECTORS = [math.nan] * 9
_MARK = "_alchemiscale_prefect_applied"


def apply() -> None:
    """Make the changes, once per process."""
    if hasattr(tokenization, _MARK):
        return
    tokenization.normalize = codecs.normalize
    for codec in codecs.CODECS:
        JSON_HANDLER.add_codec(codec)

    GufeTokenizable._defaults = _defaults
    GufeTokenizable.__deepcopy__ = _itself
    for cls in (
        GufeTokenizable,
        gufe.AlchemicalNetwork,
        gufe.ChemicalSystem,
        gufe.NonTransformation,
        gufe.Protocol,
        gufe.Transformation,
    ):
        # 0.4 compares whole documents, and leaves AlchemicalNetwork without a hash
        cls.__eq__ = _equal
        cls.__hash__ = _hash

    gufe.ChemicalSystem._to_dict = _chemical_system_to_dict
    gufe.ChemicalSystem._from_dict = _chemical_system_from_dict
    gufe.ChemicalSystem._gufe_tokenize = lambda self: codecs.normalize(
        _with_box_vectors(self.to_keyed_dict(include_defaults=False))
    )
    gufe.Transformation.create = _create
    gufe.NonTransformation.create = _create
    setattr(tokenization, _MARK, True)


def content_token(obj: GufeTokenizable, document: dict[str, Any]) -> str:
    """The token that the class of ``obj`` gives to a stored keyed dict, whatever the class would write today."""
    defaults = obj.defaults
    content = {
        name: value for name, value in document.items() if not (name in defaults and bool(defaults[name] == value))
    }
    if isinstance(obj, gufe.ChemicalSystem):
        content = _with_box_vectors(content)
    return md5(str(codecs.normalize(content)).encode(), usedforsecurity=False).hexdigest()


def _equal(self: GufeTokenizable, other: object) -> bool:
    return isinstance(other, type(self)) and bool(self.key == other.key)


def _itself(self: GufeTokenizable, _memo: dict[int, Any]) -> GufeTokenizable:
    return self


def _hash(self: GufeTokenizable) -> int:
    return hash(self.key)


@classmethod  # type: ignore[misc]
@abstractmethod
def _defaults(cls: type[GufeTokenizable]) -> dict[str, Any]:
    """``_defaults`` of 0.4, for classes written to 1.x as well, where it is a classmethod."""
    return dict(_default_arguments(cls.__init__))


@lru_cache
def _default_arguments(init: Callable[..., None]) -> dict[str, Any]:
    # asked for each object that is read or written, and slow
    parameters = inspect.signature(init).parameters.values()
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.default is not inspect.Parameter.empty
    }


def _chemical_system_to_dict(self: gufe.ChemicalSystem) -> dict[str, Any]:
    vectors = np.asarray(self.box_vectors, dtype=float)
    return {
        "components": dict(sorted(self.components.items())),
        "box_vectors": None if np.isnan(vectors).all() else vectors.tolist(),
        "name": self.name,
    }


@classmethod  # type: ignore[misc]
def _chemical_system_from_dict(cls: type[gufe.ChemicalSystem], dct: dict[str, Any]) -> gufe.ChemicalSystem:
    vectors = dct["box_vectors"]
    return cls(
        components=dict(dct["components"]),
        box_vectors=None if vectors is None else np.array(vectors, dtype=float),
        name=dct["name"],
    )


def _with_box_vectors(document: dict[str, Any]) -> dict[str, Any]:
    """A ChemicalSystem's document as 0.4 computed its key from it."""
    return {**document, "box_vectors": document.get("box_vectors") or _ABSENT_BOX_VECTORS}


def _create(
    self: gufe.Transformation, *, extends: ProtocolDAGResult | None = None, name: str | None = None
) -> ProtocolDAG:
    """A ProtocolDAG that executes this Transformation's Protocol."""
    if not isinstance(self.protocol, Protocol):
        raise InvalidInput(
            f"{type(self.protocol).__qualname__} is written to gufe {gufe.__version__}; a Protocol must subclass "
            "alchemiscale_prefect.chemistry.base.Protocol to run here",
            field="protocol",
        )
    return self.protocol.create(
        stateA=self.stateA,
        stateB=self.stateB,
        mapping=None if isinstance(self, gufe.NonTransformation) else self.mapping,
        extends=extends,
        name=name,
        transformation_key=self.key,
    )
