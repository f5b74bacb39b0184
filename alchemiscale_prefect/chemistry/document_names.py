"""The classes that a JSON document names, noted while it is parsed and before anything is imported."""

import re
from typing import Any

from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.domain.errors import InvalidKeyedChain

# Values that gufe's JSON codecs write with their class: exactly these classes, not their modules.
_CODEC_CLASSES = frozenset(
    {
        ("builtins", "bytes"),
        ("datetime", "datetime"),
        ("numpy", "ndarray"),
        ("numpy", "generic"),
        ("pathlib", "Path"),
        ("pathlib", "PosixPath"),
        ("pathlib._local", "Path"),
        ("pathlib._local", "PosixPath"),
        ("uuid", "UUID"),
    }
)
_NUMPY_SCALAR = re.compile(r"bool_?|u?int\d+|u?longlong|float\d+|complex\d+|c?longdouble|str_|bytes_|(date|time)\w+64")


class DocumentNames:
    """Collects every ``__module__`` of a document through ``json.loads``' ``object_hook``."""

    def __init__(self) -> None:
        self._of_objects: set[str] = set()
        self._of_values: set[tuple[str, str]] = set()

    def note(self, mapping: dict[str, Any]) -> dict[str, Any]:
        """Note the names in one JSON object and give it back.

        Raises
        ------
        InvalidKeyedChain
            A name is no string.
        """
        if "__module__" in mapping:
            module, class_name = mapping["__module__"], mapping.get("__class__", "")
            if not isinstance(module, str) or not isinstance(class_name, str):
                raise InvalidKeyedChain("`__module__` and `__class__` must be strings", field="__module__")
            if class_name and "__qualname__" not in mapping:
                self._of_values.add((module, class_name))
            else:
                self._of_objects.add(module)
        return mapping

    def check(self, allowed: AllowedModules) -> None:
        """Refuse the document if it names a module that is not allowed.

        Raises
        ------
        ModuleNotAllowed
            Names the first such module in alphabetical order.
        """
        values = {module for module, class_name in self._of_values if not _is_codec_class(module, class_name)}
        for module in sorted(self._of_objects | values):
            allowed.check(module)


def _is_codec_class(module: str, class_name: str) -> bool:
    return (module, class_name) in _CODEC_CLASSES or (
        module == "numpy" and _NUMPY_SCALAR.fullmatch(class_name) is not None
    )
