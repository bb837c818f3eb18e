"""Penalised maximum-likelihood fits of many psychometric functions at once."""

import numpy as np
import numpy.typing as npt
from scipy import special

from earwitness.psychometrics.functions import Curves, Family, FloatArray

LAPSE_PRIOR = (1.2, 10.0)
"""Beta penalty on a fitted lapse rate. It keeps the rate small where a shallow slope would fit the data as well."""

LOCATION_SD = 2.0
SCALE_MEDIAN, LOG_SCALE_SD = 0.5, 1.5
"""Standard deviations of the normal penalties on location and log scale, in halves of the tested range; too wide to matter where data tell."""

_LIMITS = np.array([[-6.0, np.log(0.02), -15.0], [6.0, np.log(20.0), 15.0]])
_START_LAPSE_LOGITS = np.array([-5.0, -1.5, 0.3])
_TINY = 1e-12
_MOST_STEPS = 40
_SMALL_GAIN = 1e-6
"""Iterations end at the first step that promises less log-likelihood than this."""


def fit_curves(levels: npt.ArrayLike, correct: npt.ArrayLike, total: npt.ArrayLike, family: Family) -> Curves:
    """Fit one psychometric function per row of counts.

    levels: shape (n_levels,), on the axis of the fit (take logarithms first), not all equal. correct, total: shape
    (n_curves, n_levels), 0 <= correct <= total, not necessarily whole; a level without trials counts for nothing.

    The objective is the binomial log-likelihood, with a Beta penalty on the lapse rate (Kuss, Jäkel and Wichmann 2005) and weak penalties on
    location and scale. A coarse grid gives one starting point per lapse rate; Fisher scoring with Levenberg's damping climbs from each,
    and the best end counts. Several starts are needed, because a small lapse rate with a shallow slope often fits nearly as well as a
    large one with a steep slope.
    """
    x = np.asarray(levels, dtype=np.float64)
    k, n = np.atleast_2d(np.asarray(correct, dtype=np.float64)), np.atleast_2d(np.asarray(total, dtype=np.float64))
    middle, half = (x.min() + x.max()) / 2, (x.max() - x.min()) / 2
    problem = _Problem((x - middle) / half, family)
    theta = problem.best(k, n)
    return Curves(family, middle + half * theta[:, 0], half * np.exp(theta[:, 1]), problem.lapse(theta))


def deviance(levels: npt.ArrayLike, correct: FloatArray, total: FloatArray, curves: Curves) -> FloatArray:
    """Twice the log-likelihood ratio of the saturated model and the curve; shape (n_curves,)."""
    psi = np.clip(curves.at(levels), _TINY, 1 - _TINY)
    share = np.divide(correct, total, out=np.zeros_like(psi), where=total > 0)
    saturated = special.xlogy(correct, share) + special.xlogy(total - correct, 1 - share)
    return np.asarray(2 * (saturated - special.xlogy(correct, psi) - special.xlogy(total - correct, 1 - psi)).sum(axis=1))


