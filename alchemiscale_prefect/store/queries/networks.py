"""AlchemicalNetworks in the database."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Boolean, Double, Text

from alchemiscale_prefect.domain.keys import ScopedKey
from alchemiscale_prefect.domain.network_content import NetworkContent
from alchemiscale_prefect.domain.tasks import DEFAULT_WEIGHT
from alchemiscale_prefect.store.queries.objects import IN_SCOPE
from alchemiscale_prefect.store.queries.scopes import NAME

_SYSTEMS = text(
    "insert into chemical_system (id, scope_id) select id, :scope from unnest(:ids) as given(id) "
    "on conflict (id) do nothing"
).bindparams(bindparam("ids", type_=ARRAY(BigInteger)))

_TRANSFORMATIONS = text(
    """
    insert into transformation (id, scope_id, state_a_id, state_b_id, protocol_id, non_transformation)
    select given.id, :scope, given.a, given.b, given.protocol, given.non
    from unnest(:ids, :a, :b, :protocols, :non) as given(id, a, b, protocol, non)
    on conflict (id) do nothing
    """
).bindparams(
    *(bindparam(name, type_=ARRAY(BigInteger)) for name in ("ids", "a", "b", "protocols")),
    bindparam("non", type_=ARRAY(Boolean)),
)

_NETWORK = text(
    """
    insert into network (id, scope_id, state, weight, chain, creator, ancestor_id)
    select :id, :scope, coalesce(cast(:state as text), ancestor.state), coalesce(ancestor.weight, :weight), :chain,
           :creator, ancestor.id
    from (select cast(:ancestor as bigint) as id) given left join network ancestor on ancestor.id = given.id
    on conflict (id) do nothing returning id
    """
).bindparams(bindparam("chain", type_=ARRAY(BigInteger)))

_EDGES = text(
    "insert into network_transformation (network_id, transformation_id, scope_id) "
    "select :id, id, :scope from unnest(:ids) as given(id)"
).bindparams(bindparam("ids", type_=ARRAY(BigInteger)))

_NODES = text(
    "insert into network_chemical_system (network_id, chemical_system_id, scope_id) "
    "select :id, id, :scope from unnest(:ids) as given(id)"
).bindparams(bindparam("ids", type_=ARRAY(BigInteger)))

# locked in the one order that everybody uses: two who set the same networks never wait for each other in a circle
_HELD = "with held as materialized (select id from network where id = any(:ids) order by id for no key update)"

_SET_STATES = text(
    f"""
    {_HELD}
    update network n set state = given.state
    from unnest(:ids, :states) as given(id, state) join held using (id) where n.id = given.id
    """  # noqa: S608  the interpolated text is a constant
).bindparams(bindparam("ids", type_=ARRAY(BigInteger)), bindparam("states", type_=ARRAY(Text)))

_SET_WEIGHTS = text(
    f"""
    {_HELD}
    update network n set weight = given.weight
    from unnest(:ids, :weights) as given(id, weight) join held using (id) where n.id = given.id
    """  # noqa: S608  the interpolated text is a constant
).bindparams(bindparam("ids", type_=ARRAY(BigInteger)), bindparam("weights", type_=ARRAY(Double)))


def insert(
    connection: Connection,
    scope_id: int,
    content: NetworkContent,
    ids: Mapping[str, int],
    state: str | None,
    creator: str,
    ancestor_id: int | None = None,
) -> bool:
    """Keep a network whose objects are stored; one that is there stays as it is, state and weight included.

    Parameters
    ----------
    ids
        The id of every object of its keyed chain, in the order of the chain.
    state, ancestor_id
        See `link`.

    Returns
    -------
    bool
        Whether it was not there.
    """
    systems = [ids[key] for key in content.chemical_systems]
    edges = content.transformations
    edge_ids = [ids[edge.key] for edge in edges]
    connection.execute(_SYSTEMS, {"scope": scope_id, "ids": systems})
    connection.execute(
        _TRANSFORMATIONS,
        {
            "scope": scope_id,
            "ids": edge_ids,
            "a": [ids[edge.state_a] for edge in edges],
            "b": [ids[edge.state_b] for edge in edges],
            "protocols": [ids[edge.protocol] for edge in edges],
            "non": [edge.non_transformation for edge in edges],
        },
    )
    return link(connection, scope_id, list(ids.values()), edge_ids, systems, state, creator, ancestor_id)


def link(
    connection: Connection,
    scope_id: int,
    chain: Sequence[int],
    transformation_ids: Sequence[int],
    chemical_system_ids: Sequence[int],
    state: str | None,
    creator: str,
    ancestor_id: int | None = None,
) -> bool:
    """Make a network of ChemicalSystems and Transformations of its scope; one that is there stays as it is.

    Parameters
    ----------
    chain
        Ids of its objects, dependencies first; its own is the last.
    state
        ``None`` for its ancestor's.
    ancestor_id
        The network it was extended from, whose weight it takes over.

    Returns
    -------
    bool
        Whether it is new.
    """
    network_id = chain[-1]
    new = connection.execute(
        _NETWORK,
        {
            "id": network_id,
            "scope": scope_id,
            "state": state,
            "weight": DEFAULT_WEIGHT,
            "chain": list(chain),
            "creator": creator,
            "ancestor": ancestor_id,
        },
    ).one_or_none()
    if new is not None:
        connection.execute(_EDGES, {"id": network_id, "scope": scope_id, "ids": list(transformation_ids)})
        connection.execute(_NODES, {"id": network_id, "scope": scope_id, "ids": list(chemical_system_ids)})
    return new is not None


def query(connection: Connection, scope_ids: Sequence[int], name: str | None, state: str | None) -> list[str]:
    """ScopedKeys of networks in these scopes whose name and state match anchored patterns, oldest first."""
    rows = connection.execute(
        text(
            f"""
            select o.key || '-' || {NAME}
            from network n join gufe_object o on o.id = n.id join scope s on s.id = n.scope_id
            where n.scope_id = any(:scopes)
              and (cast(:name as text) is null or o.name ~ :name)
              and (cast(:state as text) is null or n.state ~ :state)
            order by n.id
            """  # noqa: S608  the interpolated text is a constant
        ),
        {"scopes": list(scope_ids), "name": name, "state": state},
    )
    return list(rows.scalars())


def of_transformation(connection: Connection, transformation: ScopedKey) -> list[str]:
    """Keys of the networks that have this Transformation."""
    return _keys(
        connection,
        "network_transformation link on link.transformation_id = o.id join gufe_object n on n.id = link.network_id",
        transformation,
    )


def of_chemical_system(connection: Connection, chemical_system: ScopedKey) -> list[str]:
    """Keys of the networks that have this ChemicalSystem."""
    return _keys(
        connection,
        "network_chemical_system link on link.chemical_system_id = o.id join gufe_object n on n.id = link.network_id",
        chemical_system,
    )


def of_task(connection: Connection, task: ScopedKey) -> list[str]:
    """Keys of the networks that have the Task's Transformation."""
    statement = text(
        f"""
        select n.key from task o
        join network_transformation link on link.transformation_id = o.transformation_id
        join gufe_object n on n.id = link.network_id
        where {IN_SCOPE} order by n.id
        """  # noqa: S608  the interpolated text is a constant
    )
    return list(connection.execute(statement, task.to_dict()).scalars())


