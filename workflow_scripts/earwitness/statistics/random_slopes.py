"""Mixed models of counts along one predictor: every group (subject, listener, source) has an intercept and a slope of its own."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from earwitness.core.errors import InputError

FloatArray = npt.NDArray[np.float64]

NODES = 9
"""Quadrature points per random effect; 1 is Laplace's approximation."""

LARGEST_GRADIENT = 0.05
"""Largest Newton step that may be left at convergence, in standard errors."""

LARGEST_ERROR = 20.0
"""A coefficient's larger standard error counts as infinite: on the probit's scale, 8 is certainty in double precision."""

LAPSE_PENALTY = 10.0
"""Of a fitted lapse rate: the density Beta(1, 10), as of a psychometric function's (`psychometrics.fitting.RangePrior`)."""

_LARGEST_LAPSE = 0.9
_FIRST_LAPSE_LOGIT = -3.0
_FLAT = 1e-3
"""Least information of a parameter that is not at its boundary."""

_TINY = 1e-12
_MODE_STEPS = 50


@dataclass(frozen=True)
class GroupedCounts:
    """Answers of a yes-or-no kind, added up.

    yes, total: shape (n,), 0 <= yes <= total. design: shape (n, n_effects). predictor: shape (n,), what slopes are over.
    groups: shape (n,), the group of every row. guess, lapse: rates, so that P(yes) = guess + (1 - guess - lapse) F(design @
    coefficients + intercept + slope x predictor); a lapse rate that is None is fitted, one for all groups. link: "probit" or "logit".
    """

    yes: FloatArray
    total: FloatArray
    design: FloatArray
    predictor: FloatArray
    groups: npt.NDArray[np.str_]
    guess: float = 0.0
    lapse: float | None = 0.0
    link: str = "probit"

    @property
    def n_groups(self) -> int:
        return len(np.unique(self.groups))


@dataclass(frozen=True)
class RandomSlopesFit:
    """The maximum of the marginal likelihood.

    coefficients: shape (n_effects,). lapse: the lapse rate, known or fitted. covariance: of the coefficients, from the observed information of all
    parameters together, a fitted lapse rate among them, as lme4's.
    robust: the same from leaving out one group at a time, in one Newton step with the deviations held and a fitted lapse rate
    free (Bell and McCaffrey 2002), which holds too where groups differ in effects that have no deviation in the model; nan where a group cannot
    be left out.
    sd_intercept, sd_slope, correlation: of the groups. log_likelihood: of the counts, binomial coefficients included. largest_step: the Newton
    step that is left, in standard errors; inf where the likelihood has no proper maximum.
    """

    coefficients: FloatArray
    lapse: float
    covariance: FloatArray
    robust: FloatArray
    sd_intercept: float
    sd_slope: float
    correlation: float
    log_likelihood: float
    largest_step: float

    @property
    def converged(self) -> bool:
        """Whether the maximum is found and proper: answers that are all alike leave coefficients unknown."""
        return self.largest_step < LARGEST_GRADIENT and float(np.sqrt(np.diag(self.covariance)).max()) < LARGEST_ERROR


def fit_random_slopes(data: GroupedCounts, nodes: int = NODES) -> RandomSlopesFit:
    """Maximise the marginal likelihood, with intercepts and slopes of groups from a bivariate normal distribution.

    Adaptive Gauss-Hermite quadrature (Liu and Pierce 1994) with `nodes` points per effect around each group's mode; the deviations are L v with v
    standard normal and L lower triangular, so that a variance of 0 is a point like any other. Raises InputError where there is one group.
    """
    if data.n_groups < 2:
        raise InputError("a mixed model needs at least 2 sources: add a column `source`, or leave the mixed model out")
    likelihood = _MarginalLikelihood(data, nodes)
    n_effects, n_first = data.design.shape[1], likelihood.n_first
    start = np.concatenate([likelihood.without_groups(), np.full(n_first - n_effects, _FIRST_LAPSE_LOGIT), [0.3, 0.0, 0.3]])
    found = optimize.minimize(likelihood, start, method="BFGS", options={"gtol": 1e-4, "maxiter": 300})
    found = optimize.minimize(likelihood, found.x, method="BFGS", options={"gtol": 1e-5, "maxiter": 300})
    gradient, information = _derivatives(likelihood, found.x, len(found.x))
    first, mixed, second = found.x[n_first:]
    slope = math.hypot(mixed, second)
    # Deviations at a boundary (a variance of 0) and a lapse rate of 0 are held there.
    free = np.ones(len(found.x), bool)
    free[n_effects:] = np.diag(information)[n_effects:] > _FLAT
    try:
        kept = information[np.ix_(free, free)]
        np.linalg.cholesky(kept)
        covariance = np.linalg.inv(kept)
        step = float(np.max(np.abs(covariance @ gradient[free]) / np.sqrt(np.diag(covariance))))
    except np.linalg.LinAlgError:
        covariance, step = np.full((n_effects, n_effects), np.nan), math.inf
    return RandomSlopesFit(
        found.x[:n_effects],
        likelihood.lapse(found.x),
        covariance[:n_effects, :n_effects],
        _robust(likelihood, found.x, n_effects, data.lapse is None and bool(free[n_effects])),
        abs(float(first)),
        slope,
        float(mixed / slope * np.sign(first)) if slope > 0 and first != 0 else math.nan,
        -float(found.fun) - likelihood.penalty(found.x) + _log_ways(data),
        step,
    )


