"""How much single results of each Transformation scatter, from few results or none."""

from collections.abc import Sequence

import numpy as np

from alchemiscale_prefect.domain.result_summaries import ResultSummary
from alchemiscale_prefect.strategies.likelihood import FloatArray


def result_variances(summaries: Sequence[ResultSummary], prior_variance: float, prior_weight: float) -> FloatArray:
    """The variance of one result of each Transformation, in (kJ/mol)^2.

    The scatter of two or three results says little by itself, and one that comes out small by chance would leave its
    Transformation without any more. So each has a prior that counts as much as `prior_weight` results ::

        s_e^2 = (w p_e + Q_e) / (w + n_e - 1)

    with Q_e the sum of squared deviations of its n_e results from their mean (a scaled inverse chi-squared prior, and
    the posterior's scale). p_e is the square of the uncertainty u_e that its results state, times what that is wrong by
    in this network: (w + sum Q_e / u_e^2) / (w + sum (n_e - 1)). Without a stated uncertainty it is the scatter within
    the network's Transformations, (w p + sum Q_e) / (w + sum (n_e - 1)); without results the mean of those that have
    some, with p as w more.

    Parameters
    ----------
    summaries
        One for each Transformation.
    prior_variance
        p, of one result, before anything is known.
    prior_weight
        w, above zero.
    """
    squares = np.array([summary.squares for summary in summaries])
    freedom = np.array([max(summary.n_estimates - 1, 0) for summary in summaries], dtype=float)
    known = np.array([summary.n_estimates > 0 for summary in summaries], dtype=bool)
    stated = np.array([summary.stated_variance or 0.0 for summary in summaries])
    says = known & (stated > 0)
    wrong_by = (prior_weight + (squares[says] / stated[says]).sum()) / (prior_weight + freedom[says].sum())
    scatter = (prior_weight * prior_variance + squares.sum()) / (prior_weight + freedom.sum())
    prior = np.where(says, wrong_by * stated, scatter)
    variances = (prior_weight * prior + squares) / (prior_weight + freedom)
    mean = (prior_weight * prior_variance + variances[known].sum()) / (prior_weight + known.sum())
    found: FloatArray = np.where(known, variances, mean)
    return found
