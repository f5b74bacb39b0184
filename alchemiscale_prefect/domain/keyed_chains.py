"""Keyed chains as plain JSON: structure, references and digests, without gufe.

A keyed chain is ``[[key, keyed_dict], …]``: each gufe object once, dependencies first, the object itself last;
inside a keyed dict another object is named by ``{":gufe-key:": key}``. The server reads them with this module and
never builds the objects.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from alchemiscale_prefect.domain.errors import InvalidKeyedChain

MAX_KEY = 255
MAX_MODULE = 1000
REFERENCE = ":gufe-key:"
VERSION = ":version:"

# in JSON text without spaces, after a { or a comma: inside of a string the quotes are escaped
_REFERENCES = re.compile(rb'":gufe-key:":("[^"\\]*(?:\\.[^"\\]*)*")?')


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a chain.

    Attributes
    ----------
    key, qualname, module
        As the client sent them; the key is never recomputed.
    content
        The keyed dict.
    text
        The same as JSON text, fields in the order the client sent them.
    references
        Keys of the objects it names directly, each once, in order of appearance.
    """

    key: str
    qualname: str
    module: str
    content: Mapping[str, Any]
    text: bytes
    references: tuple[str, ...]

    @property
    def digest(self) -> bytes:
        """SHA-256 (32 bytes) of the text."""
        return hashlib.sha256(self.text).digest()

    @property
    def name(self) -> str | None:
        """The object's ``name``, where it has one."""
        name = self.content.get("name")
        return name if isinstance(name, str) else None


def same_content(one: bytes, other: bytes) -> bool:
    """Whether two JSON texts of keyed dicts say the same, whatever the order of their fields."""
    return one == other or _canonical(one) == _canonical(other)


def _canonical(text: bytes) -> str:
    # text, not values: not a number equals itself there
    return json.dumps(json.loads(text), sort_keys=True)


@dataclass(frozen=True)
class KeyedChain:
    """A checked keyed chain. Make one with `parse`."""

    entries: tuple[Entry, ...]

    @property
    def root(self) -> Entry:
        """The object the chain is of: its last entry."""
        return self.entries[-1]

    @cached_property
    def by_key(self) -> dict[str, Entry]:
        """Entries by their key."""
        return {entry.key: entry for entry in self.entries}

    @property
    def gufe_line(self) -> str:
        """``"1"`` if gufe ≥ 1 wrote the chain (it stamps ``:version:``), ``"0"`` before."""
        return "1" if any(VERSION in entry.content for entry in self.entries) else "0"


def parse(document: object, field: str = "network") -> KeyedChain:
    """Check a decoded JSON document and give it as a `KeyedChain`.

    Parameters
    ----------
    document
        ``[[key, keyed_dict], …]``.
    field
        What to call the document in an error.

    Raises
    ------
    InvalidKeyedChain
        Not a list of pairs; a key that is not ``<qualname>-<token>`` of its own dict; one key with two contents; a
        reference to an object that is not in the chain, comes later, or is part of a cycle; an object that the last
        one does not need; a value that JSON text cannot hold.
    """
    if not isinstance(document, Sequence) or isinstance(document, str | bytes) or not document:
        raise InvalidKeyedChain(
            f"`{field}` must be a keyed chain: a non-empty list of [key, keyed dict] pairs", field=field
        )
    entries: dict[str, Entry] = {}
    for position, item in enumerate(document):
        entry = _entry(item, f"`{field}`[{position}]", field)
        known = entries.get(entry.key)
        if known is None:
            entries[entry.key] = entry
        elif not same_content(known.text, entry.text):
            raise InvalidKeyedChain(
                f"`{field}`[{position}]: key {entry.key} appears twice with different content", field=field
            )
    chain = KeyedChain(tuple(entries.values()))
    _check_references(chain, field)
    return chain