def _log_ways(data: GroupedCounts) -> float:
    """Logarithm of the binomial coefficients."""
    return float((special.gammaln(data.total + 1) - special.gammaln(data.yes + 1) - special.gammaln(data.total - data.yes + 1)).sum())


class _MarginalLikelihood:
    """Minus the log-likelihood (without binomial coefficients) of coefficients, the logit of a fitted lapse rate over its limit, and the three
    entries of L; groups are padded to one length. A fitted lapse rate has a Beta penalty, which is shared out equally among the groups."""

    def __init__(self, data: GroupedCounts, nodes: int):
        names, codes = np.unique(data.groups, return_inverse=True)
        order = np.argsort(codes, kind="stable")
        places = np.concatenate([np.arange(count) for count in np.bincount(codes)])
        shape = len(names), int(places.max()) + 1

        def padded(values: FloatArray) -> FloatArray:
            out = np.zeros((*shape, *values.shape[1:]))
            out[codes[order], places] = values[order]
            return out

        self.yes, self.total, self.design = padded(data.yes), padded(data.total), padded(data.design)
        self.effects = padded(np.stack([np.ones_like(data.predictor), data.predictor], axis=1))
        self.guess, self.known_lapse, self.link = data.guess, data.lapse, data.link
        self.n_effects = data.design.shape[1]
        self.n_first = self.n_effects + (data.lapse is None)
        points, weights = np.polynomial.hermite.hermgauss(nodes)
        pairs = np.array(list(itertools.product(range(nodes), repeat=2)))
        self.points = points[pairs]
        self.log_weights = np.log(weights[pairs]).sum(axis=1) + (self.points**2).sum(axis=1)

    def __call__(self, parameters: FloatArray) -> float:
        return -float(self.by_group(parameters).sum())

    def by_group(self, parameters: FloatArray) -> FloatArray:
        """The log-likelihood of every group, shape (n_groups,)."""
        fixed, lower, lapse = self._parts(parameters)
        effects = self.effects @ lower
        mode, information = self._mode(fixed, effects, lapse)
        root = np.linalg.cholesky(np.linalg.inv(information))
        at = mode[:, None] + math.sqrt(2) * np.einsum("gij,nj->gni", root, self.points)
        values = self._log_density(fixed[:, None] + np.einsum("gmi,gni->gnm", effects, at), lapse) - 0.5 * (at**2).sum(axis=-1)
        by_group = special.logsumexp(values + self.log_weights, axis=1) + np.log(np.linalg.det(root)) - math.log(math.pi)
        return np.asarray(by_group + self.penalty(parameters) / len(by_group))

    def lapse(self, parameters: FloatArray) -> float:
        """The lapse rate."""
        if self.known_lapse is not None:
            return self.known_lapse
        return float(_LARGEST_LAPSE * (1 - self.guess) * special.expit(parameters[self.n_effects]))

    def penalty(self, parameters: FloatArray) -> float:
        """The logarithm of the Beta density of a fitted lapse rate, but for a constant."""
        return 0.0 if self.known_lapse is not None else (LAPSE_PENALTY - 1) * math.log1p(-self.lapse(parameters))

    def without_groups(self) -> FloatArray:
        """Coefficients where all groups are alike, by Fisher scoring."""
        coefficients = np.zeros(self.design.shape[-1])
        for _ in range(_MODE_STEPS):
            score, weight = self._score_and_weight(self.design @ coefficients, self.known_lapse or 0.0)
            information = np.einsum("gmi,gm,gmj->ij", self.design, weight, self.design) + 1e-6 * np.eye(len(coefficients))
            step = np.linalg.solve(information, np.einsum("gmi,gm->i", self.design, score))
            coefficients = coefficients + step / max(1.0, float(np.abs(step).max()))
            if np.abs(step).max() < 1e-6:
                break
        return coefficients

    def _parts(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        first, mixed, second = parameters[self.n_first :]
        return self.design @ parameters[: self.n_effects], np.array([[first, 0.0], [mixed, second]]), self.lapse(parameters)

    def _mode(self, fixed: FloatArray, effects: FloatArray, lapse: float) -> tuple[FloatArray, FloatArray]:
        """The most likely standard-normal effects of every group, shape (n_groups, 2), and their information, by damped Fisher scoring."""
        v = np.zeros((len(fixed), 2))

        def value(v: FloatArray) -> FloatArray:
            return self._log_density((fixed + np.einsum("gmi,gi->gm", effects, v))[:, None], lapse)[:, 0] - 0.5 * (v**2).sum(axis=1)

        best = value(v)
        for _ in range(_MODE_STEPS):
            score, weight = self._score_and_weight(fixed + np.einsum("gmi,gi->gm", effects, v), lapse)
            information = np.einsum("gmi,gm,gmj->gij", effects, weight, effects) + np.eye(2)
            step = np.linalg.solve(information, (np.einsum("gmi,gm->gi", effects, score) - v)[..., None])[..., 0]
            scale = np.ones(len(v))
            for _ in range(20):
                proposed = value(v + scale[:, None] * step)
                worse = proposed < best - 1e-12
                if not worse.any():
                    break
                scale[worse] /= 2
            v, best = v + scale[:, None] * step, np.maximum(proposed, best)
            if np.abs(step).max() < 1e-9:
                break
        _, weight = self._score_and_weight(fixed + np.einsum("gmi,gi->gm", effects, v), lapse)
        return v, np.einsum("gmi,gm,gmj->gij", effects, weight, effects) + np.eye(2)

    def _probability(self, eta: FloatArray, lapse: float) -> FloatArray:
        share = special.ndtr(eta) if self.link == "probit" else special.expit(eta)
        return np.asarray(np.clip(self.guess + (1 - self.guess - lapse) * share, _TINY, 1 - _TINY))

    def _log_density(self, eta: FloatArray, lapse: float) -> FloatArray:
        """Of all answers of a group; eta: shape (n_groups, n_points, n_rows)."""
        p = self._probability(eta, lapse)
        return np.asarray((self.yes[:, None] * np.log(p) + (self.total - self.yes)[:, None] * np.log1p(-p)).sum(axis=-1))

    def _score_and_weight(self, eta: FloatArray, lapse: float) -> tuple[FloatArray, FloatArray]:
        p = self._probability(eta, lapse)
        density = np.exp(-0.5 * eta**2) / math.sqrt(2 * math.pi) if self.link == "probit" else special.expit(eta) * special.expit(-eta)
        slope = (1 - self.guess - lapse) * density
        return (self.yes - self.total * p) * slope / (p * (1 - p)), self.total * slope**2 / (p * (1 - p))


def _robust(likelihood: _MarginalLikelihood, at: FloatArray, n_effects: int, lapse_free: bool) -> FloatArray:
    """The jackknife covariance of the coefficients over groups, with a fitted lapse rate free, or held where it has no maximum without each group."""
    for n_first in (n_effects + 1, n_effects) if lapse_free else (n_effects,):
        score, information = _derivatives(likelihood.by_group, at, n_first)
        left = np.moveaxis(-information, -1, 0)
        left = left.sum(axis=0) - left
        if np.linalg.eigvalsh(left).min() > 0:
            shifts = np.linalg.solve(left, score.T[..., None])[:, :n_effects, 0]
            away = shifts - shifts.mean(axis=0)
            return np.asarray((len(away) - 1) / len(away) * away.T @ away)
    return np.full((n_effects, n_effects), np.nan)


def _derivatives(function: Callable[[FloatArray], Any], at: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Gradient, shape (n, ...), and Hessian, shape (n, n, ...), of a function of shape (...) in its first n parameters, by central differences."""
    steps = 1e-3 * np.maximum(1.0, np.abs(at))
    moves = np.diag(steps)[:n]
    centre = np.asarray(function(at))
    ahead, back = (np.array([function(at + sign * move) for move in moves]) for sign in (1, -1))
    hessian = np.zeros((n, n, *centre.shape))
    for i in range(n):
        hessian[i, i] = (ahead[i] + back[i] - 2 * centre) / steps[i] ** 2
    for i, j in itertools.combinations(range(n), 2):
        corners = function(at + moves[i] + moves[j]) - function(at + moves[i] - moves[j]) - function(at - moves[i] + moves[j])
        hessian[i, j] = hessian[j, i] = (corners + function(at - moves[i] - moves[j])) / (4 * steps[i] * steps[j])
    return (ahead - back) / (2 * steps[:n].reshape(-1, *[1] * centre.ndim)), hessian
