"""The marginal likelihood of yes-or-no answers in groups that have normal deviations of their own, by adaptive Gauss-Hermite quadrature.

Where the answers of a group share their deviations and no other group does, the likelihood is a product over groups of integrals over a
few dimensions, which quadrature centred and scaled at each group's own mode gets to several digits (Pinheiro and Bates 1995). The Laplace
approximation, its first order, fails where groups differ much and answers of one kind are rare.
"""

import itertools
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit, log_ndtr, logsumexp

FloatArray = npt.NDArray[np.float64]
Link = Literal["probit", "logit"]

NODES = (25, 15, 15, 9)
"""Points along the first deviation of a group, the intercept, by how many it has, up to four; the last also where it has more."""

NODES_OF_OTHERS = (25, 5, 3, 3)
"""The same along each of its other deviations, which are small beside the intercept where answers are all alike."""

_NEWTON_STEPS = 50
_LOG_ROOT_TAU = 0.5 * np.log(2 * np.pi)


def marginal_likelihood(
    outcome: FloatArray, design: FloatArray, effects: FloatArray, groups: npt.NDArray[np.int64], link: Link
) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    """The negative log-likelihood of every group of Bernoulli rows, shape (g,), and its gradient, (g, p + k), by the parameters.

    outcome: shape (n,), 0 or 1. design: shape (n, p). effects: shape (n, k), what multiplies each of k deviations in a row, 0 where a
    row has none. groups: shape (n,), 0..g-1; the deviations of groups are independent, and so are those within a group. The function takes p
    coefficients and then the k standard deviations, whose signs do not matter. The gradient is that of the integral, by the same points.
    """
    n_groups = int(groups.max()) + 1
    used = np.zeros((n_groups, effects.shape[1]), bool)
    np.logical_or.at(used, groups, effects != 0)
    patterns, kinds = np.unique(used, axis=0, return_inverse=True)
    parts = []
    for number, pattern in enumerate(patterns):
        rows, own = kinds[groups] == number, np.flatnonzero(pattern)
        parts.append((np.flatnonzero(kinds == number), own, _Groups(outcome[rows], design[rows], effects[np.ix_(rows, own)], groups[rows], link)))
    n_terms = design.shape[1]

    def function(parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        value, gradient = np.zeros(n_groups), np.zeros((n_groups, len(parameters)))
        for which, own, part in parts:
            value[which], to_terms, to_spread = part(parameters[:n_terms], parameters[n_terms:][own])
            gradient[which, :n_terms] = to_terms
            gradient[np.ix_(which, n_terms + own)] = to_spread
        return value, gradient

    return function


class _Groups:
    """Groups with the same kinds of deviations; rows are padded to those of the largest group."""

    def __init__(self, outcome: FloatArray, design: FloatArray, effects: FloatArray, groups: npt.NDArray[np.int64], link: Link):
        _, codes = np.unique(groups, return_inverse=True)
        order = np.argsort(codes, kind="stable")
        sizes = np.bincount(codes)
        places = np.concatenate([np.arange(size) for size in sizes])

        def padded(values: FloatArray) -> FloatArray:
            out = np.zeros((len(sizes), sizes.max(), *values.shape[1:]))
            out[codes[order], places] = values[order]
            return out

        self.signs = padded(np.where(outcome > 0.5, 1.0, -1.0))
        self.there, self.design, self.effects = np.abs(self.signs), padded(design), padded(effects)
        self.link = link
        n_deviations = effects.shape[1]
        place = min(n_deviations, len(NODES)) - 1
        sizes_of_rules = [NODES[place]] + [NODES_OF_OTHERS[place]] * (n_deviations - 1)
        rules = [np.polynomial.hermite_e.hermegauss(size) for size in sizes_of_rules]
        self.nodes = np.array(list(itertools.product(*(nodes for nodes, _ in rules))))
        weights = np.array(list(itertools.product(*(weights / weights.sum() for _, weights in rules))))
        self.log_weights = np.log(weights).sum(axis=1) + (self.nodes**2).sum(axis=1) / 2
        self.mode = np.zeros((len(sizes), n_deviations))

    def __call__(self, terms: FloatArray, spread: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The negative log-likelihood, shape (g,), and its gradients by coefficients, (g, p), and standard deviations, (g, d)."""
        linear, effects = self.design @ terms, self.effects * spread
        information = self._find_modes(linear, effects)
        scale = np.linalg.inv(np.linalg.cholesky(information))
        points = self.mode[:, None] + self.nodes @ scale
        log_shares, slopes, _ = self._log_share(linear[:, None] + points @ effects.transpose(0, 2, 1))
        log_scale = np.log(np.diagonal(scale, axis1=1, axis2=2)).sum(axis=1)
        joint = log_shares.sum(axis=2) - (points**2).sum(axis=2) / 2 + self.log_weights + log_scale[:, None]
        value = logsumexp(joint, axis=1)
        pull = slopes * np.exp(joint - value[:, None])[:, :, None]
        to_terms = np.einsum("gm,gmp->gp", pull.sum(axis=1), self.design)
        to_spread = np.einsum("gqd,gqd->gd", pull @ self.effects, points)
        return -value, -to_terms, -to_spread

    def _find_modes(self, linear: FloatArray, effects: FloatArray) -> FloatArray:
        """Move to the mode of each group's standardised deviations given its answers, by Newton's method; returns the information there.

        Begins where the last call ended, which the parameters usually have not left far.
        """
        for _ in range(_NEWTON_STEPS):
            _, slopes, curvatures = self._log_share(linear + (effects @ self.mode[:, :, None])[:, :, 0])
            information = np.eye(effects.shape[2]) - (effects * curvatures[:, :, None]).transpose(0, 2, 1) @ effects
            away = (slopes[:, None] @ effects)[:, 0] - self.mode
            step = np.linalg.solve(information, away[:, :, None])[:, :, 0]
            self.mode = self.mode + np.clip(step, -1, 1)
            if np.abs(step).max(initial=0) < 1e-8:
                break
        return np.asarray(information)

    def _log_share(self, linear: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Logarithm of the probability of the answers and its derivatives by the linear predictor, of shape (g, m) or (g, q, m)."""
        signs, there = (self.signs, self.there) if linear.ndim == 2 else (self.signs[:, None], self.there[:, None])
        log_shares, slopes, curvatures = _log_share(signs * linear, self.link)
        return log_shares * there, slopes * signs, curvatures * there


def _log_share(margins: FloatArray, link: Link) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Logarithm of the probability of an answer given its margin, and the first and second derivatives."""
    if link == "logit":
        above = expit(-margins)
        return log_expit(margins), above, -above * (1 - above)
    log_shares = log_ndtr(margins)
    slopes = np.exp(-(margins**2) / 2 - _LOG_ROOT_TAU - log_shares)
    return log_shares, slopes, -slopes * (slopes + margins)
