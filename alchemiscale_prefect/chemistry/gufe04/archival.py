"""AlchemicalArchive for gufe 0.4, which has none: gufe 1.x's content, rules and JSON."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from gufe import AlchemicalNetwork, NonTransformation, Transformation
from gufe.tokenization import GufeTokenizable

from alchemiscale_prefect.chemistry.gufe04.protocols import ProtocolDAGResult
from alchemiscale_prefect.chemistry.versions import GUFE_VERSION
from alchemiscale_prefect.domain.errors import InvalidInput

Entry = tuple[Transformation | NonTransformation, list[ProtocolDAGResult]]


class AlchemicalArchive(GufeTokenizable):  # type: ignore[misc]
    """An AlchemicalNetwork together with the results of its Transformations, to be kept.

    Parameters
    ----------
    network
        The network.
    transformation_results
        Pairs of a Transformation of the network and its results.
    metadata
        Whatever gufe has JSON for.
    version_gufe
        Who made the archive. Default: the installed gufe.

    Raises
    ------
    InvalidInput
        Also a ValueError: a Transformation is not in the network, or comes twice.
    """

    def __init__(
        self,
        network: AlchemicalNetwork,
        transformation_results: Iterable[Entry],
        metadata: Mapping[str, Any] | None = None,
        version_gufe: str | None = None,
    ) -> None:
        self.network = network
        self.transformation_results = _ordered(network, transformation_results)
        self.metadata = dict(metadata or {})
        self.version_gufe = version_gufe or GUFE_VERSION

    def to_json(self, file: Path | str | IO[str] | None = None) -> str | None:
        """The archive as the JSON of its keyed chain.

        Parameters
        ----------
        file
            Where to write it to. Default: it is returned.
        """
        from alchemiscale_prefect.chemistry import keyed_chains

        text = keyed_chains.to_json(self).decode()
        if file is None:
            return text
        if isinstance(file, Path | str):
            Path(file).write_text(text)
        else:
            file.write(text)
        return None

    @classmethod
    def from_json(cls, file: Path | str | IO[str] | None = None, content: str | None = None) -> "AlchemicalArchive":
        """Read what `to_json` wrote, from a file or from its content.

        Raises
        ------
        InvalidInput
            Also a ValueError: not one of the two is given, or it is something else.
        ModuleNotAllowed
            It names a module that may not be imported here, see ``ALCHEMISCALE_ALLOWED_MODULES``.
        """
        from alchemiscale_prefect.chemistry import keyed_chains

        if (file is None) == (content is None):
            raise InvalidInput("give either `file` or `content`", field="file")
        if content is None:
            content = Path(file).read_text() if isinstance(file, Path | str) else file.read()  # type: ignore[union-attr]
        archive = keyed_chains.from_json(content)
        if not isinstance(archive, cls):
            raise InvalidInput(f"this is a {type(archive).__qualname__}, not an {cls.__qualname__}", field="file")
        return archive

    def _to_dict(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "transformation_results": self.transformation_results,
            "metadata": self.metadata,
            "version_gufe": self.version_gufe,
        }

    @classmethod
    def _from_dict(cls, dct: dict[str, Any]) -> "AlchemicalArchive":
        archive = cls(**dct)
        if _minor(archive.version_gufe) != _minor(GUFE_VERSION):
            warnings.warn(
                f"the archive was made by gufe {archive.version_gufe} and this process has gufe {GUFE_VERSION}; if "
                "something looks wrong, read it with the version that made it",
                UserWarning,
                stacklevel=2,
            )
        return archive

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        return {}


def _ordered(network: AlchemicalNetwork, entries: Iterable[Entry]) -> list[list[Any]]:
    """The entries by key, each a list of the two, as gufe 1.x has them."""
    by_key: dict[str, list[Any]] = {}
    for transformation, results in entries:
        key = str(transformation.key)
        if transformation not in network.edges:
            raise InvalidInput(f"{key} is not in the network {network.key}", field="transformation_results")
        if key in by_key:
            raise InvalidInput(f"{key} comes twice", field="transformation_results")
        by_key[key] = [transformation, sorted(set(results))]
    return [by_key[key] for key in sorted(by_key)]


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.removeprefix("v").split(".")[:2])
