"""ChemicalSystems: find and fetch."""

from typing import TYPE_CHECKING

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_scope, as_scoped_key
from alchemiscale_prefect.wire import paths

if TYPE_CHECKING:
    from alchemiscale_prefect.chemistry.base import ChemicalSystem


class ChemicalSystems(Area):
    """ChemicalSystems."""

    def query_chemicalsystems(self, name: str | None = None, scope: Scope | None = None) -> list[ScopedKey]:
        """ChemicalSystems in the Scopes of this identity, by name and Scope.

        Parameters
        ----------
        name
            The whole name. Default: any name.
        scope
            May have wildcards. Default: every scope.

        Returns
        -------
        list of ScopedKey
        """
        return self._get_keys(paths.CHEMICAL_SYSTEMS, {"name": name, **as_scope(scope).to_dict()})

    def get_chemicalsystem(
        self, chemicalsystem: ScopedKey | str, compress: bool = True, visualize: bool = True
    ) -> "ChemicalSystem":
        """Fetch a ChemicalSystem.

        Parameters
        ----------
        chemicalsystem
            Its ScopedKey.
        compress
            Whether the API sends it compressed.
        visualize
            Whether to show that it goes on.

        Returns
        -------
        ChemicalSystem

        Raises
        ------
        AlchemiscaleClientError
            There is none of that key, or its scope is not accessible.
        InvalidKeyedChain
            It cannot be decoded here, or is not what its key says.
        """
        key = as_scoped_key(chemicalsystem, "chemicalsystem")
        path = paths.fill(paths.CHEMICAL_SYSTEM, chemical_system=key)
        found: ChemicalSystem = self._object(path, key, compress, visualize)
        return found

    def get_chemicalsystem_networks(self, chemicalsystem: ScopedKey | str) -> list[ScopedKey]:
        """Networks that a ChemicalSystem is part of.

        Parameters
        ----------
        chemicalsystem
            Its ScopedKey.

        Returns
        -------
        list of ScopedKey
            In whatever state, in no particular order.
        """
        key = as_scoped_key(chemicalsystem, "chemicalsystem")
        return self._get_keys(paths.fill(paths.CHEMICAL_SYSTEM_NETWORKS, chemical_system=key))

    def get_chemicalsystem_transformations(self, chemicalsystem: ScopedKey | str) -> list[ScopedKey]:
        """Transformations from or to a ChemicalSystem, and NonTransformations of it.

        Parameters
        ----------
        chemicalsystem
            Its ScopedKey.

        Returns
        -------
        list of ScopedKey
            In no particular order.
        """
        key = as_scoped_key(chemicalsystem, "chemicalsystem")
        return self._get_keys(paths.fill(paths.CHEMICAL_SYSTEM_TRANSFORMATIONS, chemical_system=key))
