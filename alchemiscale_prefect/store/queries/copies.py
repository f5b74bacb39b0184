"""Networks copied from scope to scope, row by row in the database. Their Tasks follow in `task_copies`.

The caller has entered the target scope (`scopes.enter`): nobody else copies into it meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import zstandard
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.types import BigInteger

from alchemiscale_prefect.domain.errors import ContentConflict
from alchemiscale_prefect.domain.keyed_chains import same_content
from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.scopes import Scope
from alchemiscale_prefect.store.queries.objects import ids_of, next_ids


def with_ids(statement: str, *names: str) -> TextClause:
    """A statement, of whose parameters those named are arrays of ids."""
    return text(statement).bindparams(*(bindparam(name, type_=ARRAY(BigInteger)) for name in names))


MAP = "with map as materialized (select * from unnest(:olds, :news) as map(old, new))"
"""Ids of objects in the source scopes, and of the same objects in the target scope; `mapped` gives the parameters."""

_SOURCES = with_ids(
    """
    select n.id, n.scope_id, n.state, s.gufe_line
    from network n join scope s on s.id = n.scope_id where n.id = any(:networks)
    """,
    "networks",
)

# dependencies first, also where the networks are of several scopes: an object stands where it comes first
_NEEDED = with_ids(
    """
    select o.id, o.key, o.digest, o.scope_id
    from (
        select link.id, min(array[given.n, link.m]) as place
        from unnest(:networks) with ordinality as given(id, n)
        join network on network.id = given.id
        cross join lateral unnest(network.chain) with ordinality as link(id, m)
        where :with_networks or link.id <> network.id
        group by link.id) needed
    join gufe_object o on o.id = needed.id
    order by needed.place
    """,
    "networks",
)

_THERE = text("select key, id, digest from gufe_object where scope_id = :scope and key = any(:keys)")
_CONTENTS = with_ids("select id, key, content from gufe_object where id = any(:ids)", "ids")

_COPY_OBJECTS = with_ids(
    f"""
    {MAP},
    fresh as materialized (select * from unnest(:fresh_olds, :fresh_news) as fresh(old, new)),
    refs as (
        select fresh.old, array_agg(map.new order by r.n) as ids
        from fresh join gufe_object o on o.id = fresh.old
        cross join lateral unnest(o.refers_to) with ordinality as r(id, n)
        join map on map.old = r.id
        group by fresh.old)
    insert into gufe_object
        (id, scope_id, key, qualname, module, name, content, digest, refers_to, gufe_version)
    overriding system value
    select fresh.new, :scope, o.key, o.qualname, o.module, o.name, o.content, o.digest,
           coalesce(refs.ids, '{{}}'), o.gufe_version
    from fresh join gufe_object o on o.id = fresh.old left join refs on refs.old = fresh.old
    """,  # noqa: S608  the interpolated text is a constant
    "olds",
    "news",
    "fresh_olds",
    "fresh_news",
)

_COPY_SYSTEMS = with_ids(
    f"""
    {MAP}
    insert into chemical_system (id, scope_id)
    select map.new, :scope from map join chemical_system c on c.id = map.old
    on conflict (id) do nothing
    """,  # noqa: S608
    "olds",
    "news",
)

_COPY_TRANSFORMATIONS = with_ids(
    f"""
    {MAP}
    insert into transformation (id, scope_id, state_a_id, state_b_id, protocol_id, non_transformation)
    select map.new, :scope, a.new, b.new, protocol.new, tf.non_transformation
    from map join transformation tf on tf.id = map.old
    join map a on a.old = tf.state_a_id
    join map b on b.old = tf.state_b_id
    join map protocol on protocol.old = tf.protocol_id
    on conflict (id) do nothing
    """,  # noqa: S608
    "olds",
    "news",
)

_COPY_NETWORKS = with_ids(
    f"""
    {MAP},
    chains as (
        select n.id, array_agg(map.new order by link.m) as ids
        from network n
        cross join lateral unnest(n.chain) with ordinality as link(id, m)
        join map on map.old = link.id
        where n.id = any(:networks)
        group by n.id)
    insert into network (id, scope_id, state, chain, creator)
    select map.new, :scope, :state, chains.ids, :creator
    from chains join map on map.old = chains.id
    on conflict (id) do nothing
    returning id
    """,  # noqa: S608
    "olds",
    "news",
    "networks",
)

_COPY_LINKS = {
    table: with_ids(
        f"""
        {MAP}
        insert into {table} (network_id, {member}_id, scope_id)
        select distinct network.new, member.new, :scope
        from {table} link
        join map network on network.old = link.network_id
        join map member on member.old = link.{member}_id
        where link.network_id = any(:networks)
        """,  # noqa: S608
        "olds",
        "news",
        "networks",
    )
    for table, member in (
        ("network_transformation", "transformation"),
        ("network_chemical_system", "chemical_system"),
    )
}

_MEMBERS = with_ids(
    f"""
    {MAP}
    select distinct true as edge, o.key, map.new
    from network_transformation link
    join map on map.old = link.transformation_id join gufe_object o on o.id = map.new
    where link.network_id = any(:networks)
    union all
    select distinct false, o.key, map.new
    from network_chemical_system link
    join map on map.old = link.chemical_system_id join gufe_object o on o.id = map.new
    where link.network_id = any(:networks)
    """,  # noqa: S608
    "olds",
    "news",
    "networks",
)


@dataclass(frozen=True, slots=True)
class Source:
    """A network to copy from."""

    id: int
    scope_id: int
    state: str
    gufe_line: str


def sources(connection: Connection, keys: Sequence[ScopedKey]) -> dict[str, Source]:
    """Those of `keys` that are networks, by the ScopedKey as a string."""
    ids = ids_of(connection, "network", keys)
    rows = {row.id: Source(*row) for row in connection.execute(_SOURCES, {"networks": list(ids.values())})}
    return {name: rows[network_id] for name, network_id in ids.items()}


def copy_objects(
    connection: Connection, network_ids: Sequence[int], scope: Scope, scope_id: int, *, with_networks: bool
) -> dict[int, int]:
    """Copy all that networks consist of into a scope; what it has already stays as it is.

    Their nodes and edges become ChemicalSystems and Transformations of the scope; networks are for `copy_networks`.

    Parameters
    ----------
    with_networks
        Whether the networks' own objects are among those to copy.

    Returns
    -------
    dict
        For each object of these networks, dependencies first, its id in the scope by its id.

    Raises
    ------
    ContentConflict
        A key has other content in two of the scopes.
    """
    rows = connection.execute(_NEEDED, {"networks": list(network_ids), "with_networks": with_networks}).all()
    keys = list({row.key for row in rows})
    there = {row.key: row for row in connection.execute(_THERE, {"scope": scope_id, "keys": keys})}
    by_key = {key: int(row.id) for key, row in there.items()}
    digests = {key: (int(row.id), bytes(row.digest)) for key, row in there.items()}
    fresh: list[tuple[str, int]] = []
    doubtful: list[tuple[int, int]] = []
    for row in rows:
        known_id, digest = digests.setdefault(row.key, (row.id, bytes(row.digest)))
        if digest != bytes(row.digest):
            doubtful.append((known_id, row.id))
        if known_id == row.id and row.key not in by_key:
            fresh.append((row.key, row.id))
    _check_same(connection, doubtful, scope)
    news = next_ids(connection, len(fresh))
    by_key.update((key, new) for (key, _), new in zip(fresh, news, strict=True))
    ids = {row.id: by_key[row.key] for row in rows}
    parts = mapped(ids)
    parameters = {"fresh_olds": [old for _, old in fresh], "fresh_news": news, "scope": scope_id, **parts}
    connection.execute(_COPY_OBJECTS, parameters)
    connection.execute(_COPY_SYSTEMS, {"scope": scope_id, **parts})
    connection.execute(_COPY_TRANSFORMATIONS, {"scope": scope_id, **parts})
    return ids


def copy_networks(
    connection: Connection, network_ids: Sequence[int], ids: Mapping[int, int], scope_id: int, state: str, creator: str
) -> int:
    """Make networks of a scope of those whose objects were copied; one that is there stays as it is.

    Parameters
    ----------
    network_ids
        In the source scopes.
    ids
        From `copy_objects`.

    Returns
    -------
    int
        How many are new.
    """
    # the same network may come from several scopes
    first = {ids[network_id]: network_id for network_id in reversed(network_ids)}
    parts = mapped(ids)
    made = connection.execute(
        _COPY_NETWORKS,
        {"networks": list(first.values()), "scope": scope_id, "state": state, "creator": creator, **parts},
    ).scalars()
    new = [first[network_id] for network_id in made]
    for statement in _COPY_LINKS.values():
        connection.execute(statement, {"networks": new, "scope": scope_id, **parts})
    return len(new)


def members(
    connection: Connection, network_ids: Sequence[int], ids: Mapping[int, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """ChemicalSystems, and Transformations, of any of these networks: their ids in the target scope by their keys."""
    rows = connection.execute(_MEMBERS, {"networks": list(network_ids), **mapped(ids)}).all()
    return {row.key: row.new for row in rows if not row.edge}, {row.key: row.new for row in rows if row.edge}


def mapped(ids: Mapping[int, int]) -> dict[str, list[int]]:
    """The parameters of `MAP`."""
    return {"olds": list(ids), "news": list(ids.values())}


def _check_same(connection: Connection, pairs: Sequence[tuple[int, int]], scope: Scope) -> None:
    if not pairs:
        return
    rows = connection.execute(_CONTENTS, {"ids": list({object_id for pair in pairs for object_id in pair})})
    decompress = zstandard.ZstdDecompressor().decompress
    contents = {row.id: (row.key, decompress(row.content)) for row in rows}
    for one, other in pairs:
        key, content = contents[one]
        if not same_content(content, contents[other][1]):
            raise ContentConflict(
                f"{key} has other content in scope {scope}, or in another of the scopes to copy from; a gufe key names "
                "one content only, so one of the two was changed after gufe named it. Use another scope",
                field="networks",
            )
