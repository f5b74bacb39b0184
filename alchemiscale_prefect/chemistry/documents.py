"""gufe objects in files, in either form that gufe writes: a keyed chain, or one nested dictionary."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import zstandard
from gufe.tokenization import JSON_HANDLER, GufeTokenizable

from alchemiscale_prefect.chemistry import keyed_chains
from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.chemistry.document_names import DocumentNames
from alchemiscale_prefect.domain.errors import InvalidInput, InvalidKeyedChain

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def read(path: Path, *, allowed: AllowedModules | None = None) -> GufeTokenizable:
    """Build the gufe object that a file holds.

    Parameters
    ----------
    path
        JSON as ``obj.to_json(path)`` (a keyed chain) or ``obj.dump(file)`` (a dictionary) of gufe writes it, plain or
        compressed by gzip or zstandard.
    allowed
        Modules that the document may name. Default: :meth:`AllowedModules.from_environment`.

    Raises
    ------
    InvalidInput
        The file cannot be read, or holds no gufe object. Also those that `keyed_chains.from_json` raises.
    """
    text = _text(path)
    names = DocumentNames()
    try:
        document = json.loads(text, object_hook=names.note)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is no JSON, or is truncated: {error}", field="file") from error
    if isinstance(document, list):
        return keyed_chains.from_json(text, allowed=allowed)
    if not isinstance(document, dict) or "__qualname__" not in document:
        raise InvalidInput(
            f"{path} holds no gufe object; write one with `obj.to_json(path)`, or `obj.dump(file)`", field="file"
        )
    names.check(AllowedModules.from_environment() if allowed is None else allowed)
    try:
        found = GufeTokenizable.from_dict(json.loads(text, cls=JSON_HANDLER.decoder))
    except Exception as error:  # constructors of any class may raise anything
        raise InvalidKeyedChain(
            f"{path} cannot be built here ({type(error).__qualname__}: {error}); its content is damaged, or another "
            "version of a package wrote it",
            field="file",
        ) from error
    if not isinstance(found, GufeTokenizable):
        raise InvalidInput(f"{path} holds no gufe object", field="file")
    return found


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if data.startswith(_GZIP):
            data = gzip.decompress(data)
        elif data.startswith(_ZSTD):
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        return data.decode()
    except (OSError, EOFError, zlib.error, zstandard.ZstdError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}", field="file") from error


def write(obj: GufeTokenizable, path: Path) -> None:
    """Write an object as JSON of its keyed chain, which `read` and gufe's own ``from_json`` read.

    Compressed by gzip or zstandard if the name ends with ``.gz`` or ``.zst``.
    """
    data: Any = keyed_chains.to_json(obj)
    if path.suffix == ".gz":
        data = gzip.compress(data, compresslevel=5)
    elif path.suffix == ".zst":
        data = zstandard.ZstdCompressor(level=keyed_chains.COMPRESSION_LEVEL).compress(data)
    path.write_bytes(data)
