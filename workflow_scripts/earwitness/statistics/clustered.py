"""Intervals and tests whose independent unit is the source, not the item.

Items of one source are not independent, so every variance here comes from leaving out one source at a time. Where a
system was trained with several seeds, sources and seeds are crossed: every seed answers the items of every source.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from earwitness.core.randomness import stream

FloatArray = npt.NDArray[np.float64]

MIN_SOURCES_FOR_TESTS = 6
"""Fewer sources in a class cannot carry a p-value: no sign-flip test of five sources ever reaches 0.05."""

MIN_SOURCES_RELIABLE = 10
"""From here on an interval rests on enough sources to be a headline, unless nearly all of them are perfect."""

EXACT_SIGN_FLIP_SOURCES = 34
"""Up to this many sources, all sign patterns are counted (two halves of at most 2**17 patterns each)."""

SIGN_FLIP_DRAWS = 100_000
"""Sign patterns drawn where there are too many to count."""


@dataclass(frozen=True)
class Sample:
    """Outcomes of one class on one test set, summed over the items of each source.

    totals: shape (n_seeds, n_sources), sum of the items' outcomes; an outcome is 0 or 1 (wrong, right), or in [-1, 1]
    (a difference). counts: shape (n_sources,), items per source, at least 1.
    """

    totals: FloatArray
    counts: FloatArray

    @property
    def n_seeds(self) -> int:
        return self.totals.shape[0]

    @property
    def n_sources(self) -> int:
        return self.totals.shape[1]

    @property
    def n_items(self) -> int:
        return int(self.counts.sum())

    @property
    def means(self) -> FloatArray:
        """Mean outcome over items, per seed; shape (n_seeds,)."""
        return self.totals.sum(axis=1) / self.counts.sum()


def sample_by_source(outcomes: npt.ArrayLike, sources: Sequence[str] | npt.NDArray[np.object_]) -> Sample:
    """Sum outcomes, shape (n_seeds, n_items), over the items of each source, given the source of every item."""
    _, codes = np.unique(np.asarray(sources, dtype=str), return_inverse=True)
    totals = [np.bincount(codes, weights=row) for row in np.atleast_2d(np.asarray(outcomes, dtype=np.float64))]
    return Sample(np.array(totals), np.bincount(codes).astype(np.float64))


@dataclass(frozen=True)
class Estimate:
    """A weighted sum of class means, averaged over seeds, and how well it is known.

    variance is nan where a class has fewer than two sources. method names the interval: "jackknife_t" (one seed, or
    seeds held fixed), "two_way_t" (sources and seeds), with "+wilson_sources" where a class had no variation between
    its sources (see `estimate`), or "none".
    """

    value: float
    variance: float
    df: float
    method: str

    @property
    def known(self) -> bool:
        return self.method != "none"

    def interval(self, confidence: float, low: float, high: float) -> tuple[float, float]:
        """Two-sided t interval, cut to [low, high], the range that the quantity can take; (nan, nan) where unknown."""
        if not self.known:
            return math.nan, math.nan
        half = stats.t.ppf((1 + confidence) / 2, self.df) * math.sqrt(self.variance)
        return float(np.clip(self.value - half, low, high)), float(np.clip(self.value + half, low, high))

    def p_zero(self) -> float:
        """Two-sided p of the t-test that the quantity is 0; nan where unknown."""
        return float(2 * stats.t.sf(abs(self.value) / math.sqrt(self.variance), self.df)) if self.known else math.nan

    def p_equivalence(self, margin: float) -> float:
        """The larger p of two one-sided t-tests (Schuirmann 1987) that the quantity lies outside (-margin, margin)."""
        if not self.known:
            return math.nan
        return float(stats.t.sf((margin - abs(self.value)) / math.sqrt(self.variance), self.df))


def jackknife_variance(left_out: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Variance of an estimate from its values without each source, per class, and its degrees of freedom.

    V = sum over classes c of V_c, with V_c = (n_c - 1) / n_c sum_s (x_(s) - mean of x_(s))^2 over the values x_(s) without source s
    (Efron 1982); df = V^2 / sum_c(V_c^2 / (n_c - 1)) (Satterthwaite 1946).
    left_out: one array per class, shape (n_sources, ...). Returns arrays of shape (...,).
    """
    sizes = [len(values) for values in left_out]
    parts = [(n - 1) / n * ((values - values.mean(axis=0)) ** 2).sum(axis=0) for n, values in zip(sizes, left_out, strict=True)]
    variance = np.sum(parts, axis=0)
    squares = np.sum([part**2 / (n - 1) for n, part in zip(sizes, parts, strict=True)], axis=0)
    df = np.divide(variance**2, squares, out=np.full(variance.shape, min(sizes) - 1.0), where=squares > 0)
    return variance, df


