"""Penalised maximum-likelihood fits of many psychometric functions at once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from earwitness.psychometrics.functions import Curves, Family, FloatArray


@dataclass(frozen=True)
class Prior:
    """What a fit prefers where data do not tell. lapse: parameters of a Beta penalty on a fitted lapse rate."""

    lapse: tuple[float, float]


@dataclass(frozen=True)
class WeakPrior(Prior):
    """Normal penalties on location and log scale, too wide to matter where data tell; units are halves of the tested range.

    The lapse rate stays off 0, so that a fit of few answers moves little with any one of them, as the jackknife needs.
    """

    lapse: tuple[float, float] = (1.2, 10.0)
    location_sd: float = 2.0
    scale_median: float = 0.5
    log_scale_sd: float = 1.5


@dataclass(frozen=True)
class RangePrior(Prior):
    """The priors of Schütt, Harmeling, Macke and Wichmann (2016); the fit is then the mode of the posterior.

    The midpoint is anywhere in the tested range alike, and less and less likely up to half the range outside it; the width is anything alike
    from twice the least distance of levels to the range, and less and less likely down to that distance and up to three times the range.
    """

    lapse: tuple[float, float] = (1.0, 10.0)


WEAK = WeakPrior()

GUESS_PRIOR = (1.0, 10.0)
"""Beta penalty on a fitted guess rate, which in a yes-or-no task is the share of yes without a stimulus."""

_LIMITS = np.array([[-6.0, np.log(0.02), -15.0, -15.0], [6.0, np.log(20.0), 15.0, 15.0]])
_START_LAPSE_LOGITS = np.array([-5.0, -1.5, 0.3])
_START_GUESS_LOGITS = np.array([-5.0, -1.5])
_TINY = 1e-12
_MOST_STEPS = 40
_SMALL_GAIN = 1e-6
"""Iterations end at the first step that promises less log-likelihood than this."""


def fit_curves(levels: npt.ArrayLike, correct: npt.ArrayLike, total: npt.ArrayLike, family: Family, prior: Prior = WEAK) -> Curves:
    """Fit one psychometric function per row of counts.

    levels: shape (n_levels,), on the axis of the fit (take logarithms first), not all equal. correct, total: shape
    (n_curves, n_levels), 0 <= correct <= total, not necessarily whole; a level without trials counts for nothing.

    The objective is the binomial log-likelihood, with a Beta penalty on the lapse rate (Kuss, Jäkel and Wichmann 2005) and the prior's
    penalties on location and scale. A coarse grid gives one starting point per lapse rate; Fisher scoring with Levenberg's damping climbs
    from each, and the best end counts. Several starts are needed, because a small lapse rate with a shallow slope often fits nearly as well
    as a large one with a steep slope.
    """
    x = np.asarray(levels, dtype=np.float64)
    k, n = np.atleast_2d(np.asarray(correct, dtype=np.float64)), np.atleast_2d(np.asarray(total, dtype=np.float64))
    middle, half = (x.min() + x.max()) / 2, (x.max() - x.min()) / 2
    problem = _Problem((x - middle) / half, family, prior)
    theta = _best(problem, k, n)
    guess = problem.guess(theta) if family.guess_rate is None else None
    return Curves(family, middle + half * theta[:, 0], half * np.exp(theta[:, 1]), problem.lapse(theta), guess)


def fit_curves_sharing_lapse(
    levels: Sequence[FloatArray], correct: Sequence[FloatArray], total: Sequence[FloatArray], family: Family, prior: Prior = WEAK
) -> list[Curves]:
    """Fit the curves of several conditions, otherwise free, with one lapse rate, as `fit_curves` does; its penalty counts once.

    levels: shape (n_levels,) of each condition. correct, total: shape (n_curves, n_levels) of each. Row i of all conditions shares a
    lapse rate. Returns the curves of each condition.
    """
    a, b = prior.lapse
    once = replace(prior, lapse=(1 + (a - 1) / len(levels), 1 + (b - 1) / len(levels)))
    middles, halves = [(x.min() + x.max()) / 2 for x in levels], [(x.max() - x.min()) / 2 for x in levels]
    problems = [_Problem((x - middle) / half, family, once) for x, middle, half in zip(levels, middles, halves, strict=True)]
    joint = _Joint(problems)
    theta = _best(joint, np.concatenate(correct, axis=1), np.concatenate(total, axis=1))
    found = []
    for place, (problem, middle, half) in enumerate(zip(problems, middles, halves, strict=True)):
        own = theta[:, joint.columns[place]]
        guess = problem.guess(own) if family.guess_rate is None else None
        found.append(Curves(family, middle + half * own[:, 0], half * np.exp(own[:, 1]), problem.lapse(own), guess))
    return found


def deviance(levels: npt.ArrayLike, correct: FloatArray, total: FloatArray, curves: Curves) -> FloatArray:
    """Twice the log-likelihood ratio of the saturated model and the curve; shape (n_curves,)."""
    psi = np.clip(curves.at(levels), _TINY, 1 - _TINY)
    share = np.divide(correct, total, out=np.zeros_like(psi), where=total > 0)
    saturated = special.xlogy(correct, share) + special.xlogy(total - correct, 1 - share)
    return np.asarray(2 * (saturated - special.xlogy(correct, psi) - special.xlogy(total - correct, 1 - psi)).sum(axis=1))


def _largest_lapse(family: Family) -> float:
    """Guess and lapse rate together stay below 1."""
    return 0.45 if family.guess_rate is None else 0.9 * (1 - family.guess_rate)


class _Problem:
    """Levels scaled to [-1, 1]; theta is (location, log scale, logit of lapse / its limit), and, where the guess rate is fitted, the
    same of the guess rate; shape (n_curves, 3 or 4)."""

    def __init__(self, levels: FloatArray, family: Family, prior: Prior):
        self.levels, self.family, self.prior = levels, family, prior
        self.largest_lapse = _largest_lapse(family)
        self.n_parameters = 4 if family.guess_rate is None else 3
        self.limits = _LIMITS[:, : self.n_parameters]

    def lapse(self, theta: FloatArray) -> FloatArray:
        if self.family.lapse_rate is not None:
            return np.full(len(theta), self.family.lapse_rate)
        return np.asarray(self.largest_lapse * special.expit(theta[:, 2]))

    def guess(self, theta: FloatArray) -> FloatArray:
        if self.family.guess_rate is not None:
            return np.full(len(theta), self.family.guess_rate)
        return np.asarray(self.largest_lapse * special.expit(theta[:, 3]))

    def starts(self, k: FloatArray, n: FloatArray) -> FloatArray:
        """The best point of the grid for each of its lapse rates; shape (n_lapse_rates, n_curves, n_parameters)."""
        logits = _START_LAPSE_LOGITS if self.family.lapse_rate is None else np.zeros(1)
        axes = [logits, np.linspace(-2, 2, 11), np.log([0.05, 0.12, 0.3, 0.7, 1.5, 4.0])]
        order = [1, 2, 0]
        if self.family.guess_rate is None:
            axes.append(_START_GUESS_LOGITS)
            order.append(3)
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)[..., order].reshape(-1, self.n_parameters)
        psi = self._psi(grid)[0]
        likelihood = k @ np.log(psi).T + (n - k) @ np.log1p(-psi).T - self._penalty(grid)
        per_lapse = likelihood.reshape(len(k), len(logits), -1).argmax(axis=2)
        return np.asarray(grid.reshape(len(logits), -1, self.n_parameters)[np.arange(len(logits)), per_lapse].transpose(1, 0, 2))

    def objective(self, theta: FloatArray, k: FloatArray, n: FloatArray) -> FloatArray:
        psi, _ = self._psi(theta)
        return np.asarray((k * np.log(psi) + (n - k) * np.log1p(-psi)).sum(axis=1) - self._penalty(theta))

    def _psi(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Probabilities, kept off 0 and 1, and standardised levels; both of shape (n_curves, n_levels)."""
        z = (self.levels - theta[:, :1]) * np.exp(-theta[:, 1:2])
        guess = self.guess(theta)
        amplitude = 1 - guess - self.lapse(theta)
        return np.clip(guess[:, None] + amplitude[:, None] * self.family.shape.value(z), _TINY, 1 - _TINY), z

    def _penalty(self, theta: FloatArray) -> FloatArray:
        penalty = self._place(theta)[0]
        for free, rate, (a, b) in self._rates(theta):
            if free:
                penalty = penalty - (a - 1) * np.log(rate) - (b - 1) * np.log1p(-rate)
        return np.asarray(penalty)

    def _rates(self, theta: FloatArray) -> list[tuple[bool, FloatArray, tuple[float, float]]]:
        """Lapse rate, then guess rate if it can be free: whether it is, its values, and its Beta penalty."""
        rates = [(self.family.lapse_rate is None, self.lapse(theta), self.prior.lapse)]
        return [*rates, (True, self.guess(theta), GUESS_PRIOR)] if self.family.guess_rate is None else rates

    def _place(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The prior's penalty on location and log scale, shape (n_curves,), minus its gradient, (n_curves, 2), and curvatures, not below 0."""
        location, log_scale = theta[:, 0], theta[:, 1]
        if isinstance(self.prior, WeakPrior):
            spread = np.array([self.prior.location_sd**-2, self.prior.log_scale_sd**-2])
            away = np.stack([location, log_scale - np.log(self.prior.scale_median)], axis=1)
            return 0.5 * (spread * away**2).sum(axis=1), -spread * away, np.broadcast_to(spread, away.shape)
        scale = np.exp(log_scale)
        low, middle, high = self.family.shape.quantile(np.array([0.05, 0.5, 0.95]))
        midpoint, width = location + scale * middle, scale * (high - low)
        closest = float(np.diff(np.sort(self.levels)).min())
        # How far into the falling parts, from 0 to 1 at their ends.
        outside = np.abs(midpoint) - 1
        narrow, wide = (2 * closest - width) / closest, (width - 2) / 4
        by_place, slope_place, bend_place = _falling(outside)
        by_narrow, slope_narrow, bend_narrow = _falling(narrow)
        by_wide, slope_wide, bend_wide = _falling(wide)
        along = slope_place * np.sign(midpoint)
        along_width = -slope_narrow / closest + slope_wide / 4
        gradient = np.stack([along, along * scale * middle + along_width * width], axis=1)
        bend_width = bend_narrow / closest**2 + bend_wide / 16
        return by_place + by_narrow + by_wide, -gradient, np.stack([bend_place, bend_place * (scale * middle) ** 2 + bend_width * width**2], axis=1)

    def derivatives(self, theta: FloatArray, k: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient of the objective, shape (n_curves, n_parameters), and expected information with penalties, one square more."""
        psi, z = self._psi(theta)
        value = self.family.shape.value(z)
        density = (1 - self.guess(theta) - self.lapse(theta))[:, None] * self.family.shape.density(z)
        jacobian = np.zeros((*psi.shape, self.n_parameters))
        jacobian[..., 0] = -density * np.exp(-theta[:, 1:2])
        jacobian[..., 1] = -density * z
        _, downhill, curvature = self._place(theta)
        gradient, own = np.zeros_like(theta), np.ones_like(theta)
        gradient[:, :2], own[:, :2] = downhill, curvature
        for place, (free, rate, (a, b)), effect in zip((2, 3), self._rates(theta), (-value, 1 - value), strict=False):
            if free:
                speed = rate * (1 - rate / self.largest_lapse)
                jacobian[..., place] = effect * speed[:, None]
                gradient[:, place] = ((a - 1) / rate - (b - 1) / (1 - rate)) * speed
                own[:, place] = (a - 1) * rate / self.largest_lapse + (b - 1) * speed / (1 - rate)
        variance = psi * (1 - psi)
        gradient += np.einsum("bl,blp->bp", (k - n * psi) / variance, jacobian)
        information = np.matmul((jacobian * (n / variance)[..., None]).transpose(0, 2, 1), jacobian)
        np.einsum("bii->bi", information)[...] += own
        return gradient, information


class _Joint:
    """Problems with one lapse rate. theta is the logit of lapse / its limit, and then what else each problem has, in its order; shape
    (n_curves, 1 + the sum over problems of n_parameters - 1). Counts of all problems stand side by side."""

    def __init__(self, problems: Sequence[_Problem]):
        self.problems = problems
        self.n_parameters, self.columns, self.levels = 1, [], []
        n_levels = 0
        for problem in problems:
            own = list(range(self.n_parameters, self.n_parameters + problem.n_parameters - 1))
            self.columns.append([*own[:2], 0, *own[2:]])
            self.n_parameters += len(own)
            self.levels.append(slice(n_levels, n_levels + len(problem.levels)))
            n_levels += len(problem.levels)
        self.limits = np.zeros((2, self.n_parameters))
        for problem, columns in zip(problems, self.columns, strict=True):
            self.limits[:, columns] = problem.limits

    def starts(self, k: FloatArray, n: FloatArray) -> FloatArray:
        found = [problem.starts(k[:, levels], n[:, levels]) for problem, levels in zip(self.problems, self.levels, strict=True)]
        theta = np.zeros((*found[0].shape[:2], self.n_parameters))
        for start, columns in zip(found, self.columns, strict=True):
            theta[..., columns] = start
        return theta

    def objective(self, theta: FloatArray, k: FloatArray, n: FloatArray) -> FloatArray:
        parts = zip(self.problems, self.columns, self.levels, strict=True)
        return np.asarray(sum(problem.objective(theta[:, columns], k[:, levels], n[:, levels]) for problem, columns, levels in parts))

    def derivatives(self, theta: FloatArray, k: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
        gradient, information = np.zeros_like(theta), np.zeros((*theta.shape, theta.shape[1]))
        for problem, columns, levels in zip(self.problems, self.columns, self.levels, strict=True):
            own_gradient, own_information = problem.derivatives(theta[:, columns], k[:, levels], n[:, levels])
            gradient[:, columns] += own_gradient
            information[:, np.array(columns)[:, None], columns] += own_information
        return gradient, information


def _best(problem: _Problem | _Joint, k: FloatArray, n: FloatArray) -> FloatArray:
    """The best of what is reached from the problem's starts; shape (n_curves, n_parameters)."""
    starts = problem.starts(k, n)
    shape = len(starts), len(k)
    many_k, many_n = (np.tile(counts, (len(starts), 1)) for counts in (k, n))
    ends = _climb(problem, starts.reshape(-1, problem.n_parameters), many_k, many_n)
    best = problem.objective(ends, many_k, many_n).reshape(shape).argmax(axis=0)
    return np.asarray(ends.reshape(*shape, problem.n_parameters)[best, np.arange(len(k))])


def _climb(problem: _Problem | _Joint, theta: FloatArray, k: FloatArray, n: FloatArray) -> FloatArray:
    """Fisher scoring with Levenberg's damping."""
    theta = theta.copy()
    active = np.arange(len(theta))
    value, damping = problem.objective(theta, k, n), np.full(len(theta), 1e-3)
    for _ in range(_MOST_STEPS):
        here, there = theta[active], active
        gradient, information = problem.derivatives(here, k[there], n[there])
        diagonal = np.einsum("bii->bi", information)
        diagonal += damping[there, None] * diagonal + 1e-9
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        proposal = np.clip(here + step, *problem.limits)
        proposed = problem.objective(proposal, k[there], n[there])
        better = proposed >= value[there]
        theta[there[better]], value[there[better]] = proposal[better], proposed[better]
        damping[there] = np.where(better, damping[there] * 0.1, damping[there] * 10)
        promised = (gradient * step).sum(axis=1) / 2
        done = (better & (promised < _SMALL_GAIN)) | (damping[there] > 1e10)
        active = active[~done]
        if not len(active):
            break
    return theta


def _falling(way: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Minus the logarithm of a half cosine that falls from 1 to 0 as `way` goes from 0 to 1, its slope and its curvature; 0 before."""
    inside = np.clip(way, 0.0, 0.999)
    angle = np.pi * inside / 2
    beyond = 1e6 * np.maximum(way - 0.999, 0)
    slope = np.where(way > 0, np.pi * np.tan(angle), 0.0)
    return -2 * np.log(np.cos(angle)) + beyond, slope + 1e6 * (way > 0.999), np.where(way > 0, np.pi**2 / 2 / np.cos(angle) ** 2, 0.0)
