"""Networks copied from scope to scope, row by row in the database: objects, Tasks, results. No bytes are moved.

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


def _with_ids(statement: str, *names: str) -> TextClause:
    return text(statement).bindparams(*(bindparam(name, type_=ARRAY(BigInteger)) for name in names))


# ids of objects in the source scopes, and of the same objects in the target scope
_MAP = "with map as materialized (select * from unnest(:olds, :news) as map(old, new))"

_SOURCES = _with_ids(
    """
    select n.id, n.scope_id, n.state, s.gufe_line
    from network n join scope s on s.id = n.scope_id where n.id = any(:networks)
    """,
    "networks",
)

# dependencies first, also where the networks are of several scopes: an object stands where it comes first
_NEEDED = _with_ids(
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
_CONTENTS = _with_ids("select id, key, content from gufe_object where id = any(:ids)", "ids")

_COPY_OBJECTS = _with_ids(
    f"""
    {_MAP},
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

_COPY_SYSTEMS = _with_ids(
    f"""
    {_MAP}
    insert into chemical_system (id, scope_id)
    select map.new, :scope from map join chemical_system c on c.id = map.old
    on conflict (id) do nothing
    """,  # noqa: S608
    "olds",
    "news",
)

_COPY_TRANSFORMATIONS = _with_ids(
    f"""
    {_MAP}
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

_COPY_NETWORKS = _with_ids(
    f"""
    {_MAP},
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
    table: _with_ids(
        f"""
        {_MAP}
        insert into {table} (network_id, {member}_id)
        select distinct network.new, member.new
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

_MEMBERS = _with_ids(
    f"""
    {_MAP}
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

# Copies of one Task, whatever way they took, are all of the same original: so the next copy finds them. The original,
# where a copy comes home to it, is there already.
_CANDIDATES = _with_ids(
    f"""
    {_MAP},
    edge as materialized (
        select distinct map.old, map.new
        from network_transformation link join map on map.old = link.transformation_id
        where link.network_id = any(:networks)),
    candidate as (
        select t.id, coalesce(t.copied_from_id, t.id) as original, edge.new as transformation_id
        from edge join task t on t.transformation_id = edge.old and t.status = 'complete'
        where exists (select 1 from result r where r.task_id = t.id and r.ok))
    select distinct on (original, transformation_id) id, original, transformation_id
    from candidate
    where not exists (
            select 1 from task there
            where there.copied_from_id = original and there.transformation_id = candidate.transformation_id)
      and not exists (
            select 1 from task there
            where there.id = original and there.transformation_id = candidate.transformation_id)
    order by original, transformation_id, id
    """,  # noqa: S608
    "olds",
    "news",
    "networks",
)

# the Task of the target scope that stands for the one which a copied Task extends
_PARENTS = """
    select source.id as source_id, parent.id, parent.status
    from unnest(:tasks, :transformations) as given(id, transformation_id)
    join task source on source.id = given.id
    join task extended on extended.id = source.extends_id
    join task parent on parent.transformation_id = given.transformation_id
     and coalesce(extended.copied_from_id, extended.id) in (parent.id, parent.copied_from_id)
"""

# in the one order that everybody uses; the new rows' foreign keys would lock them too, in an order of their own
_LOCK = _with_ids(
    f"""
    select id from task
    where id = any(:originals) or id in (select id from ({_PARENTS}) parent)
    order by id for key share
    """,  # noqa: S608
    "originals",
    "tasks",
    "transformations",
)

_COPY_TASKS = _with_ids(
    """
    insert into task (key, scope_id, transformation_id, status, status_changed_at, priority, creator, copied_from_id,
                      attempts, created_at)
    select 'Task-' || replace(cast(gen_random_uuid() as text), '-', ''), :scope, given.transformation_id,
           t.status, t.status_changed_at, t.priority, t.creator, given.original, t.attempts, t.created_at
    from unnest(:tasks, :originals, :transformations) with ordinality as given(id, original, transformation_id, n)
    join task t on t.id = given.id
    order by given.n
    returning id
    """,
    "tasks",
    "originals",
    "transformations",
)

_EXTEND = _with_ids(
    f"""
    update task copy set extends_id = parent.id
    from unnest(:copies, :tasks) as made(id, source_id)
    join ({_PARENTS}) parent on parent.source_id = made.source_id and parent.status = 'complete'
    where copy.id = made.id
    """,  # noqa: S608
    "copies",
    "tasks",
    "transformations",
)

# nothing of a lease, and no tags: those name the networks of another scope
_COPY_ATTEMPTS = _with_ids(
    """
    insert into attempt (task_id, n, pool, state, tags, flow_run_id, host, units_done, units_total, reason,
                         launched_at, started_at, ended_at, flow_run_settled, created_at)
    select made.id, a.n, a.pool, a.state, '[]', a.flow_run_id, a.host, a.units_done, a.units_total, a.reason,
           a.launched_at, a.started_at, a.ended_at, true, a.created_at
    from unnest(:copies, :tasks) as made(id, source_id)
    join attempt a on a.task_id = made.source_id
    where exists (select 1 from result r where r.task_id = a.task_id and r.attempt = a.n)
    """,
    "copies",
    "tasks",
)

_COPY_RESULTS = _with_ids(
    """
    insert into result (key, scope_id, transformation_id, task_id, attempt, ok, protocol_dag_result_key, location,
                        size, estimate, uncertainty, units, tracebacks, creator, gufe_version, created_at)
    select 'ProtocolDAGResultRef-' || replace(cast(gen_random_uuid() as text), '-', ''), t.scope_id,
           t.transformation_id, t.id, r.attempt, r.ok, r.protocol_dag_result_key, r.location,
           r.size, r.estimate, r.uncertainty, r.units, r.tracebacks, r.creator, r.gufe_version, r.created_at
    from unnest(:copies, :tasks) as made(id, source_id)
    join task t on t.id = made.id
    join result r on r.task_id = made.source_id
    order by r.id
    """,
    "copies",
    "tasks",
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
    mapped = _mapped(ids)
    parameters = {"fresh_olds": [old for _, old in fresh], "fresh_news": news, "scope": scope_id, **mapped}
    connection.execute(_COPY_OBJECTS, parameters)
    connection.execute(_COPY_SYSTEMS, {"scope": scope_id, **mapped})
    connection.execute(_COPY_TRANSFORMATIONS, {"scope": scope_id, **mapped})
    return ids


def copy_networks(
    connection: Connection, network_ids: Sequence[int], ids: Mapping[int, int], scope_id: int, state: str, creator: str
) -> None:
    """Make networks of a scope of those whose objects were copied; one that is there stays as it is.

    Parameters
    ----------
    network_ids
        In the source scopes.
    ids
        From `copy_objects`.
    """
    # the same network may come from several scopes
    first = {ids[network_id]: network_id for network_id in reversed(network_ids)}
    mapped = _mapped(ids)
    made = connection.execute(
        _COPY_NETWORKS,
        {"networks": list(first.values()), "scope": scope_id, "state": state, "creator": creator, **mapped},
    ).scalars()
    new = [first[network_id] for network_id in made]
    for statement in _COPY_LINKS.values():
        connection.execute(statement, {"networks": new, **mapped})


def members(
    connection: Connection, network_ids: Sequence[int], ids: Mapping[int, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """ChemicalSystems, and Transformations, of any of these networks: their ids in the target scope by their keys."""
    rows = connection.execute(_MEMBERS, {"networks": list(network_ids), **_mapped(ids)}).all()
    return {row.key: row.new for row in rows if not row.edge}, {row.key: row.new for row in rows if row.edge}


def copy_tasks(connection: Connection, network_ids: Sequence[int], ids: Mapping[int, int], scope_id: int) -> None:
    """Copy the complete Tasks of networks into a scope, with all their results; those copied before are left out.

    A copied Task extends the copy of the Task that the original extends, if that one is there and complete.

    Parameters
    ----------
    network_ids
        In other scopes.
    ids
        From `copy_objects`.
    """
    rows = connection.execute(_CANDIDATES, {"networks": list(network_ids), **_mapped(ids)}).all()
    if not rows:
        return
    tasks = [row.id for row in rows]
    given = {"tasks": tasks, "transformations": [row.transformation_id for row in rows]}
    originals = [row.original for row in rows]
    connection.execute(_LOCK, {"originals": originals, **given})
    copies = sorted(connection.execute(_COPY_TASKS, {"originals": originals, "scope": scope_id, **given}).scalars())
    connection.execute(_EXTEND, {"copies": copies, **given})
    connection.execute(_COPY_ATTEMPTS, {"copies": copies, "tasks": tasks})
    connection.execute(_COPY_RESULTS, {"copies": copies, "tasks": tasks})


def _mapped(ids: Mapping[int, int]) -> dict[str, list[int]]:
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