def estimate(samples: Sequence[Sample], weights: Sequence[float]) -> Estimate:
    """Estimate the sum of weight x class mean over sources, and over seeds where there are several.

    samples: independent sets of sources (classes, test sets) that share their seeds in the same order. Class means weigh
    items equally. weights: one per sample; (0.5, 0.5) over two classes is balanced accuracy.

    One seed: the jackknife. With m the mean of a class over its n sources and m_(s) the mean without source s, the pseudo-values
    are P_s = n m - (n - 1) m_(s) (Tukey 1958), and Var(m) = sum_s (P_s - m)^2 / (n (n - 1)). It is centred on m, not on the mean
    of the P_s, which is the conservative choice for sources of unequal size. The variance of the sum is sum w^2 Var(m), and t has
    Satterthwaite's degrees of freedom (Satterthwaite 1946); for one class these are n - 1.

    Several seeds (K): sources and seeds are crossed, so the pseudo-values P_ks of seed k and source s have a two-way layout with
    random effects (Searle, Casella and McCulloch 1992, chapter 4), and Var(m) = (MS_seed + MS_source - MS_residual) / (K n), not
    less than its larger positive term alone. MS_seed is taken of the weighted sum itself, var_k / K: a seed that trades one class
    against the other then counts as what it is, no change of the sum.

    A class whose sources all have the same mean says nothing about its variance. Wilson's 95 % limit for "none out of n" then
    bounds the share of all sources that differ by z^2 / (n + z^2), z = 1.96 (Wilson 1927). Each differs by at most 1, and the standard
    error is set so that the 95 % interval has that half width.
    """
    n_seeds = samples[0].n_seeds
    per_seed = sum(weight * sample.means for weight, sample in zip(weights, samples, strict=True))
    value = float(np.mean(per_seed))
    if any(sample.n_sources < 2 for sample in samples):
        return Estimate(value, math.nan, math.nan, "none")

    seed_terms = [(float(np.var(per_seed, ddof=1)) / n_seeds, n_seeds - 1.0)] if n_seeds > 1 else []
    source_terms: list[tuple[float, float]] = []
    residual_terms: list[tuple[float, float]] = []
    for weight, sample in zip(weights, samples, strict=True):
        n = sample.n_sources
        squares = _mean_squares(sample)
        source_terms.append((weight**2 * squares.source, n - 1.0))
        if n_seeds > 1 and squares.varies:
            residual_terms.append((weight**2 * squares.residual / (n_seeds * n), (n_seeds - 1.0) * (n - 1)))

    total, df = _sum_of_variances(seed_terms, source_terms, residual_terms)
    varies = all(_mean_squares(sample).varies for sample in samples)
    return Estimate(value, total, df, ("two_way_t" if n_seeds > 1 else "jackknife_t") + ("" if varies else "+wilson_sources"))


@dataclass(frozen=True)
class _MeanSquares:
    """Of one class: the variance of the mean over sources, as if seeds were fixed; the mean square of the residuals (seed by
    source), 0 for one seed; and whether sources differ at all."""

    source: float
    residual: float
    varies: bool


