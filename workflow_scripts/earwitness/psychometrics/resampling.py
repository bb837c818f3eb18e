"""Counts of right answers per level, and their resamples: by source (jackknife, cluster bootstrap) or by answer (parametric bootstrap)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from earwitness.core.errors import InputError
from earwitness.psychometrics.functions import FloatArray
from earwitness.statistics.clustered import jackknife_variance

Measure = Callable[[Sequence[FloatArray], Sequence[FloatArray]], tuple[FloatArray, FloatArray]]
"""From correct and total answers per class, each of shape (n_curves, n_levels), to what a curve is fitted to: effective
correct and total answers of the same shape."""

LARGEST_DROP = 0.05
"""A smaller fall from a level to a higher one does not make a curve non-monotone."""


@dataclass(frozen=True)
class SourceCounts:
    """Answers to one class: correct and total, both of shape (n_sources, n_levels)."""

    correct: FloatArray
    total: FloatArray

    @property
    def n_sources(self) -> int:
        return len(self.total)

    def weighted(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Counts summed over sources with weights, shape (n_curves, n_sources)."""
        return weights @ self.correct, weights @ self.total


@dataclass(frozen=True)
class ResampledCounts:
    """The counts that one curve is fitted to, those of every resample, and those without each source.

    correct, total: shape (1, n_levels). left_out: per class, counts of shape (n_sources, n_levels) without each source;
    empty where answers count as independent. resamples: shape (n_resamples, n_levels).
    """

    correct: FloatArray
    total: FloatArray
    left_out: tuple[tuple[FloatArray, FloatArray], ...]
    resamples: tuple[FloatArray, FloatArray]

    def contrasts(self, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Estimates, variances and degrees of freedom of weighted sums of the levels' proportions.

        weights: shape (n_contrasts, n_levels). Variances come from leaving out sources, or are binomial, of proportions
        drawn to one half by half an answer.
        """
        estimates = weights @ proportions(self.correct, self.total)[0]
        if self.left_out:
            variances, df = jackknife_variance([proportions(*counts) @ weights.T for counts in self.left_out])
            return estimates, variances, df
        share = (self.correct[0] + 0.5) / (self.total[0] + 1)
        return estimates, weights**2 @ (share * (1 - share) / self.total[0]), np.full(len(weights), np.inf)


def proportions(correct: FloatArray, total: FloatArray) -> FloatArray:
    """correct / total; one half where there are no trials."""
    return np.divide(correct, total, out=np.full(total.shape, 0.5), where=total > 0)


def pooled(correct: Sequence[FloatArray], total: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """All answers alike."""
    return np.sum(correct, axis=0), np.sum(total, axis=0)


def balanced(correct: Sequence[FloatArray], total: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Balanced accuracy, the mean of both classes', with as many answers as give it its variance: 4 / (1/n1 + 1/n2)."""
    n = _effective_total(total)
    return n * np.mean([proportions(k, m) for k, m in zip(correct, total, strict=True)], axis=0), n


def unbiased(correct: Sequence[FloatArray], total: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """The accuracy Phi(d'/2) that an observer of the same d' without bias would have; classes in the order speech, non-speech.

    A curve of this measure reaches 75 % where d' is 1.349.
    """
    n = _effective_total(total)
    sensitivity, _ = sensitivity_and_criterion(correct[0], total[0], total[1] - correct[1], total[1])
    return n * special.ndtr(sensitivity / 2), n


def sensitivity_and_criterion(
    hits: FloatArray, n_speech: FloatArray, false_alarms: FloatArray, n_nonspeech: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """d' = z(H) - z(F) and criterion -(z(H) + z(F)) / 2, with the log-linear correction (Hautus 1995): (count + 0.5) / (n + 1)."""
    hit = special.ndtri((hits + 0.5) / (n_speech + 1))
    false_alarm = special.ndtri((false_alarms + 0.5) / (n_nonspeech + 1))
    return hit - false_alarm, -(hit + false_alarm) / 2


def _effective_total(total: Sequence[FloatArray]) -> FloatArray:
    first, second = total
    return np.divide(4 * first * second, first + second, out=np.zeros_like(first), where=(first > 0) & (second > 0))


def resample_sources(
    classes: Sequence[SourceCounts], measure: Measure, n_bootstrap: int, rng: np.random.Generator, answers_per_item: int = 1
) -> ResampledCounts:
    """Take sources as the independent units: draw whole sources of each class with replacement, and leave out one at a time.

    answers_per_item: how many seeds answered every item; their answers are pooled but count once.
    Raises InputError where a class has a single source.
    """
    if any(group.n_sources < 2 for group in classes):
        raise InputError("a class has a single source, so nothing tells how sources differ: add recordings of at least one more")

    def counts(weights: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
        sums = [group.weighted(weight) for group, weight in zip(classes, weights, strict=True)]
        correct, total = measure([k for k, _ in sums], [n for _, n in sums])
        return correct / answers_per_item, total / answers_per_item

    left_out = []
    for number, group in enumerate(classes):
        weights = [np.ones((group.n_sources, other.n_sources)) for other in classes]
        weights[number] = weights[number] - np.eye(group.n_sources)
        left_out.append(counts(weights))
    drawn = [rng.multinomial(group.n_sources, np.full(group.n_sources, 1 / group.n_sources), n_bootstrap).astype(float) for group in classes]
    correct, total = counts([np.ones((1, group.n_sources)) for group in classes])
    return ResampledCounts(correct, total, tuple(left_out), counts(drawn))


def resample_answers(correct: FloatArray, total: FloatArray, curve: FloatArray, n_bootstrap: int, rng: np.random.Generator) -> ResampledCounts:
    """Take every answer as independent: draw each level's right answers from the fitted curve, of shape (n_levels,)."""
    drawn = rng.binomial(total.astype(np.int64), curve, (n_bootstrap, len(total))).astype(float)
    return ResampledCounts(correct[None], total[None], (), (drawn, np.broadcast_to(total, drawn.shape)))


def t_quantile(probability: float, df: FloatArray) -> FloatArray:
    """Student's t; the normal quantile where df is inf."""
    finite = np.where(np.isfinite(df), df, 1e12)
    return np.asarray(stats.t.ppf(probability, finite))


def falls(counts: ResampledCounts, confidence: float) -> bool:
    """Whether performance falls by more than 5 points from a level to a higher one, beyond chance.

    One-sided tests of all pairs of levels, with Bonferroni's correction.
    """
    n_levels = counts.total.shape[1]
    low, high = np.triu_indices(n_levels, k=1)
    weights = np.eye(n_levels)[low] - np.eye(n_levels)[high]
    drop, variance, df = counts.contrasts(weights)
    limit = t_quantile(1 - (1 - confidence) / len(low), df) * np.sqrt(variance)
    return bool(((drop > LARGEST_DROP) & (drop > limit)).any())


def rises(counts: ResampledCounts, levels: FloatArray, confidence: float) -> bool:
    """Whether performance has an upward linear trend along the axis, by a two-sided t-test."""
    trend, variance, df = counts.contrasts((levels - levels.mean())[None])
    return bool(trend[0] > 1e-12 and trend[0] > t_quantile((1 + confidence) / 2, df)[0] * math.sqrt(variance[0]))
