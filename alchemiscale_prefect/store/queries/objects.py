"""gufe objects in the database: stored once per key and scope, given back as the chain of JSON texts."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import zstandard
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Text

from alchemiscale_prefect.domain.errors import ContentConflict
from alchemiscale_prefect.domain.keyed_chains import same_content
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.store import row_security
from alchemiscale_prefect.store.rows import copy_rows

_LEVEL = 3

IN_SCOPE = (
    "o.key = :gufe_key and o.scope_id = "
    "(select id from scope where org = :org and campaign = :campaign and project = :project)"
)
"""The object ``o`` of a ScopedKey, whose `to_dict` gives the parameters."""

# an object's id is greater than those of all it refers to: the order of ids is dependencies first
_CHAIN = text(
    """
    with recursive needed(id) as (
        select cast(:root as bigint)
        union
        select unnest(o.refers_to) from needed n join gufe_object o on o.id = n.id)
    select o.key, o.content, o.gufe_version from needed n join gufe_object o on o.id = n.id order by o.id
    """
)

_NETWORK_CHAIN = text(
    """
    select o.key, o.content, o.gufe_version
    from unnest(:ids) with ordinality as given(id, n) join gufe_object o on o.id = given.id
    order by given.n
    """
).bindparams(bindparam("ids", type_=ARRAY(BigInteger)))

_KNOWN = text("select key, id, digest from gufe_object where scope_id = :scope and key = any(:keys)")
_CONTENTS = text("select key, content from gufe_object where id = any(:ids)")
_NEXT_IDS = text("select nextval(pg_get_serial_sequence('gufe_object', 'id')) from generate_series(1, :count)")
_COLUMNS = {
    "id": "int8",
    "scope_id": "int4",
    "key": "text",
    "qualname": "text",
    "module": "text",
    "name": "text",
    "content": "bytea",
    "digest": "bytea",
    "refers_to": "int8[]",
    "gufe_version": "text",
}


@dataclass(frozen=True, slots=True)
class NewObject:
    """A gufe object on its way into a scope.

    Attributes
    ----------
    content
        The keyed dict's JSON text.
    digest
        SHA-256 of it.
    references
        Keys of what it names directly.
    """

    key: str
    qualname: str
    module: str
    name: str | None
    content: bytes
    digest: bytes
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """What an object is called, and by whom it was written."""

    key: str
    qualname: str
    name: str | None
    gufe_version: str


@dataclass(frozen=True, slots=True)
class Chain:
    """The keyed chain of an object.

    Attributes
    ----------
    text
        JSON: what was sent, never decoded, a network's in the client's order.
    gufe_version
        Who wrote it; several, with commas, if its objects came from different clients.
    """

    text: bytes
    gufe_version: str


def id_of(connection: Connection, key: ScopedKey) -> int | None:
    """The id of a gufe object."""
    statement = text(f"select o.id from gufe_object o where {IN_SCOPE}")  # noqa: S608  the fragment is a constant
    return connection.execute(statement, key.to_dict()).scalar_one_or_none()


def ids_of(
    connection: Connection, table: Literal["network", "transformation"], keys: Sequence[ScopedKey]
) -> dict[str, int]:
    """The id of each network or Transformation that is there, by its ScopedKey as a string."""
    statement = text(
        f"""
        select given.name, kind.id
        from unnest(:names, :keys, :orgs, :campaigns, :projects) as given(name, key, org, campaign, project)
        join scope s using (org, campaign, project)
        join gufe_object o on o.scope_id = s.id and o.key = given.key
        join {table} kind on kind.id = o.id
        """  # noqa: S608  the interpolated text is one of two constants
    ).bindparams(*(bindparam(name, type_=ARRAY(Text)) for name in ("names", "keys", "orgs", "campaigns", "projects")))
    given = {
        "names": [str(key) for key in keys],
        "keys": [key.gufe_key for key in keys],
        "orgs": [key.org for key in keys],
        "campaigns": [key.campaign for key in keys],
        "projects": [key.project for key in keys],
    }
    return {row.name: row.id for row in connection.execute(statement, given)}


def exists(connection: Connection, key: ScopedKey) -> bool:
    """Whether there is a gufe object, Task or result of this name."""
    tables = ("gufe_object", "task", "result")
    selects = " union all ".join(f"select 1 from {table} o where {IN_SCOPE}" for table in tables)  # noqa: S608
    return connection.execute(text(f"select 1 where exists ({selects})"), key.to_dict()).first() is not None


def summary(connection: Connection, object_id: int) -> Summary:
    """What the object with this id is called."""
    row = connection.execute(
        text("select key, qualname, name, gufe_version from gufe_object where id = :id"), {"id": object_id}
    ).one()
    return Summary(row.key, row.qualname, row.name, row.gufe_version)


def read(connection: Connection, object_id: int) -> Chain:
    """The keyed chain of the object with this id."""
    ids = connection.execute(text("select chain from network where id = :id"), {"id": object_id}).scalar_one_or_none()
    if ids is None:
        rows = connection.execute(_CHAIN, {"root": object_id}).all()
    else:
        rows = connection.execute(_NETWORK_CHAIN, {"ids": ids}).all()
    decompress = zstandard.ZstdDecompressor().decompress
    pairs = b",".join(b"[%b,%b]" % (json.dumps(row.key).encode(), decompress(row.content)) for row in rows)
    return Chain(b"[" + pairs + b"]", ", ".join(sorted({row.gufe_version for row in rows})))


def store(
    connection: Connection,
    scope: Scope,
    scope_id: int,
    objects: Sequence[NewObject],
    gufe_version: str,
    stored: Mapping[str, int] | None = None,
    field: str = "network",
) -> dict[str, int]:
    """Keep a chain's objects; those that the scope has already are left as they are.

    The caller has entered the scope (`scopes.enter`), so that nobody else writes to it.

    Parameters
    ----------
    objects
        Dependencies first, each once.
    stored
        Ids of what they refer to and is not among them.
    field
        What the caller calls the chain.

    Returns
    -------
    dict
        The id of each, and of each in `stored`, by its key.

    Raises
    ------
    ContentConflict
        A key stands in the scope with other content.
    """
    ids = {**(stored or {}), **_known(connection, scope, scope_id, objects, field)}
    new = [obj for obj in objects if obj.key not in ids]
    if new:
        # the ids first, so that the objects can be written with those they refer to
        fresh = next_ids(connection, len(new))
        ids.update((obj.key, object_id) for obj, object_id in zip(new, fresh, strict=True))
        with row_security.lifted(connection, scope_id):
            copy_rows(connection, "gufe_object", _COLUMNS, _rows(scope_id, new, ids, gufe_version))
    return ids


def next_ids(connection: Connection, count: int) -> list[int]:
    """Ids for so many new objects, ascending."""
    return sorted(connection.execute(_NEXT_IDS, {"count": count}).scalars())


def _known(
    connection: Connection, scope: Scope, scope_id: int, objects: Sequence[NewObject], field: str
) -> dict[str, int]:
    by_key = {obj.key: obj for obj in objects}
    rows = connection.execute(_KNOWN, {"scope": scope_id, "keys": list(by_key)}).all()
    ids = {row.key: row.id for row in rows}
    doubtful = [row.id for row in rows if bytes(row.digest) != by_key[row.key].digest]
    decompress = zstandard.ZstdDecompressor().decompress
    for key, content in connection.execute(_CONTENTS, {"ids": doubtful}) if doubtful else ():
        if not same_content(decompress(content), by_key[key].content):
            raise ContentConflict(
                f"{key} already stands in scope {scope} with other content; a gufe key names one content only, so one "
                "of the two was changed after gufe named it. Make the object anew, or use another scope",
                field=field,
            )
    return ids


def _rows(
    scope_id: int, objects: Iterable[NewObject], ids: Mapping[str, int], gufe_version: str
) -> Iterator[tuple[object, ...]]:
    compress = zstandard.ZstdCompressor(level=_LEVEL).compress
    for obj in objects:
        content = compress(obj.content)
        refers_to = [ids[key] for key in obj.references]
        row = (ids[obj.key], scope_id, obj.key, obj.qualname, obj.module, obj.name)
        yield (*row, content, obj.digest, refers_to, gufe_version)
