"""gufe objects as keyed chains: to and from JSON text and its zstandard form.

The format is gufe's and alchemiscale's: JSON of ``[[key, keyed_dict], …]``, dependencies first, the object itself
last, every object once. Reading one is guarded: its structure is checked and every module it names is held against
the allow-list before anything is imported; afterwards every object is held against the key it came under.
"""

import json
import logging
from collections.abc import Iterable
from typing import Any

import zstandard
from gufe import tokenization
from gufe.tokenization import JSON_HANDLER, GufeTokenizable

from alchemiscale_prefect.chemistry.allowed_modules import AllowedModules
from alchemiscale_prefect.chemistry.base import GufeKey
from alchemiscale_prefect.chemistry.document_names import DocumentNames
from alchemiscale_prefect.chemistry.versions import GUFE_LINE, GUFE_VERSION
from alchemiscale_prefect.domain import keyed_chains
from alchemiscale_prefect.domain.errors import GufeVersionConflict, InvalidInput, InvalidKeyedChain

if GUFE_LINE == "0":
    from alchemiscale_prefect.chemistry.gufe04 import content_token as content_token
else:
    from alchemiscale_prefect.chemistry.content_tokens import content_token as content_token

COMPRESSION_LEVEL = 3

_log = logging.getLogger(__name__)
_FIELD = "keyed chain"


def to_json(obj: GufeTokenizable) -> bytes:
    """Write an object and all it depends on as the JSON text of its keyed chain.

    Parameters
    ----------
    obj
        Any gufe object.

    Returns
    -------
    bytes
        UTF-8 JSON text. Takes time linear in the number and size of the objects, each of which is written once.

    Raises
    ------
    InvalidInput
        `obj` is no gufe object, or one of the objects holds something that gufe has no JSON for.
    """
    if not isinstance(obj, GufeTokenizable):
        raise InvalidInput(f"a gufe object is needed, got {type(obj).__qualname__}", field="obj")
    chain = list(_keyed_dicts(obj).items())
    try:
        return json.dumps(chain, cls=JSON_HANDLER.encoder).encode()
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{_unwritable(chain)} cannot be written as JSON: {error}", field="obj") from error


def from_json(
    text: bytes | str | list[Any],
    *,
    expected_key: str | None = None,
    allowed: AllowedModules | None = None,
    gufe_version: str | None = None,
) -> GufeTokenizable:
    """Build the object that a keyed chain holds.

    Parameters
    ----------
    text
        JSON text of a keyed chain, or the list that it decodes to. It is not changed.
    expected_key
        The key under which the object was asked for.
    allowed
        Modules that the document may name. Default: :meth:`AllowedModules.from_environment`.
    gufe_version
        Version of gufe that wrote the chain, where it is recorded. Keys are not stable between versions of gufe;
        so if it is another one than this process has, an object that does not fit its key is logged, not refused.

    Returns
    -------
    GufeTokenizable
        The last object of the chain. If an equal object is alive in this process, it is that one. Its own ``key``
        can differ from the one it came under if its class changed since it was written.

    Raises
    ------
    InvalidKeyedChain
        The text is no keyed chain, is truncated, holds an object that does not fit its key, or one that cannot be
        built here.
    ModuleNotAllowed
        The text names a module outside `allowed`; nothing was imported.
    GufeVersionConflict
        The other major line of gufe wrote the chain; the two lines' objects and keys are not interchangeable.
    """
    objects = objects_from_json(text, expected_key=expected_key, allowed=allowed, gufe_version=gufe_version)
    return next(reversed(objects.values()))


def objects_from_json(
    text: bytes | str | list[Any],
    *,
    expected_key: str | None = None,
    allowed: AllowedModules | None = None,
    gufe_version: str | None = None,
) -> dict[str, GufeTokenizable]:
    """Build every object of a keyed chain: by the key that it came under, the last one is what the chain is of.

    Parameters and errors are those of :func:`from_json`.
    """
    names = DocumentNames()
    text = _as_text(text)
    chain = keyed_chains.parse(_loads(text, object_hook=names.note), field=_FIELD)
    if expected_key is not None and chain.root.key != expected_key:
        raise InvalidKeyedChain(f"expected {expected_key}, but the keyed chain is of {chain.root.key}", field=_FIELD)
    if (chain.gufe_line == "0") != (GUFE_LINE == "0"):
        raise GufeVersionConflict(
            f"{chain.root.key} was written by gufe {chain.gufe_line}.x and this process has gufe {GUFE_VERSION}; "
            f"use an environment with gufe {chain.gufe_line}.x",
            field=_FIELD,
        )
    names.check(AllowedModules.from_environment() if allowed is None else allowed)
    for module, qualname in {(entry.module, entry.qualname): None for entry in chain.entries}:
        _check_class(module, qualname)

    try:
        decoded = _loads(text, cls=JSON_HANDLER.decoder)
    except InvalidKeyedChain:
        raise
    except Exception as error:
        raise InvalidKeyedChain(f"{chain.root.key}: a value in it cannot be built: {error}", field=_FIELD) from error
    objects: dict[str, GufeTokenizable] = {}
    for key, keyed_dict in decoded:
        if key not in objects:
            obj = _built(key, keyed_dict, objects)
            if obj.key != key:
                _check_content(obj, chain.by_key[key], gufe_version)
            objects[key] = obj
    return objects


def compress(obj: GufeTokenizable) -> bytes:
    """Write an object as zstandard of its keyed chain, byte for byte what alchemiscale stores and sends.

    Raises
    ------
    InvalidInput
        See :func:`to_json`.
    """
    return zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(to_json(obj))