def ancestors(connection: Connection, network_id: int) -> list[str]:
    """Keys of the network that a network was extended from, of the one that this was extended from, and so on."""
    rows = connection.execute(
        text(
            """
            with recursive line(id, n) as (
                select ancestor_id, 1 from network where id = :network and ancestor_id is not null
                union all
                select network.ancestor_id, line.n + 1
                from line join network on network.id = line.id where network.ancestor_id is not null)
            select o.key from line join gufe_object o on o.id = line.id order by line.n
            """
        ),
        {"network": network_id},
    )
    return list(rows.scalars())


def states(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    """Id → state."""
    rows = connection.execute(text("select id, state from network where id = any(:ids)"), {"ids": list(ids)})
    return {row.id: row.state for row in rows}


def set_states(connection: Connection, states_by_id: Mapping[int, str]) -> None:
    """Give networks their states."""
    connection.execute(_SET_STATES, {"ids": list(states_by_id), "states": list(states_by_id.values())})


def weights(connection: Connection, ids: Sequence[int]) -> dict[int, float]:
    """Id → weight."""
    rows = connection.execute(text("select id, weight from network where id = any(:ids)"), {"ids": list(ids)})
    return {row.id: row.weight for row in rows}


def set_weights(connection: Connection, weights_by_id: Mapping[int, float]) -> None:
    """Give networks their weights."""
    connection.execute(_SET_WEIGHTS, {"ids": list(weights_by_id), "weights": list(weights_by_id.values())})


def _keys(connection: Connection, joins: str, key: ScopedKey) -> list[str]:
    statement = text(f"select n.key from gufe_object o join {joins} where {IN_SCOPE} order by n.id")  # noqa: S608
    return list(connection.execute(statement, key.to_dict()).scalars())