def _mean_squares(sample: Sample) -> _MeanSquares:
    n, n_seeds = sample.n_sources, sample.n_seeds
    totals = sample.totals.sum(axis=1, keepdims=True)
    left_out = (totals - sample.totals) / (sample.counts.sum() - sample.counts)
    pseudo = n * sample.means[:, None] - (n - 1) * left_out
    by_source = pseudo.mean(axis=0)
    variance = float(np.sum((by_source - sample.means.mean()) ** 2)) / (n * (n - 1))
    if variance < 1e-18:
        return _MeanSquares((_wilson_none_of(n) / stats.t.ppf(0.975, n - 1)) ** 2, 0.0, False)
    residuals = pseudo - by_source - pseudo.mean(axis=1, keepdims=True) + pseudo.mean()
    df = (n_seeds - 1.0) * (n - 1)
    return _MeanSquares(variance, float(np.sum(residuals**2)) / df if df else 0.0, True)


@dataclass(frozen=True)
class Components:
    """Variance components of a weighted sum of class means: of seeds in the sum; of sources and residuals (seed by source, with
    the chance of single items) in each class. With one seed, seeds and residuals are 0: the residual is then part of the source."""

    seed: float
    sources: tuple[float, ...]
    residuals: tuple[float, ...]
    weights: tuple[float, ...]

    def of_mean(self, n_seeds: int, n_sources: Sequence[float]) -> tuple[float, float]:
        """Expected variance of the sum over so many seeds and sources of each class, and its degrees of freedom (`estimate`)."""
        each = list(zip(self.weights, self.sources, self.residuals, n_sources, strict=True))
        residual = [(w**2 * r / (n_seeds * n), (n_seeds - 1.0) * (n - 1)) for w, _, r, n in each if r]
        seed = [(self.seed / n_seeds + sum(v for v, _ in residual), n_seeds - 1.0)] if n_seeds > 1 else []
        source = [(w**2 * (s + r / n_seeds) / n, n - 1.0) for w, s, r, n in each]
        return _sum_of_variances(seed, source, residual)


def variance_components(samples: Sequence[Sample], weights: Sequence[float]) -> Components | None:
    """Method-of-moments components of what `estimate` estimates, none below 0; None where a class has fewer than two sources."""
    if any(sample.n_sources < 2 for sample in samples):
        return None
    n_seeds = samples[0].n_seeds
    squares = [_mean_squares(sample) for sample in samples]
    residuals = tuple(square.residual for square in squares)
    sources = tuple(max(0.0, s.n_sources * square.source - square.residual / n_seeds) for s, square in zip(samples, squares, strict=True))
    per_seed = sum(weight * sample.means for weight, sample in zip(weights, samples, strict=True))
    noise = sum(w**2 * r / s.n_sources for w, r, s in zip(weights, residuals, samples, strict=True))
    seed = max(0.0, float(np.var(per_seed, ddof=1)) - noise) if n_seeds > 1 else 0.0
    return Components(seed, sources, residuals, tuple(weights))


def _wilson_none_of(n: int) -> float:
    """Wilson's upper 95 % limit of a proportion of which none was seen in n."""
    z2 = stats.norm.ppf(0.975) ** 2
    return float(z2 / (n + z2))


def _sum_of_variances(*groups: list[tuple[float, float]]) -> tuple[float, float]:
    """Seed + source - residual terms, each (variance, df), with Satterthwaite's df; never below a positive group alone."""
    seed, source, residual = groups
    total = sum(v for v, _ in seed + source) - sum(v for v, _ in residual)
    terms = seed + source + residual
    largest = max([seed, source], key=lambda group: sum(v for v, _ in group))
    if total < sum(v for v, _ in largest):
        total, terms = sum(v for v, _ in largest), largest
    df = total**2 / sum(v**2 / d for v, d in terms)
    return total, max(df, min(d for v, d in terms if v > 0))


