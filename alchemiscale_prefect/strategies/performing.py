"""Performing a Strategy on what is stored: it is built, given the results, and asked for its proposal."""

import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from alchemiscale_prefect.chemistry import keyed_chains, results, summaries
from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, ProtocolDAGResult
from alchemiscale_prefect.chemistry.networks import transformations_by_key
from alchemiscale_prefect.chemistry.summaries import NetworkResults
from alchemiscale_prefect.domain.errors import InvalidInput
from alchemiscale_prefect.domain.iterations import Document, Material, Proposed
from alchemiscale_prefect.strategies.base import LIMITS, Strategy, proposed_weights

# gufe shares equal objects through a registry that is not made for threads
_DECODING = threading.Lock()

_SUMMARIES_SUFFICE = ("alchemiscale_prefect", "stratocaster")
"""Packages whose Strategies read of a ProtocolResult no more than a summary has."""


def propose(material: Material) -> Proposed:
    """Ask a network's Strategy for its proposal.

    A Strategy reads summaries if it is one of ours or of stratocaster's, or if its class says ``reads_summaries =
    True``; then what it costs does not grow with the results there are. Any other gets the ProtocolResults that its
    Protocols gather, from all results: reading them is most of the cost.

    Raises
    ------
    InvalidKeyedChain, ModuleNotAllowed, GufeVersionConflict
        Network or Strategy cannot be built here.
    InvalidInput
        What is built is no Strategy, or gives no weights.
    Exception
        Whatever the Strategy raises.
    """
    with _DECODING:
        objects = keyed_chains.objects_from_json(material.network.text, gufe_version=material.network.gufe_version)
        strategy: Any = keyed_chains.from_json(material.strategy.text, gufe_version=material.strategy.gufe_version)
    network: Any = next(reversed(objects.values()))
    if not callable(getattr(strategy, "propose", None)):
        raise InvalidInput(
            f"{type(strategy).__qualname__} is no Strategy: it has no method `propose`", field="strategy"
        )
    # a class that has changed since gives its objects other keys than they are stored under
    edges = transformations_by_key(network)
    stored_as = {str(obj.key): key for key, obj in objects.items() if str(obj.key) in edges}
    if reads_summaries(strategy):
        found = {str(objects[key].key): summary for key, summary in material.summaries.items()}
        given = summaries.protocol_results(network, found, material.others)
    else:
        given = _gathered(network, material, stored_as)
    proposal = strategy.propose(network, given)
    weights = proposed_weights(proposal)
    return Proposed({stored_as.get(key, key): weight for key, weight in weights.items()}, **_limits(proposal))


def reads_summaries(strategy: Any) -> bool:
    """Whether summaries are enough for a Strategy, and for those that it is made of."""
    said = getattr(strategy, "reads_summaries", None)
    if said is None:
        said = type(strategy).__module__.partition(".")[0] in _SUMMARIES_SUFFICE
    inner = [getattr(strategy, "strategy", None), *(getattr(strategy, "strategies", None) or ())]
    wrapped = [one for one in inner if one is not None] if isinstance(strategy, Strategy) else []
    return bool(said) and all(reads_summaries(one) for one in wrapped)


def _gathered(network: AlchemicalNetwork, material: Material, stored_as: Mapping[str, str]) -> NetworkResults:
    read: dict[str, list[ProtocolDAGResult]] = defaultdict(list)
    for transformation, document in material.results():
        read[transformation].append(_decoded(document))
    edges = transformations_by_key(network).items()
    return NetworkResults(
        {edge.key: results.gather(edge, read[stored_as[key]]) for key, edge in edges}, material.others
    )


def _decoded(document: Document) -> Any:
    with _DECODING:
        return keyed_chains.decompress(document.text, gufe_version=document.gufe_version)


def _limits(proposal: Any) -> dict[str, int | None]:
    limits = {name: getattr(proposal, name, None) for name in LIMITS}
    for name, limit in limits.items():
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
            raise InvalidInput(f"`{name}` of a Strategy's proposal must be an integer, not {limit!r}", field=name)
    return limits
