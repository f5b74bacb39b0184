"""The client's own identity, and what exists."""

import warnings
from typing import TYPE_CHECKING, Any

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_scope
from alchemiscale_prefect.wire import paths

if TYPE_CHECKING:
    from alchemiscale_prefect.chemistry.base import GufeTokenizable


class Scopes(Area):
    """Scopes and keys."""

    def get_info(self) -> dict[str, Any]:
        """What the API says about itself.

        Returns
        -------
        dict
        """
        info: dict[str, Any] = self._get(paths.INFO)
        return info

    def get_scopes(self) -> list[Scope]:
        """Scopes that this identity has access to.

        Returns
        -------
        list of Scope
            Sorted.
        """
        path = paths.fill(paths.IDENTITY_SCOPES, identity=self._transport.identifier)
        return sorted(Scope.from_str(scope) for scope in self._get(path))

    def list_scopes(self) -> list[Scope]:
        """Scopes that this identity has access to; another name of `get_scopes`.

        Returns
        -------
        list of Scope
            Sorted.
        """
        return self.get_scopes()

    def get_scoped_key(self, obj: "GufeTokenizable", scope: Scope) -> ScopedKey:
        """The ScopedKey of a gufe object in a Scope, made up here: the API is not asked whether it has it.

        .. deprecated:: 0.1
            An object's key can differ between versions of gufe. Take the keys that `create_network`,
            `get_network_transformations` and their like give.

        Parameters
        ----------
        obj
            Any gufe object.
        scope
            A specific Scope.

        Returns
        -------
        ScopedKey

        Raises
        ------
        InvalidScopedKey
            Also a ValueError: the scope has wildcards.
        """
        warnings.warn(
            "`get_scoped_key` is deprecated: a key made here may not be the one the API has. Use the keys that "
            "`create_network`, `get_network_transformations` and the like return.",
            DeprecationWarning,
            stacklevel=2,
        )
        return ScopedKey.of(str(obj.key), as_scope(scope))

    def check_exists(self, scoped_key: ScopedKey | str) -> bool:
        """Whether the API has the object that a ScopedKey names.

        Parameters
        ----------
        scoped_key
            Of any kind of object.

        Returns
        -------
        bool

        Raises
        ------
        AlchemiscaleClientError
            The key is none (422), or its scope is not accessible (401).
        """
        # not checked here: the answer to a malformed key is the API's
        return bool(self._get(paths.fill(paths.EXISTS, key=str(scoped_key).strip())))
