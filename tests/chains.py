"""Keyed chains without gufe: small networks as JSON, with keys made of their content as gufe makes them."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

Pair = list[Any]
Chain = list[Pair]


def pair(qualname: str, content: dict[str, Any], *, module: str = "gufe.tests", line: str = "1") -> Pair:
    """One object: ``[key, keyed dict]``."""
    keyed: dict[str, Any] = {"__qualname__": qualname, "__module__": module, **content}
    if line == "1":
        keyed[":version:"] = 1
    token = hashlib.md5(json.dumps(keyed, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
    return [f"{qualname}-{token}", keyed]


def reference(of: Pair) -> dict[str, str]:
    """How another object names this one."""
    return {":gufe-key:": of[0]}


def chemical_systems(names: Iterable[str], line: str = "1") -> tuple[Pair, list[Pair], list[Pair]]:
    """A solvent, and for each name a ligand and a system of the two."""
    solvent = pair("SolventComponent", {"smiles": "O", "ion_concentration": 0.15}, line=line)
    ligands = [pair("SmallMoleculeComponent", {"name": name, "atoms": list(range(20))}, line=line) for name in names]
    systems = [
        pair(
            "ChemicalSystem",
            {"name": ligand[1]["name"], "components": {"ligand": reference(ligand), "solvent": reference(solvent)}},
            line=line,
        )
        for ligand in ligands
    ]
    return solvent, ligands, systems


def network_chain(
    name: str | None = "network",
    systems: Sequence[str] = ("a", "b", "c"),
    edges: Sequence[tuple[int, int]] | None = None,
    *,
    protocol_settings: Any = None,
    line: str = "1",
) -> Chain:
    """The chain of an AlchemicalNetwork.

    Parameters
    ----------
    edges
        Pairs of indices of `systems`; two equal ones make a NonTransformation. By default a star from the first system
        and a NonTransformation on the last.
    """
    if edges is None:
        edges = [(0, n) for n in range(1, len(systems))] + [(len(systems) - 1, len(systems) - 1)]
    solvent, ligands, nodes = chemical_systems(systems, line)
    protocol = pair("DummyProtocol", {"settings": protocol_settings or {"steps": 10}}, line=line)
    transformations = [_edge(nodes[a], nodes[b], protocol, line) for a, b in edges]
    root = pair(
        "AlchemicalNetwork",
        {"nodes": [reference(node) for node in nodes], "edges": [reference(edge) for edge in transformations]}
        | {"name": name},
        line=line,
    )
    return [solvent, *ligands, *nodes, protocol, *transformations, root]


def _edge(a: Pair, b: Pair, protocol: Pair, line: str) -> Pair:
    if a is b:
        content = {"system": reference(a), "protocol": reference(protocol), "name": f"{a[1]['name']} alone"}
        return pair("NonTransformation", content, line=line)
    names = f"{a[1]['name']} to {b[1]['name']}"
    content = {"stateA": reference(a), "stateB": reference(b), "protocol": reference(protocol), "name": names}
    return pair("Transformation", {**content, "mapping": None}, line=line)


def keys_of(chain: Chain, *qualnames: str) -> list[str]:
    """Keys of the chain's objects of these classes, in its order."""
    return [key for key, content in chain if content["__qualname__"] in qualnames]


def with_other_keys(chain: Chain) -> Chain:
    """The same objects under other keys, as another version of gufe might have given them."""
    text = json.dumps(chain)
    for key, _ in chain:
        qualname, _, token = key.rpartition("-")
        text = text.replace(f'"{key}"', f'"{qualname}-{token[::-1]}"')
    changed: Chain = json.loads(text)
    return changed
