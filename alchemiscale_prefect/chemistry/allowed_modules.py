"""Which modules a document may make this process import.

gufe imports whatever module a document names, so every name is held against this list first.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from alchemiscale_prefect.domain.errors import InvalidInput, ModuleNotAllowed

ENVIRONMENT_VARIABLE = "ALCHEMISCALE_ALLOWED_MODULES"

DEFAULT_PREFIXES = (
    "gufe",
    "openfe",
    "feflow",
    "stratocaster",
    "pontibus",
    "openff",
    # of our own package only what documents name: importing a command line or a flow by name is nobody's business
    "alchemiscale_prefect.chemistry",
    "alchemiscale_prefect.protocols",
    "alchemiscale_prefect.strategies",
)

_DOTTED_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class AllowedModules:
    """Module prefixes: ``"gufe"`` allows ``gufe`` and ``gufe.network``, never ``gufe_evil``.

    Parameters
    ----------
    prefixes
        Dotted module names.

    Raises
    ------
    InvalidInput
        A prefix is not a dotted module name.
    """

    prefixes: tuple[str, ...] = DEFAULT_PREFIXES

    def __post_init__(self) -> None:
        for prefix in self.prefixes:
            if not _DOTTED_NAME.fullmatch(prefix):
                raise InvalidInput(f"{prefix!r} is not a module name; expected one such as 'gufe'", field="prefixes")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The default modules and those in ``ALCHEMISCALE_ALLOWED_MODULES``, separated by commas.

        Parameters
        ----------
        environment
            Read instead of ``os.environ``.

        Raises
        ------
        InvalidInput
            The variable holds something else than module names.
        """
        text = (os.environ if environment is None else environment).get(ENVIRONMENT_VARIABLE, "")
        added = tuple(name.strip() for name in text.split(",") if name.strip())
        try:
            return cls(prefixes=tuple(dict.fromkeys(DEFAULT_PREFIXES + added)))
        except InvalidInput as error:
            raise InvalidInput(f"{ENVIRONMENT_VARIABLE}: {error.message}", field=ENVIRONMENT_VARIABLE) from error

    def allows(self, module: str) -> bool:
        """Whether ``module`` is one of the prefixes or lies inside one.

        A ``__main__`` inside a package is refused: importing it runs the package's command. The module ``__main__``
        itself, this process's script, is allowed where a prefix names it.
        """
        if not _DOTTED_NAME.fullmatch(module) or module.endswith(".__main__"):
            return False
        return any(module == prefix or module.startswith(f"{prefix}.") for prefix in self.prefixes)

    def check(self, module: str) -> None:
        """Refuse a module that is not allowed.

        Raises
        ------
        ModuleNotAllowed
            The message names the module and the setting that would allow it.
        """
        if not self.allows(module):
            raise ModuleNotAllowed(
                f"the document names the module {module!r}, which may not be imported here; "
                f"if you trust it, add its package to {ENVIRONMENT_VARIABLE}",
                field="__module__",
            )