def naive_interval(samples: Sequence[Sample], weights: Sequence[float], confidence: float) -> tuple[float, float]:
    """Interval that wrongly takes all items of all seeds as independent: Wilson per class, for contrast only.

    Weighted sums combine the classes' Wilson limits (Zou and Donner 2008), which for one class is Wilson's own interval.
    Outcomes must be 0 or 1 and weights positive.
    """
    value, below, above = 0.0, 0.0, 0.0
    for weight, sample in zip(weights, samples, strict=True):
        mean = float(sample.means.mean())
        right = stats.binomtest(round(sample.totals.sum()), sample.n_seeds * sample.n_items)
        low, high = right.proportion_ci(confidence, method="wilson")
        value += weight * mean
        below += (weight * (mean - low)) ** 2
        above += (weight * (high - mean)) ** 2
    return max(0.0, value - math.sqrt(below)), min(1.0, value + math.sqrt(above))


def reliability(fewest_sources: int) -> str:
    """ "ok" from 10 sources in the smallest class, "few_sources" from 6, else "descriptive_only"."""
    if fewest_sources >= MIN_SOURCES_RELIABLE:
        return "ok"
    return "few_sources" if fewest_sources >= MIN_SOURCES_FOR_TESTS else "descriptive_only"


def sign_flip_p(contributions: npt.ArrayLike) -> float:
    """Two-sided p of the sign-flip test: whole sources change the sign of their contribution to the statistic.

    contributions: shape (n_sources,); their sum is the statistic. Exact up to 34 sources with a contribution, from
    100 000 patterns of a fixed random stream above; the smallest exact p is 2 ** (1 - n_sources).
    """
    given = np.asarray(contributions, dtype=np.float64)
    tolerance = 1e-9 * float(np.abs(given).sum())
    observed = abs(float(given.sum())) - tolerance
    if observed <= 0:
        return 1.0
    sizes = np.sort(np.abs(given[np.abs(given) > tolerance / len(given)]))
    if len(sizes) <= EXACT_SIGN_FLIP_SOURCES:
        left, right = _all_sign_sums(sizes[::2]), np.sort(_all_sign_sums(sizes[1::2]))
        above = len(left) * len(right) - int(np.searchsorted(right, observed - left, side="left").sum())
        below = int(np.searchsorted(right, -observed - left, side="right").sum())
        return (above + below) / (len(left) * len(right))
    random = stream(0, "sign_flip", len(sizes))
    chunk = max(1, 2_000_000 // len(sizes))
    extreme = 0
    for start in range(0, SIGN_FLIP_DRAWS, chunk):
        signs = random.integers(0, 2, (min(chunk, SIGN_FLIP_DRAWS - start), len(sizes)), dtype=np.int8)
        extreme += int(np.count_nonzero(np.abs((2.0 * signs - 1.0) @ sizes) >= observed))
    return (extreme + 1) / (SIGN_FLIP_DRAWS + 1)


def _all_sign_sums(values: FloatArray) -> FloatArray:
    """The sum of `values` under each of the 2 ** len(values) sign patterns."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def durkalski_p(differences: npt.ArrayLike) -> float:
    """p of the clustered McNemar test of Durkalski et al. (2003), which weighs sources equally.

    differences: shape (n_sources,), (items only a has right minus items only b has right) / items, per source.
    The statistic (sum d)^2 / sum d^2 is chi-squared with one degree of freedom; with one item per source it is McNemar's.
    """
    values = np.asarray(differences, dtype=np.float64)
    square = float(np.sum(values**2))
    return float(stats.chi2.sf(float(values.sum()) ** 2 / square, 1)) if square > 0 else 1.0


def mcnemar_p(only_a: int, only_b: int) -> float:
    """Exact two-sided McNemar p from the discordant counts; valid only for independent items."""
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