def parse_entry(item: object, field: str = "network") -> Entry:
    """Check a single ``[key, keyed_dict]`` pair. What it refers to is the caller's to check.

    Raises
    ------
    InvalidKeyedChain
        See `parse`.
    """
    return _entry(item, f"`{field}`", field)


def _entry(item: object, where: str, field: str) -> Entry:
    if not isinstance(item, Sequence) or isinstance(item, str | bytes) or len(item) != 2:
        raise InvalidKeyedChain(f"{where} must be a [key, keyed dict] pair", field=field)
    key, content = item
    if not isinstance(key, str) or not isinstance(content, dict):
        raise InvalidKeyedChain(f"{where} must be a [key, keyed dict] pair of a string and a mapping", field=field)
    qualname, module = content.get("__qualname__"), content.get("__module__")
    if not isinstance(qualname, str) or not isinstance(module, str) or not qualname or not module:
        raise InvalidKeyedChain(f"{where} ({key}) names no `__qualname__` and `__module__`", field=field)
    prefix, dash, token = key.rpartition("-")
    if not dash or prefix != qualname or not token.isascii() or not token.isalnum():
        raise InvalidKeyedChain(f"{where}: key {key!r} is not '{qualname}-<token>'", field=field)
    if len(key) > MAX_KEY or len(module) > MAX_MODULE or not (key.isprintable() and module.isprintable()):
        raise InvalidKeyedChain(
            f"{where}: a key has at most {MAX_KEY} characters and `__module__` {MAX_MODULE}, all of them printable",
            field=field,
        )
    text = _text(content, where, field)
    return Entry(key, qualname, module, content, text, _references(text, where, field))


def _text(content: Mapping[str, Any], where: str, field: str) -> bytes:
    try:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    except RecursionError as error:
        raise InvalidKeyedChain(f"{where} is nested too deeply", field=field) from error
    except UnicodeEncodeError as error:
        raise InvalidKeyedChain(f"{where} holds half a surrogate pair, which is no text", field=field) from error


def _references(text: bytes, where: str, field: str) -> tuple[str, ...]:
    # in the text, since that is ten times as fast as walking through the values
    found: dict[str, None] = {}
    for match in _REFERENCES.finditer(text):
        if text[match.start() - 1] not in b"{,":
            continue
        if match[1] is None:
            raise InvalidKeyedChain(f"{where}: `{REFERENCE}` must be a string", field=field)
        found[json.loads(match[1]) if b"\\" in match[1] else match[1][1:-1].decode()] = None
    return tuple(found)


def _check_references(chain: KeyedChain, field: str) -> None:
    seen: set[str] = set()
    for entry in chain.entries:
        for reference in entry.references:
            if reference in seen:
                continue
            if reference not in chain.by_key:
                problem = f"refers to {reference}, which is not in the chain; was it truncated?"
            elif _reaches(chain, reference, entry.key):
                problem = f"and {reference} refer to each other in a cycle"
            else:
                problem = f"refers to {reference}, which comes later; dependencies must come first"
            raise InvalidKeyedChain(f"`{field}`: {entry.key} {problem}", field=field)
        seen.add(entry.key)
    needed = {chain.root.key}
    for entry in reversed(chain.entries):
        if entry.key in needed:
            needed.update(entry.references)
    for entry in chain.entries:
        if entry.key not in needed:
            raise InvalidKeyedChain(
                f"`{field}`: {entry.key} is not needed by {chain.root.key}, the last object of the chain; "
                "was it truncated?",
                field=field,
            )


def _reaches(chain: KeyedChain, start: str, goal: str) -> bool:
    visited: set[str] = set()
    stack = [start]
    while stack:
        key = stack.pop()
        if key == goal:
            return True
        if key not in visited and key in chain.by_key:
            visited.add(key)
            stack.extend(chain.by_key[key].references)
    return False


def referenced_key(value: object) -> str | None:
    """The key in ``{":gufe-key:": key}``, or ``None`` if `value` is something else."""
    key = value.get(REFERENCE) if isinstance(value, dict) else None
    return key if isinstance(key, str) else None
