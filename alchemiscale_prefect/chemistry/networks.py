"""Checks of an AlchemicalNetwork before it is sent."""

from alchemiscale_prefect.chemistry.base import AlchemicalNetwork, NonTransformation, Transformation
from alchemiscale_prefect.domain.errors import InvalidInput


def transformations_by_key(network: AlchemicalNetwork) -> dict[str, Transformation | NonTransformation]:
    """The network's edges by their gufe key, in the order of the keys: the same in every process."""
    return {str(edge.key): edge for edge in sorted(network.edges, key=lambda edge: str(edge.key))}


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
