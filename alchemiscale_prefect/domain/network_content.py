"""What an AlchemicalNetwork's keyed chain holds: its ChemicalSystems and Transformations, read without gufe."""

from dataclasses import dataclass

from alchemiscale_prefect.domain.errors import InvalidKeyedChain
from alchemiscale_prefect.domain.keyed_chains import Entry, KeyedChain, referenced_key

NETWORK = "AlchemicalNetwork"


@dataclass(frozen=True, slots=True)
class TransformationContent:
    """An edge, by the keys of its parts.

    Attributes
    ----------
    state_a, state_b
        Keys of ChemicalSystems; the same one for a NonTransformation.
    protocol
        Key of the Protocol.
    non_transformation
        Whether it is a NonTransformation (it has a ``system`` instead of two states).
    """

    key: str
    name: str | None
    state_a: str
    state_b: str
    protocol: str
    non_transformation: bool


@dataclass(frozen=True, slots=True)
class NetworkContent:
    """Nodes and edges of a network, in the order of the chain."""

    key: str
    name: str | None
    chemical_systems: tuple[str, ...]
    transformations: tuple[TransformationContent, ...]


def read_network(chain: KeyedChain, field: str = "network") -> NetworkContent:
    """The nodes and edges of the AlchemicalNetwork that `chain` is of.

    Raises
    ------
    InvalidKeyedChain
        The last object is not an AlchemicalNetwork, a node or edge is not a reference, an edge lacks its states or
        Protocol, or a Transformation goes from a ChemicalSystem to itself.
    """
    root = chain.root
    node_keys, edge_keys = read_members(root, field)
    edges = tuple(_transformation(chain, key, field) for key in edge_keys)
    nodes = dict.fromkeys(node_keys)
    for edge in edges:
        nodes.update({edge.state_a: None, edge.state_b: None})
    return NetworkContent(root.key, root.name, tuple(nodes), edges)


def read_members(network: Entry, field: str = "network") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys of the nodes, and of the edges, that an AlchemicalNetwork names itself.

    Raises
    ------
    InvalidKeyedChain
        It is something else, or a node or edge is not a reference.
    """
    if network.qualname != NETWORK:
        raise InvalidKeyedChain(f"`{field}` is the chain of a {network.qualname}, not of an {NETWORK}", field=field)
    return _keys(network, "nodes", field), _keys(network, "edges", field)


def _keys(entry: Entry, name: str, field: str) -> tuple[str, ...]:
    values = entry.content.get(name)
    if not isinstance(values, list):
        raise InvalidKeyedChain(f"`{field}`: {entry.key} has no list of `{name}`", field=field)
    keys = tuple(referenced_key(value) for value in values)
    found = tuple(key for key in keys if key is not None)
    if len(found) != len(keys) or len(set(found)) != len(found):
        raise InvalidKeyedChain(
            f"`{field}`: `{name}` of {entry.key} must be references, each to another object", field=field
        )
    return found


def _transformation(chain: KeyedChain, key: str, field: str) -> TransformationContent:
    entry = chain.by_key[key]
    non_transformation = "system" in entry.content
    names = ("system", "system", "protocol") if non_transformation else ("stateA", "stateB", "protocol")
    parts = [referenced_key(entry.content.get(name)) for name in names]
    missing = [name for name, part in zip(names, parts, strict=True) if part is None]
    if missing:
        raise InvalidKeyedChain(f"`{field}`: {key} has no reference in `{missing[0]}`", field=field)
    state_a, state_b, protocol = (part for part in parts if part is not None)
    if state_a == state_b and not non_transformation:
        raise InvalidKeyedChain(
            f"`{field}`: {key} uses the same ChemicalSystem for stateA and stateB; use a NonTransformation",
            field=field,
        )
    return TransformationContent(key, entry.name, state_a, state_b, protocol, non_transformation)
