"""How much single results of each Transformation scatter, from few results or none."""

from collections.abc import Sequence

import numpy as np

from alchemiscale_prefect.domain.result_summaries import ResultSummary
from alchemiscale_prefect.strategies.likelihood import FloatArray

_LEAST = 1e-6
"""No variance is taken for less than so much of the prior's, or for more than so many times less."""

_FAR = 10.0
"""As of a normal distribution's squares one in six hundred."""


def result_variances(
    summaries: Sequence[ResultSummary], prior_variance: float, prior_weight: float, caution: float = 2.0
) -> FloatArray:
    """The variance of one result of each Transformation, in (kJ/mol)^2.

    The scatter of two or three results says little by itself, and one that comes out small by chance would leave its
    Transformation without any more. So each has a prior that counts as much as `prior_weight` results ::

        s_e^2 = (w p_e + Q_e) / k_e  (1 + c / k_e),    k_e = w + n_e - 1

    with Q_e the sum of squared deviations of its n_e results from their mean: a scaled inverse chi-squared prior, and
    the posterior's scale. c is caution: whoever stops as soon as errors look small enough stops where they look smaller
    than they are, the more so the fewer results there are.

    p_e is the square of the uncertainty u_e that its results state, times what that is wrong by in this network:
    (w + sum Q_e / u_e^2) / (w + sum (n_e - 1)), where no Transformation counts as more than ten times as wrong as is
    typical, lest a single one that claims to be exact make all others seem to be wrong. Without a stated uncertainty
    it is what is typical of the network: the geometric mean of the variances Q_e / (n_e - 1), each corrected for what
    the logarithm of so few results is too low by, with p as w more; a few that scatter far more than others do not make
    all seem to. Without results s_e^2 is the mean of those that have some, with p as w more.

    Uncertainties below a thousandth of the prior's, or above a thousand times it, count as these: the least squares of
    a network that has both could not be computed.

    Parameters
    ----------
    summaries
        One for each Transformation.
    prior_variance
        p, of one result, before anything is known.
    prior_weight
        w, above zero.
    caution
        c; with 2 the errors at which UncertaintyStrategy stops are right to about a tenth on real networks, simulated.
    """
    squares = np.array([summary.squares for summary in summaries])
    freedom = np.array([max(summary.n_estimates - 1, 0) for summary in summaries], dtype=float)
    known = np.array([summary.n_estimates > 0 for summary in summaries], dtype=bool)
    stated = np.array([summary.stated_variance or 0.0 for summary in summaries])
    says = known & (stated > 0)
    least, most = _LEAST * prior_variance, prior_variance / _LEAST
    stated = np.clip(stated, least, most)
    wrong_by = _wrong_by(squares[says] / stated[says], freedom[says], prior_weight)
    prior = np.where(says, wrong_by * stated, _typical(squares, freedom, prior_variance, prior_weight))
    worth = prior_weight + freedom
    variances = np.clip((prior_weight * prior + squares) / worth * (1 + caution / worth), least, most)
    mean = (prior_weight * prior_variance + variances[known].sum()) / (prior_weight + known.sum())
    found: FloatArray = np.where(known, variances, mean)
    return found


def _wrong_by(squares: FloatArray, freedom: FloatArray, prior_weight: float) -> float:
    """The mean of squares in units of stated variances, for each degree of freedom."""
    most = _FAR * _typical(squares, freedom, 1.0, prior_weight) * freedom
    return float((prior_weight + np.minimum(squares, most).sum()) / (prior_weight + freedom.sum()))


def _typical(squares: FloatArray, freedom: FloatArray, prior_variance: float, prior_weight: float) -> float:
    """The geometric mean of sample variances; of k degrees of freedom the logarithm is low by about 1 / k."""
    repeated = freedom > 0
    least = _LEAST * prior_variance  # repeats that agree to the last digit have no logarithm
    logarithms = np.log(np.maximum(squares[repeated] / freedom[repeated], least)) + 1 / freedom[repeated]
    total = prior_weight * np.log(prior_variance) + logarithms.sum()
    return float(np.exp(total / (prior_weight + repeated.sum())))