class _Problem:
    """Levels scaled to [-1, 1]; theta is (location, log scale, logit of lapse / its limit), shape (n_curves, 3)."""

    def __init__(self, levels: FloatArray, family: Family):
        self.levels, self.family = levels, family
        self.largest_lapse = 0.9 * (1 - family.guess_rate)

    def lapse(self, theta: FloatArray) -> FloatArray:
        if self.family.lapse_rate is not None:
            return np.full(len(theta), self.family.lapse_rate)
        return np.asarray(self.largest_lapse * special.expit(theta[:, 2]))

    def best(self, k: FloatArray, n: FloatArray) -> FloatArray:
        starts = self.starts(k, n)
        shape = len(starts), len(k)
        many_k, many_n = (np.tile(counts, (len(starts), 1)) for counts in (k, n))
        ends = self.improve(starts.reshape(-1, 3), many_k, many_n)
        best = self._objective(ends, many_k, many_n).reshape(shape).argmax(axis=0)
        return np.asarray(ends.reshape(*shape, 3)[best, np.arange(len(k))])

    def starts(self, k: FloatArray, n: FloatArray) -> FloatArray:
        """The best point of the grid for each of its lapse rates; shape (n_lapse_rates, n_curves, 3)."""
        logits = _START_LAPSE_LOGITS if self.family.lapse_rate is None else np.zeros(1)
        axes = logits, np.linspace(-2, 2, 11), np.log([0.05, 0.12, 0.3, 0.7, 1.5, 4.0])
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)[..., [1, 2, 0]].reshape(-1, 3)
        psi = self._psi(grid)[0]
        likelihood = k @ np.log(psi).T + (n - k) @ np.log1p(-psi).T - self._penalty(grid)
        per_lapse = likelihood.reshape(len(k), len(logits), -1).argmax(axis=2)
        return np.asarray(grid.reshape(len(logits), -1, 3)[np.arange(len(logits)), per_lapse].transpose(1, 0, 2))

    def improve(self, theta: FloatArray, k: FloatArray, n: FloatArray) -> FloatArray:
        theta = theta.copy()
        active = np.arange(len(theta))
        value, damping = self._objective(theta, k, n), np.full(len(theta), 1e-3)
        for _ in range(_MOST_STEPS):
            here, there = theta[active], active
            gradient, information = self._derivatives(here, k[there], n[there])
            diagonal = np.einsum("bii->bi", information)
            diagonal += damping[there, None] * diagonal + 1e-9
            step = np.linalg.solve(information, gradient[..., None])[..., 0]
            proposal = np.clip(here + step, *_LIMITS)
            proposed = self._objective(proposal, k[there], n[there])
            better = proposed >= value[there]
            theta[there[better]], value[there[better]] = proposal[better], proposed[better]
            damping[there] = np.where(better, damping[there] * 0.1, damping[there] * 10)
            promised = (gradient * step).sum(axis=1) / 2
            done = (better & (promised < _SMALL_GAIN)) | (damping[there] > 1e10)
            active = active[~done]
            if not len(active):
                break
        return theta

    def _psi(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Probabilities, kept off 0 and 1, and standardised levels; both of shape (n_curves, n_levels)."""
        z = (self.levels - theta[:, :1]) * np.exp(-theta[:, 1:2])
        amplitude = 1 - self.family.guess_rate - self.lapse(theta)
        return np.clip(self.family.guess_rate + amplitude[:, None] * self.family.shape.value(z), _TINY, 1 - _TINY), z

    def _objective(self, theta: FloatArray, k: FloatArray, n: FloatArray) -> FloatArray:
        psi, _ = self._psi(theta)
        return np.asarray((k * np.log(psi) + (n - k) * np.log1p(-psi)).sum(axis=1) - self._penalty(theta))

    def _penalty(self, theta: FloatArray) -> FloatArray:
        penalty = 0.5 * (theta[:, 0] / LOCATION_SD) ** 2 + 0.5 * ((theta[:, 1] - np.log(SCALE_MEDIAN)) / LOG_SCALE_SD) ** 2
        if self.family.lapse_rate is None:
            a, b = LAPSE_PRIOR
            lapse = self.lapse(theta)
            penalty = penalty - (a - 1) * np.log(lapse) - (b - 1) * np.log1p(-lapse)
        return np.asarray(penalty)

    def _derivatives(self, theta: FloatArray, k: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient of the objective, shape (n_curves, 3), and expected information with penalties, (n_curves, 3, 3)."""
        psi, z = self._psi(theta)
        lapse = self.lapse(theta)
        density = (1 - self.family.guess_rate - lapse)[:, None] * self.family.shape.density(z)
        jacobian = np.zeros((*psi.shape, 3))
        jacobian[..., 0] = -density * np.exp(-theta[:, 1:2])
        jacobian[..., 1] = -density * z
        spread = LOCATION_SD**-2, LOG_SCALE_SD**-2
        gradient = np.stack([-spread[0] * theta[:, 0], -spread[1] * (theta[:, 1] - np.log(SCALE_MEDIAN)), np.zeros(len(theta))], axis=1)
        third = np.ones(len(theta))
        if self.family.lapse_rate is None:
            a, b = LAPSE_PRIOR
            rate = lapse * (1 - lapse / self.largest_lapse)
            jacobian[..., 2] = -self.family.shape.value(z) * rate[:, None]
            gradient[:, 2] = ((a - 1) / lapse - (b - 1) / (1 - lapse)) * rate
            third = (a - 1) * lapse / self.largest_lapse + (b - 1) * rate / (1 - lapse)
        variance = psi * (1 - psi)
        gradient += np.einsum("bl,blp->bp", (k - n * psi) / variance, jacobian)
        information = np.matmul((jacobian * (n / variance)[..., None]).transpose(0, 2, 1), jacobian)
        information[:, 0, 0] += spread[0]
        information[:, 1, 1] += spread[1]
        information[:, 2, 2] += third
        return gradient, information
