"""Counts of right answers per level, and those without each source and seed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from earwitness.psychometrics.functions import FloatArray
from earwitness.statistics.clustered import Jackknife, degrees_of_freedom
from earwitness.statistics.distributions import t_quantile

Measure = Callable[[Sequence[FloatArray], Sequence[FloatArray]], tuple[FloatArray, FloatArray]]
"""A measure: it turns the correct and total answers of each class, shape (n_curves, n_levels), into the correct and total answers, of the same
shape, that a curve is fitted to."""

LARGEST_DROP = 0.05
"""A curve is non-monotone only where performance falls by more than this from one level to a higher one."""


@dataclass(frozen=True)
class SourceCounts:
    """Answers to one class. correct: shape (n_seeds, n_sources, n_levels); total: shape (n_sources, n_levels), the same for every seed."""

    correct: FloatArray
    total: FloatArray

    @property
    def n_seeds(self) -> int:
        return self.correct.shape[0]

    @property
    def n_sources(self) -> int:
        return self.correct.shape[1]

    def weighted(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Counts summed over seeds and sources with weights, shape (n_curves, n_seeds, n_sources)."""
        return np.tensordot(weights, self.correct, 2), weights.sum(axis=1) @ self.total


@dataclass(frozen=True)
class LevelCounts:
    """The counts that one curve is fitted to, and those without each source and seed.

    correct, total: shape (1, n_levels). Seeds answer the same items, so their mean counts as the answers of one. left_out: the same counts
    without each source and seed, correct and total stacked along an axis of two before the levels; None where answers count as independent.
    descriptive: a class has a single source, so that nothing tells how sources differ, and there are no intervals.
    """

    correct: FloatArray
    total: FloatArray
    left_out: Jackknife | None
    descriptive: bool = False

    def contrasts(self, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Estimates, variances and degrees of freedom of weighted sums of the levels' proportions.

        weights: shape (n_contrasts, n_levels). Variances come from leaving out sources and seeds, and are never less than
        binomial ones. These rest on proportions drawn to one half by half an answer; for independent answers the estimates rest on them too,
        so that a handful of answers shows no trend.
        """
        return self._known(lambda shares: shares @ weights.T, lambda variances: variances @ weights.T**2)

    def drops(self, low: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """`contrasts` of one level's proportion less that of each higher one."""
        return self._known(lambda shares: shares[..., low, None] - shares[..., low + 1 :], lambda variances: variances[low] + variances[low + 1 :])

    def _known(
        self, contrast: Callable[[FloatArray], FloatArray], variance: Callable[[FloatArray], FloatArray]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Estimates, variances and degrees of freedom, given what makes contrasts of proportions, shape (..., n_levels), and their variances of
        those of the levels."""
        share = (self.correct[0] + 0.5) / (self.total[0] + 1)
        binomial = variance(share * (1 - share) / self.total[0])
        if self.left_out is None:
            return contrast(share), binomial, np.full(len(binomial), np.inf)
        estimates = contrast(proportions(self.correct, self.total)[0])
        variances, df = self.left_out.of(lambda counts: contrast(proportions(counts[..., 0, :], counts[..., 1, :]))).variance()
        return estimates, np.maximum(variances, binomial), df


def proportions(correct: FloatArray, total: FloatArray) -> FloatArray:
    """correct / total; one half where there are no trials."""
    return np.divide(correct, total, out=np.full(total.shape, 0.5), where=total > 0)


def pooled(correct: Sequence[FloatArray], total: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Every answer has the same weight, whatever its class."""
    return np.sum(correct, axis=0), np.sum(total, axis=0)


def balanced(correct: Sequence[FloatArray], total: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Balanced accuracy: the mean of both classes' proportions, with the number of answers that gives its variance, 4 / (1/n1 + 1/n2)."""
    n = _effective_total(total)
    return n * np.mean([proportions(k, m) for k, m in zip(correct, total, strict=True)], axis=0), n


def unbiased(correct: Sequence[FloatArray], total: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """The accuracy Phi(d'/2) of an unbiased observer with the same d'; classes in the order speech, non-speech.

    A curve of this measure reaches 75 % where d' is 1.349.
    """
    n = _effective_total(total)
    sensitivity, _ = sensitivity_and_criterion(correct[0], total[0], total[1] - correct[1], total[1])
    return n * special.ndtr(sensitivity / 2), n


def sensitivity_and_criterion(
    hits: FloatArray, n_speech: FloatArray, false_alarms: FloatArray, n_nonspeech: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """d' = z(H) - z(F) and criterion -(z(H) + z(F)) / 2, with the log-linear correction (Hautus 1995) in proportion to the classes.

    The correction adds one right and one wrong answer in all, divided between the classes in proportion to their sizes:
    H = (hits + s) / (n_speech + 2 s) with s = n_speech / (n_speech + n_nonspeech), which is (hits + 0.5) / (n_speech + 1) for equal sizes.
    A system that answers both classes alike then has d' = 0, whatever the sizes.
    """
    hit, false_alarm = (special.ndtri(rate) for rate in corrected_rates(hits, n_speech, false_alarms, n_nonspeech))
    return hit - false_alarm, -(hit + false_alarm) / 2


def corrected_rates(
    hits: npt.ArrayLike, n_speech: npt.ArrayLike, false_alarms: npt.ArrayLike, n_nonspeech: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Hit and false-alarm rate with the correction of `sensitivity_and_criterion`, in (0, 1); one half without trials."""
    n, m = np.asarray(n_speech, dtype=np.float64), np.asarray(n_nonspeech, dtype=np.float64)
    both = np.maximum(n + m, 1e-300)
    given = (np.asarray(hits), n, n / both), (np.asarray(false_alarms), m, m / both)
    hit, false_alarm = (np.where(size > 0, (k + extra) / np.where(size > 0, size + 2 * extra, 1), 0.5) for k, size, extra in given)
    return hit, false_alarm


def _effective_total(total: Sequence[FloatArray]) -> FloatArray:
    first, second = total
    return np.divide(4 * first * second, first + second, out=np.zeros_like(first), where=(first > 0) & (second > 0))


def leave_out(classes: Sequence[SourceCounts], measure: Measure) -> LevelCounts:
    """The counts, and those without each source and, where there are several, without each seed; sources and seeds are crossed.

    Where a class has a single source, they only describe these sources.
    """
    n_seeds = classes[0].n_seeds

    def counts(number: int | None, removed: FloatArray) -> FloatArray:
        """Without what `removed` marks, shape (n_curves, n_seeds, n_sources), of one class, or of all (n_curves, n_seeds, 1) where None."""
        sums = []
        for place, group in enumerate(classes):
            weights = np.ones((len(removed), n_seeds, group.n_sources))
            sums.append(group.weighted(weights - removed if number in (None, place) else weights))
        correct, total = measure([k for k, _ in sums], [n for _, n in sums])
        return np.stack([correct, total], axis=1) / n_seeds

    correct, total = counts(None, np.zeros((1, n_seeds, 1)))[0]
    if any(group.n_sources < 2 for group in classes):
        return LevelCounts(correct[None], total[None], None, descriptive=True)
    by_source = tuple(counts(k, np.repeat(np.eye(group.n_sources)[:, None], n_seeds, axis=1)) for k, group in enumerate(classes))
    by_seed, by_cell = None, []
    if n_seeds > 1:
        # Without one seed, the mean of the others still counts as the answers of one.
        by_seed = counts(None, np.eye(n_seeds)[:, :, None]) * n_seeds / (n_seeds - 1)
        for k, group in enumerate(classes):
            cells = np.eye(n_seeds * group.n_sources).reshape(-1, n_seeds, group.n_sources)
            by_cell.append(counts(k, cells).reshape(n_seeds, group.n_sources, 2, -1))
    df = tuple(degrees_of_freedom(group.total.sum(axis=1) / group.total.sum()) for group in classes)
    return LevelCounts(correct[None], total[None], Jackknife(by_source, by_seed, tuple(by_cell), df))


def t_or_normal_quantile(probability: float, df: FloatArray) -> FloatArray:
    """Student's t; the normal quantile where df is inf."""
    finite = np.where(np.isfinite(df), df, 1e12)
    return np.asarray(t_quantile(probability, finite))


def falls(counts: LevelCounts, confidence: float) -> bool:
    """Is performance lower by more than 5 points at some higher level than at some lower one, beyond chance?

    One-sided tests of all pairs of levels, with Bonferroni's correction.
    """
    n_levels = counts.total.shape[1]
    quantile = 1 - (1 - confidence) / (n_levels * (n_levels - 1) / 2)
    # One lower level at a time, since staircases have thousands of levels, and so millions of pairs.
    for low in range(n_levels - 1):
        drop, variance, df = counts.drops(low)
        if ((drop > LARGEST_DROP) & (drop > t_or_normal_quantile(quantile, df) * np.sqrt(variance))).any():
            return True
    return False


def trend(counts: LevelCounts, levels: FloatArray, confidence: float) -> tuple[float, float]:
    """Confidence limits of the rise from the lowest to the highest level along a straight line (least squares, levels weigh alike)."""
    centred = levels - levels.mean()
    weights = centred * (levels[-1] - levels[0]) / (centred @ centred)
    rise, variance, df = counts.contrasts(weights[None])
    half = t_or_normal_quantile((1 + confidence) / 2, df)[0] * math.sqrt(variance[0])
    return float(rise[0] - half), float(rise[0] + half)
