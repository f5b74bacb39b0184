"""AlchemicalNetworks: checks before one is sent, and new ones made of what the server has."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from alchemiscale_prefect.chemistry import keyed_chains as chains
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation, Transformation
from alchemiscale_prefect.chemistry.versions import GUFE_LINE, GUFE_VERSION
from alchemiscale_prefect.domain import keyed_chains
from alchemiscale_prefect.domain.errors import GufeVersionConflict, InvalidInput
from alchemiscale_prefect.domain.keyed_chains import REFERENCE
from alchemiscale_prefect.domain.network_content import read_network

NetworkPair = tuple[str, dict[str, Any]]
"""The key of an AlchemicalNetwork and its keyed dict: what a keyed chain holds of the network alone."""


def transformations_by_key(network: AlchemicalNetwork) -> dict[str, Transformation | NonTransformation]:
    """The network's edges by their gufe key, in the order of the keys: the same in every process."""
    return {str(edge.key): edge for edge in sorted(network.edges, key=lambda edge: str(edge.key))}


def network_pair(nodes: Iterable[str], edges: Iterable[str], name: str | None) -> NetworkPair:
    """The AlchemicalNetwork of ChemicalSystems and Transformations that are known by their keys.

    It has the key that gufe gives it. The objects are not needed: they keep the keys they have, which this process's
    gufe, or the classes installed here, might compute otherwise.

    Parameters
    ----------
    nodes
        Keys of ChemicalSystems, those of the edges among them.
    edges
        Keys of Transformations and NonTransformations.
    """
    network = AlchemicalNetwork(name=name)
    document: dict[str, Any] = {
        **network.to_keyed_dict(),
        "nodes": [{REFERENCE: key} for key in sorted(set(nodes))],
        "edges": [{REFERENCE: key} for key in sorted(set(edges))],
    }
    return f"AlchemicalNetwork-{chains.content_token(network, document)}", document


def extended(
    text: bytes, transformations: Sequence[Transformation | NonTransformation], name: str | None
) -> bytes | None:
    """The keyed chain of a network with more edges, the old ones under the keys that they have.

    Parameters
    ----------
    text
        JSON text of the network's keyed chain.
    name
        Of the new network; ``None`` for that of the old one.

    Returns
    -------
    bytes or None
        JSON text; ``None`` if the new network is the old one.

    Raises
    ------
    InvalidKeyedChain
        The text is no keyed chain of an AlchemicalNetwork.
    GufeVersionConflict
        The other major line of gufe wrote it.
    """
    chain = keyed_chains.parse(json.loads(text))
    if (chain.gufe_line == "0") != (GUFE_LINE == "0"):
        raise GufeVersionConflict(
            f"{chain.root.key} was written by gufe {chain.gufe_line}.x and this process has gufe {GUFE_VERSION}; keys "
            f"of the two are not interchangeable: use gufe {chain.gufe_line}.x",
            field="network",
        )
    old = read_network(chain)
    edges = {edge.key for edge in old.transformations}
    new = {key: edge for edge in transformations if (key := str(edge.key)) not in edges}
    name = old.name if name is None else name
    if not new and name == old.name:
        return None
    pairs: dict[str, Any] = {entry.key: entry.content for entry in chain.entries[:-1]}
    nodes = set(old.chemical_systems)
    for edge in new.values():
        for key, content in json.loads(chains.to_json(edge)):
            pairs.setdefault(key, content)
        nodes.update((str(edge.stateA.key), str(edge.stateB.key)))
    key, document = network_pair(nodes, {*edges, *new}, name)
    return json.dumps([*pairs.items(), (key, document)]).encode()


def check_no_self_transformations(network: AlchemicalNetwork) -> None:
    """Refuse a Transformation between a ChemicalSystem and itself; a NonTransformation is meant for that.

    Raises
    ------
    InvalidInput
        Also a ValueError. Names every such Transformation.
    """
    wrong = [
        f"{key} ({edge.name})" if edge.name else key
        for key, edge in transformations_by_key(network).items()
        if not isinstance(edge, NonTransformation) and edge.stateA == edge.stateB
    ]
    if wrong:
        raise InvalidInput(
            f"Transformations whose stateA is their stateB: {', '.join(wrong)}; use a NonTransformation instead",
            field="network",
        )
