"""The alchemical path: how the solute's interaction with the solvent changes from one state to the other."""

from collections.abc import Sequence
from itertools import pairwise

from alchemiscale_prefect.protocols.noble_gas.potential import Interaction
from alchemiscale_prefect.protocols.noble_gas.species import PairParameters, Species, mix


def alchemical_path(
    solvent: Species, solute_a: Species | None, solute_b: Species | None, lambdas: Sequence[float]
) -> list[Interaction]:
    """The solute-solvent interaction at each lambda.

    Between two species, the mixed epsilon and sigma go linearly from one to the other: both ends keep their hard core,
    so that no soft core is needed. Between a species and nothing (None), lambda couples it through the soft core.

    Parameters
    ----------
    solvent
        The solvent.
    solute_a, solute_b
        The solute at lambda 0 and at lambda 1; None where there is none.
    lambdas
        From 0 to 1, increasing.

    Raises
    ------
    ValueError
        If there is no solute in either state, or ``lambdas`` does not increase from 0 to 1.
    """
    if len(lambdas) < 2 or lambdas[0] != 0.0 or lambdas[-1] != 1.0:
        raise ValueError(f"lambdas must begin with 0 and end with 1, not {list(lambdas)}")
    if any(here >= after for here, after in pairwise(lambdas)):
        raise ValueError(f"lambdas must increase, not {list(lambdas)}")
    if solute_a is not None and solute_b is not None:
        a, b = mix(solvent, solute_a), mix(solvent, solute_b)
        return [
            Interaction(
                PairParameters(
                    epsilon=(1.0 - x) * a.epsilon + x * b.epsilon,
                    sigma=(1.0 - x) * a.sigma + x * b.sigma,
                )
            )
            for x in lambdas
        ]
    if solute_b is not None:
        pair = mix(solvent, solute_b)
        return [Interaction(pair, coupling=x) for x in lambdas]
    if solute_a is not None:
        pair = mix(solvent, solute_a)
        return [Interaction(pair, coupling=1.0 - x) for x in lambdas]
    raise ValueError("there is no solute in either state: nothing to change")
