"""Transformations: find and fetch."""

from typing import TYPE_CHECKING

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.sdk.area import Area
from alchemiscale_prefect.sdk.arguments import as_scope, as_scoped_key
from alchemiscale_prefect.wire import paths

if TYPE_CHECKING:
    from alchemiscale_prefect.chemistry.base import Transformation


class Transformations(Area):
    """Transformations and NonTransformations."""

    def query_transformations(self, name: str | None = None, scope: Scope | None = None) -> list[ScopedKey]:
        """Transformations in the Scopes of this identity, by name and Scope.

        Parameters
        ----------
        name
            The whole name. Default: any name.
        scope
            May have wildcards. Default: every scope.

        Returns
        -------
        list of ScopedKey
            NonTransformations among them.
        """
        return self._get_keys(paths.TRANSFORMATIONS, {"name": name, **as_scope(scope).to_dict()})

    def get_transformation(
        self, transformation: ScopedKey | str, compress: bool = True, visualize: bool = True
    ) -> "Transformation":
        """Fetch a Transformation.

        Parameters
        ----------
        transformation
            Its ScopedKey.
        compress
            Whether the API sends it compressed.
        visualize
            Whether to show that it goes on.

        Returns
        -------
        Transformation or NonTransformation

        Raises
        ------
        AlchemiscaleClientError
            There is none of that key, or its scope is not accessible.
        InvalidKeyedChain
            It cannot be decoded here, or is not what its key says.
        """
        key = as_scoped_key(transformation, "transformation")
        path = paths.fill(paths.TRANSFORMATION, transformation=key)
        found: Transformation = self._object(path, key, compress, visualize)
        return found

    def get_transformation_networks(self, transformation: ScopedKey | str) -> list[ScopedKey]:
        """Networks that a Transformation is part of.

        Parameters
        ----------
        transformation
            Its ScopedKey.

        Returns
        -------
        list of ScopedKey
            In whatever state, in no particular order.
        """
        key = as_scoped_key(transformation, "transformation")
        return self._get_keys(paths.fill(paths.TRANSFORMATION_NETWORKS, transformation=key))

    def get_transformation_chemicalsystems(self, transformation: ScopedKey | str) -> list[ScopedKey]:
        """ChemicalSystems of a Transformation.

        Parameters
        ----------
        transformation
            Its ScopedKey.

        Returns
        -------
        list of ScopedKey
            ``[stateA, stateB]``; ``[system]`` for a NonTransformation.
        """
        key = as_scoped_key(transformation, "transformation")
        return self._get_keys(paths.fill(paths.TRANSFORMATION_CHEMICAL_SYSTEMS, transformation=key))