def decompress(
    data: bytes,
    *,
    expected_key: str | None = None,
    allowed: AllowedModules | None = None,
    gufe_version: str | None = None,
) -> GufeTokenizable:
    """Build the object that :func:`compress` wrote. Parameters and errors are those of :func:`from_json`."""
    return from_json(text_of(data), expected_key=expected_key, allowed=allowed, gufe_version=gufe_version)


def text_of(data: bytes) -> bytes:
    """The JSON text that :func:`compress` compressed.

    Raises
    ------
    InvalidKeyedChain
        The data is no zstandard frame, is truncated, or more follows it.
    """
    reader = zstandard.ZstdDecompressor().decompressobj()
    try:
        text = reader.decompress(data)
    except zstandard.ZstdError as error:
        raise InvalidKeyedChain(f"the data is no zstandard frame: {error}", field=_FIELD) from error
    if not reader.eof or reader.unused_data:
        raise InvalidKeyedChain(
            f"the zstandard frame is {'followed by other data' if reader.eof else 'truncated'}", field=_FIELD
        )
    return text


# --- writing ----------------------------------------------------------------------------------------------------

_LEAVES = frozenset({str, int, float, bool, type(None), bytes, GufeKey})


def _keyed_dicts(root: GufeTokenizable) -> dict[str, dict[str, Any]]:
    """Keyed dicts by key, dependencies first.

    Own code instead of ``to_keyed_chain``, which 0.4 lacks and which writes every object twice: the first time to
    find its dependencies.
    """
    opened: dict[str, dict[str, Any]] = {}
    done: dict[str, dict[str, Any]] = {}
    stack = [root]
    while stack:
        obj = stack[-1]
        key = str(obj.key)
        if key in done:
            stack.pop()
        elif key in opened:
            done[key] = opened.pop(key)
            stack.pop()
        else:
            dependencies: list[GufeTokenizable] = []
            shallow = obj.to_shallow_dict()
            opened[key] = {name: _with_references(value, dependencies) for name, value in shallow.items()}
            stack.extend(reversed(dependencies))
    return done


def _with_references(value: Any, dependencies: list[GufeTokenizable]) -> Any:
    """`value` with each gufe object replaced by a reference, and the object appended to `dependencies`."""
    if type(value) in _LEAVES:
        return value
    if isinstance(value, GufeTokenizable):
        dependencies.append(value)
        return {keyed_chains.REFERENCE: str(value.key)}
    if isinstance(value, dict):
        return {name: _with_references(inner, dependencies) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_references(inner, dependencies) for inner in value]
    return value


def _unwritable(chain: Iterable[tuple[str, dict[str, Any]]]) -> str:
    for key, keyed_dict in chain:
        try:
            json.dumps(keyed_dict, cls=JSON_HANDLER.encoder)
        except (TypeError, ValueError):
            return key
    return "the object"


# --- reading ----------------------------------------------------------------------------------------------------


def _as_text(text: bytes | str | list[Any]) -> str:
    try:
        if isinstance(text, bytes):
            return text.decode()
        return text if isinstance(text, str) else json.dumps(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidKeyedChain(f"the keyed chain is no UTF-8 JSON text: {error}", field=_FIELD) from error


def _loads(text: str, **options: Any) -> Any:
    try:
        return json.loads(text, **options)
    except InvalidKeyedChain:
        raise
    except ValueError as error:
        raise InvalidKeyedChain(f"the keyed chain is no JSON, or is truncated: {error}", field=_FIELD) from error
    except RecursionError as error:
        raise InvalidKeyedChain("the keyed chain is nested too deeply", field=_FIELD) from error


def _check_class(module: str, qualname: str) -> None:
    name = f"{module}.{qualname}"
    try:
        cls = tokenization.get_class(module, qualname)
    except Exception as error:
        raise InvalidKeyedChain(
            f"{name} cannot be imported here ({error}); install the package that defines it, "
            "in the version that wrote the object",
            field="__module__",
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, GufeTokenizable)):
        raise InvalidKeyedChain(f"{name} is no gufe class", field="__qualname__")


def _built(key: str, keyed_dict: dict[str, Any], objects: dict[str, GufeTokenizable]) -> GufeTokenizable:
    content = {name: _with_objects(value, objects) for name, value in keyed_dict.items()}
    name = f"{content['__module__']}.{content['__qualname__']}"
    try:
        obj: GufeTokenizable = tokenization.from_dict(content)
    except Exception as error:
        raise InvalidKeyedChain(
            f"{key} cannot be built as {name} ({type(error).__qualname__}: {error}); its content is damaged, or "
            "another version of the package that defines it is installed here",
            field=_FIELD,
        ) from error
    return obj


def _with_objects(value: Any, objects: dict[str, GufeTokenizable]) -> Any:
    """`value` with each reference replaced by the object, in new containers."""
    if type(value) in _LEAVES:
        return value
    if isinstance(value, dict):
        if keyed_chains.REFERENCE in value:
            return objects[value[keyed_chains.REFERENCE]]
        return {name: _with_objects(inner, objects) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_objects(inner, objects) for inner in value]
    return value


def _check_content(obj: GufeTokenizable, entry: keyed_chains.Entry, gufe_version: str | None) -> None:
    """Tell an object whose class changed since it was written from one that was never written under this key."""
    token = entry.key.removeprefix(f"{entry.qualname}-")
    if content_token(obj, dict(entry.content)) == token:
        _log.debug("%s is %s today: its class changed since it was written", entry.key, obj.key)
    elif gufe_version is not None and gufe_version != GUFE_VERSION:
        _log.info("%s, written by gufe %s, is %s in gufe %s", entry.key, gufe_version, obj.key, GUFE_VERSION)
    else:
        raise InvalidKeyedChain(
            f"the content of {entry.key} does not fit its key: it was changed after it was written "
            "(or was written by another version of gufe, which then must be given)",
            field=_FIELD,
        )
