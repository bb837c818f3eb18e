"""The marginal likelihood of yes-or-no answers with one random intercept each, by adaptive Gauss-Hermite quadrature.

Where every answer has a single random intercept the likelihood is a product of one-dimensional integrals, which
quadrature centred and scaled at each group's own mode gets to many digits (Pinheiro and Bates 1995). The Laplace approximation, its
first order, fails where groups differ much and answers of one kind are rare.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit, log_ndtr, logsumexp

FloatArray = npt.NDArray[np.float64]
Link = Literal["probit", "logit"]

NODES = 25

_NEWTON_STEPS = 50
_LOG_ROOT_TAU = 0.5 * np.log(2 * np.pi)


def marginal_likelihood(
    outcome: FloatArray, design: FloatArray, kinds: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], link: Link
) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    """The negative log-likelihood of every group of Bernoulli rows, shape (g,), and its gradient, (g, p + k), by the parameters.

    outcome: shape (n,), 0 or 1. design: shape (n, p). kinds: shape (n,), 0..k-1, which standard deviation a row's group
    has. groups: shape (n,), 0..g-1; all rows of a group are of one kind. The function takes p coefficients and then the k
    logarithms of the standard deviations.
    """
    signs = np.where(outcome > 0.5, 1.0, -1.0)
    n_terms, n_kinds = design.shape[1], int(kinds.max()) + 1
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    kind_of_group = kinds[order][starts]
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    log_weights = np.log(weights) + nodes**2 / 2

    def by_group(values: FloatArray) -> FloatArray:
        return np.add.reduceat(values[order], starts, axis=0)

    def function(parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        linear = design @ parameters[:n_terms]
        spread = np.exp(parameters[n_terms:])[kinds]
        mode, scale = _modes(signs, linear, spread, groups, by_group, link)
        points = mode[:, None] + scale[:, None] * nodes
        margins = signs[:, None] * (linear[:, None] + spread[:, None] * points[groups])
        log_shares, slopes, _ = _log_share(margins, link)
        joint = by_group(log_shares) - points**2 / 2 - _LOG_ROOT_TAU + log_weights + np.log(scale)[:, None]
        per_group = logsumexp(joint, axis=1)
        posterior = np.exp(joint - per_group[:, None])
        pull = signs[:, None] * slopes * posterior[groups]
        to_spread = by_group((pull * spread[:, None] * points[groups]).sum(axis=1))
        to_terms = by_group(design * pull.sum(axis=1)[:, None])
        return -per_group, -np.column_stack([to_terms, to_spread[:, None] * (kind_of_group[:, None] == np.arange(n_kinds))])

    return function


def _modes(
    signs: FloatArray,
    linear: FloatArray,
    spread: FloatArray,
    groups: npt.NDArray[np.int64],
    by_group: Callable[[FloatArray], FloatArray],
    link: Link,
) -> tuple[FloatArray, FloatArray]:
    """Mode of each group's standardised intercept given its answers, and the scale of the peak there; Newton's method."""
    mode = np.zeros(int(groups.max()) + 1)
    for _ in range(_NEWTON_STEPS):
        _, slopes, curvatures = _log_share(signs * (linear + spread * mode[groups]), link)
        information = 1 - by_group(spread**2 * curvatures)
        step = (by_group(signs * spread * slopes) - mode) / information
        mode = mode + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-8:
            break
    return mode, 1 / np.sqrt(information)


def _log_share(margins: FloatArray, link: Link) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Logarithm of the probability of an answer given its margin, and the first and second derivatives."""
    if link == "logit":
        above = expit(-margins)
        return log_expit(margins), above, -above * (1 - above)
    log_shares = log_ndtr(margins)
    slopes = np.exp(-(margins**2) / 2 - _LOG_ROOT_TAU - log_shares)
    return log_shares, slopes, -slopes * (slopes + margins)
