"""Intervals and tests whose independent unit is the source, not the item.

Items of one source are not independent, so every variance here comes from leaving out one source at a time. Where a
system was trained with several seeds, sources and seeds are crossed: every seed answers the items of every source.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from earwitness.core.randomness import stream
from earwitness.statistics.distributions import chi_squared_tail, t_quantile, t_tail, wilson_interval

FloatArray = npt.NDArray[np.float64]

MIN_SOURCES_FOR_TESTS = 6
"""With fewer sources in a class there is no p-value: a sign-flip test of five sources cannot reach 0.05."""

MIN_SOURCES_RELIABLE = 10
"""With so many sources in each class, an interval can be a headline, unless nearly all sources are perfect."""

EXACT_SIGN_FLIP_SOURCES = 34
"""Up to this many sources, all sign patterns are counted (two halves of at most 2**17 patterns each)."""

SIGN_FLIP_DRAWS = 100_000
"""Sign patterns drawn where there are too many to count."""

_ROUNDING = 1e-18
"""A smaller variance is a rounding error."""


Scale = Literal["share", "difference", "free"]
"""What outcomes are: right or wrong (0 or 1); one system's minus another's, in [-1, 1]; or any numbers, such as losses."""

LEAST_IMAGINED = 0.25
IMAGINED_DIFFERENCE = 0.5
"""Distance of the imagined source of `estimate` from the mean: the least for a share, and the one for a difference."""


@dataclass(frozen=True)
class Sample:
    """Outcomes of one class on one test set, summed over the items of each source.

    totals: shape (n_seeds, n_sources), sum of the items' outcomes. counts: shape (n_sources,), items per source, at least 1.
    scale: what an outcome can be.
    """

    totals: FloatArray
    counts: FloatArray
    scale: Scale = "share"

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

    @property
    def shares(self) -> FloatArray:
        """Share of the items that each source has; shape (n_sources,)."""
        return self.counts / self.counts.sum()


def sample_by_source(outcomes: npt.ArrayLike, sources: Sequence[str] | npt.NDArray[np.object_], scale: Scale = "share") -> Sample:
    """Sum outcomes, shape (n_seeds, n_items), over the items of each source, given the source of every item."""
    _, codes = np.unique(np.asarray(sources, dtype=str), return_inverse=True)
    totals = [np.bincount(codes, weights=row) for row in np.atleast_2d(np.asarray(outcomes, dtype=np.float64))]
    return Sample(np.array(totals), np.bincount(codes).astype(np.float64), scale)


@dataclass(frozen=True)
class Estimate:
    """A weighted sum of class means, averaged over seeds, and how well it is known.

    below, above: variances that the limit below and the limit above the value rest on (`estimate`); nan where a class has fewer
    than two sources. method names the interval: "jackknife_t" (one seed, or seeds held fixed), "two_way_t" (sources and
    seeds), or "none".
    """

    value: float
    below: float
    above: float
    df: float
    method: str

    @property
    def known(self) -> bool:
        return self.method != "none"

    @property
    def variance(self) -> float:
        """The larger of both."""
        return max(self.below, self.above)

    def interval(self, confidence: float, low: float, high: float) -> tuple[float, float]:
        """Two-sided t interval, cut to [low, high], the range that the quantity can take; (nan, nan) where unknown."""
        if not self.known:
            return math.nan, math.nan
        t = t_quantile((1 + confidence) / 2, self.df)
        ends = self.value - t * math.sqrt(self.below), self.value + t * math.sqrt(self.above)
        return float(np.clip(ends[0], low, high)), float(np.clip(ends[1], low, high))

    def p_zero(self) -> float:
        """Two-sided p of the t-test that the quantity is 0, by the limit that faces 0; nan where unknown."""
        if not self.known:
            return math.nan
        return float(2 * t_tail(abs(self.value) / math.sqrt(self.below if self.value > 0 else self.above), self.df))

    def p_equivalence(self, margin: float) -> float:
        """The larger p of two one-sided t-tests (Schuirmann 1987) that the quantity lies outside (-margin, margin)."""
        if not self.known:
            return math.nan
        statistics = (margin - self.value) / math.sqrt(self.above), (margin + self.value) / math.sqrt(self.below)
        return float(t_tail(min(statistics), self.df))


@dataclass(frozen=True)
class Jackknife:
    """An estimate, or several, anew without each source, each seed, and each pair of both.

    by_source: per class, shape (n_sources, ...). by_seed: shape (n_seeds, ...), and by_cell: per class, shape (n_seeds, n_sources, ...);
    None and () with one seed. df: degrees of freedom per class (`degrees_of_freedom`).
    """

    by_source: tuple[FloatArray, ...]
    by_seed: FloatArray | None
    by_cell: tuple[FloatArray, ...]
    df: tuple[float, ...]

    def of(self, function: Callable[[FloatArray], FloatArray]) -> "Jackknife":
        """The jackknife of a function of the values."""
        seeds = None if self.by_seed is None else function(self.by_seed)
        return Jackknife(tuple(map(function, self.by_source)), seeds, tuple(map(function, self.by_cell)), self.df)

    def minus(self, other: "Jackknife") -> "Jackknife":
        """The jackknife of a difference of two estimates from the same sources. Their seeds are paired by order, or only one of them has seeds."""
        sources = tuple(x - y for x, y in zip(self.by_source, other.by_source, strict=True))
        df = tuple(map(min, zip(self.df, other.df, strict=True)))
        if self.by_seed is None and other.by_seed is None:
            return Jackknife(sources, None, (), df)
        ours, theirs = (jackknife.by_cell or tuple(np.zeros(1) for _ in sources) for jackknife in (self, other))
        seeds = [np.zeros(1) if jackknife.by_seed is None else jackknife.by_seed for jackknife in (self, other)]
        return Jackknife(sources, seeds[0] - seeds[1], tuple(x - y for x, y in zip(ours, theirs, strict=True)), df)

    def variance(self) -> tuple[FloatArray, FloatArray]:
        """Variance of the estimate and its degrees of freedom, shape (...).

        Over sources of a class V_c = (n - 1) / n sum_s (x_(s) - mean of x_(s))^2, over seeds V_seed likewise (Efron 1982). Both hold the
        chance of seed by source, so that of the pairs is taken off once, as in the two-way layout of `estimate`: with r the values
        x_(ks) without a pair, less the means of their row and column, it is (K n - 1)^2 sum r^2 / ((K - 1) (n - 1) K n).
        t has Satterthwaite's degrees of freedom (Satterthwaite 1946).
        """
        source = [((len(x) - 1) / len(x) * np.sum((x - x.mean(axis=0)) ** 2, axis=0), df) for x, df in zip(self.by_source, self.df, strict=True)]
        if self.by_seed is None:
            return _sum_of_variances([], source, [])
        n_seeds = len(self.by_seed)
        seed = [((n_seeds - 1) / n_seeds * np.sum((self.by_seed - self.by_seed.mean(axis=0)) ** 2, axis=0), n_seeds - 1.0)]
        residual = []
        for x, df in zip(self.by_cell, self.df, strict=True):
            n = x.shape[1]
            r = x - x.mean(axis=0) - x.mean(axis=1)[:, None] + x.mean(axis=(0, 1))
            square = (n_seeds * n - 1) ** 2 * np.sum(r**2, axis=(0, 1)) / ((n_seeds - 1) * (n - 1) * n_seeds * n)
            residual.append((square, (n_seeds - 1.0) * df))
        return _sum_of_variances(seed, source, residual)


def jackknife_variance(left_out: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Variance and degrees of freedom of an estimate, from its values without each source, per class; for sources of about equal size."""
    return Jackknife(tuple(left_out), None, (), tuple(len(values) - 1.0 for values in left_out)).variance()


def estimate(samples: Sequence[Sample], weights: Sequence[float]) -> Estimate:
    """Estimate the sum of weight x class mean over sources, and over seeds where there are several.

    samples: independent sets of sources (classes, test sets) that share their seeds in the same order. Class means weigh
    items equally. weights: one per sample; (0.5, 0.5) over two classes is balanced accuracy.

    One seed: the jackknife. With m the mean of a class over its n sources and m_(s) the mean without source s, the pseudo-values
    are P_s = n m - (n - 1) m_(s) (Tukey 1958), and Var(m) = sum_s (P_s - m)^2 / (n (n - 1)). It is centred on m, not on the mean
    of the P_s, which is the conservative choice for sources of unequal size. Its degrees of freedom are those of sources that
    differ alike whatever their size (Bell and McCaffrey 2002): n - 1 for equal sizes, fewer where few sources hold most items.

    Several seeds (K): sources and seeds are crossed, so the pseudo-values P_ks of seed k and source s have a two-way layout with
    random effects (Searle, Casella and McCulloch 1992, chapter 4), and Var(m) = (MS_seed + MS_source - MS_residual) / (K n), not
    less than its larger positive term alone. MS_seed is taken of the weighted sum itself, var_k / K: a seed that trades one class
    against the other then counts as what it is, no change of the sum.

    Near 0 and 1 nearly all sources agree, and the jackknife is far too sure: a rare kind of source may not have been heard at all. So
    every class is credited with one imagined source that lies delta from its mean, as Agresti and Coull
    (1998) credit a proportion with answers that nobody gave. Its share of the class is u = q / (1 + q), where q is the sum of the
    squared shares of the sources (1 / n for equal sizes), and (delta u)^2 joins Var(m). A share m has delta = max(|2 m - 1|, 1/4)
    towards one half (as a source that answers the other way round has) and 1/4 away from it. A difference has delta = 1/2 on
    both sides (one more source, half of whose items only one of the systems gets right). Free outcomes have none. The rule is
    continuous in the outcomes, and no interval of a share or a difference has a width of 0.

    The variance of the sum is sum w^2 Var(m) on either side, and t has Satterthwaite's degrees of freedom (Satterthwaite 1946).
    """
    n_seeds = samples[0].n_seeds
    per_seed = sum(weight * sample.means for weight, sample in zip(weights, samples, strict=True))
    value = float(np.mean(per_seed))
    unknown = Estimate(value, math.nan, math.nan, math.nan, "none")
    if any(sample.n_sources < 2 for sample in samples):
        return unknown

    seed_terms = [(float(np.var(per_seed, ddof=1)) / n_seeds, n_seeds - 1.0)] if n_seeds > 1 else []
    source_terms: list[tuple[float, float]] = []
    residual_terms: list[tuple[float, float]] = []
    extra: list[tuple[float, float]] = []
    for weight, sample in zip(weights, samples, strict=True):
        df = degrees_of_freedom(sample.shares)
        squares = _mean_squares(sample)
        source_terms.append((weight**2 * squares.source, df))
        if n_seeds > 1 and squares.source:
            residual_terms.append((weight**2 * squares.residual / (n_seeds * sample.n_sources), (n_seeds - 1.0) * df))
        sides = imagined_variances(float(sample.means.mean()), float(np.sum(sample.shares**2)), sample.scale)
        extra.append((weight**2 * sides[weight < 0], weight**2 * sides[weight > 0]))

    largest = [(v + max(more), d) for (v, d), more in zip(source_terms, extra, strict=True)]
    total, df = map(float, _sum_of_variances(seed_terms, largest, residual_terms))
    if total == 0:
        return unknown
    below, above = (
        float(_sum_of_variances(seed_terms, [(v + more[side], d) for (v, d), more in zip(source_terms, extra, strict=True)], residual_terms)[0])
        for side in (0, 1)
    )
    return Estimate(value, below, above, df, "two_way_t" if n_seeds > 1 else "jackknife_t")


def imagined_variances(mean: float, concentration: float, scale: Scale) -> tuple[float, float]:
    """What the imagined source of `estimate` adds to the variance below and above a class's mean.

    concentration: the sum of the sources' squared shares, 1 / n for n sources of equal size.
    """
    if scale == "free":
        return 0.0, 0.0
    share = concentration / (1 + concentration)
    if scale == "difference":
        both = (IMAGINED_DIFFERENCE * share) ** 2
        return both, both
    distance = max(abs(2 * mean - 1), LEAST_IMAGINED)
    below, above = (distance, LEAST_IMAGINED) if mean > 0.5 else (LEAST_IMAGINED, distance)
    return (below * share) ** 2, (above * share) ** 2


def degrees_of_freedom(shares: FloatArray) -> float:
    """Degrees of freedom of the jackknife variance of a mean, for sources of equal variance and any size; at least 1.

    shares: of the items, shape (n_sources,), sum 1. With w the shares, the jackknife is x'Ax up to a factor, where
    A = (I - 1w')' D (I - 1w') and D is diagonal with g = (w / (1 - w))^2; then df = tr(A)^2 / tr(A^2) (Bell and McCaffrey 2002).
    """
    w = shares
    g = (w / (1 - w)) ** 2
    # A = D - gw' - wg' + (sum of g) ww', multiplied out so that no n x n array is needed.
    total, ww, gw, gg = g.sum(), w @ w, g @ w, g @ g
    trace = total - 2 * gw + total * ww
    diagonal = gg - 4 * np.sum(g**2 * w) + 2 * total * np.sum(g * w**2)
    square = diagonal + 2 * gg * ww + 2 * gw**2 + total**2 * ww**2 - 4 * total * gw * ww
    return max(1.0, float(trace**2 / square))


@dataclass(frozen=True)
class _MeanSquares:
    """Of one class: the variance of the mean over sources, as if seeds were fixed, and the mean square of the residuals (seed by
    source), 0 for one seed."""

    source: float
    residual: float


def _mean_squares(sample: Sample) -> _MeanSquares:
    n, n_seeds = sample.n_sources, sample.n_seeds
    totals = sample.totals.sum(axis=1, keepdims=True)
    left_out = (totals - sample.totals) / (sample.counts.sum() - sample.counts)
    pseudo = n * sample.means[:, None] - (n - 1) * left_out
    by_source = pseudo.mean(axis=0)
    variance = float(np.sum((by_source - sample.means.mean()) ** 2)) / (n * (n - 1))
    if variance < _ROUNDING:
        return _MeanSquares(0.0, 0.0)
    residuals = pseudo - by_source - pseudo.mean(axis=1, keepdims=True) + pseudo.mean()
    df = (n_seeds - 1.0) * (n - 1)
    return _MeanSquares(variance, float(np.sum(residuals**2)) / df if df else 0.0)


@dataclass(frozen=True)
class Components:
    """Variance components of a weighted sum of class means, and what the design does with them.

    seed: of the sum. sources, residuals: of each class (residual: seed by source, with the chance of single items). imagined: the
    distance of each class's imagined source from its mean (`estimate`), the larger of both sides. concentrations: sum of squared
    shares times the number of sources, 1 for equal sizes. shares_of_df: degrees of freedom over the number of sources less 1.
    With one seed, seeds and residuals are 0: the residual is then part of the source.
    """

    seed: float
    sources: tuple[float, ...]
    residuals: tuple[float, ...]
    weights: tuple[float, ...]
    imagined: tuple[float, ...]
    concentrations: tuple[float, ...]
    shares_of_df: tuple[float, ...]

    def of_mean(self, n_seeds: int, n_sources: Sequence[float]) -> tuple[float, float]:
        """Expected variance of the sum over so many seeds and sources of each class, and its degrees of freedom (`estimate`)."""
        seed: list[tuple[float, float]] = []
        source, residual = [], []
        for k, n in enumerate(n_sources):
            w2, df, q = self.weights[k] ** 2, max(1.0, self.shares_of_df[k] * (n - 1)), self.concentrations[k] / n
            source.append((w2 * ((self.sources[k] + self.residuals[k] / n_seeds) / n + (self.imagined[k] * q / (1 + q)) ** 2), df))
            if self.residuals[k]:
                residual.append((w2 * self.residuals[k] / (n_seeds * n), (n_seeds - 1.0) * df))
        if n_seeds > 1:
            seed = [(self.seed / n_seeds + sum(v for v, _ in residual), n_seeds - 1.0)]
        variance, freedom = _sum_of_variances(seed, source, residual)
        return float(variance), float(freedom)


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
    return Components(
        seed,
        sources,
        residuals,
        tuple(weights),
        # Where all items are one source's, its share of the class with the imagined one is a half.
        tuple(2 * math.sqrt(max(imagined_variances(float(s.means.mean()), 1.0, s.scale))) for s in samples),
        tuple(float(np.sum(s.shares**2)) * s.n_sources for s in samples),
        tuple(degrees_of_freedom(s.shares) / (s.n_sources - 1) for s in samples),
    )


Terms = Sequence[tuple[FloatArray | float, float]]


def _sum_of_variances(seed: Terms, source: Terms, residual: Terms) -> tuple[FloatArray, FloatArray]:
    """Seed + source - residual terms, each (variance, df), with Satterthwaite's df; never below a positive group alone."""
    seeds, sources, residuals = (np.asarray(sum((v for v, _ in group), 0.0)) for group in (seed, source, residual))
    alone, total = np.maximum(seeds, sources), seeds + sources - residuals
    df_alone = np.where(seeds > sources, _satterthwaite(seeds, seed), _satterthwaite(sources, source))
    return np.maximum(total, alone), np.where(total < alone, df_alone, _satterthwaite(total, [*seed, *source, *residual]))


def _satterthwaite(total: FloatArray, terms: Terms) -> FloatArray:
    """Degrees of freedom of a sum of variances, not below those of its poorest term; 1 where the sum is 0."""
    squares, poorest = np.zeros_like(total), np.full_like(total, np.inf)
    for variance, df in terms:
        squares = squares + np.square(variance) / df
        poorest = np.where(np.asarray(variance) > 0, np.minimum(poorest, df), poorest)
    known = squares > 0
    return np.where(known, np.maximum(total**2 / np.where(known, squares, 1.0), poorest), 1.0)


def naive_interval(samples: Sequence[Sample], weights: Sequence[float], confidence: float) -> tuple[float, float]:
    """The interval that is wrong here, shown for comparison: it takes all items of all seeds as independent (Wilson's, per class).

    Weighted sums combine the classes' Wilson limits (Zou and Donner 2008), which for one class is Wilson's own interval.
    Outcomes must be 0 or 1 and weights positive.
    """
    value, below, above = 0.0, 0.0, 0.0
    for weight, sample in zip(weights, samples, strict=True):
        mean = float(sample.means.mean())
        low, high = wilson_interval(round(sample.totals.sum()), sample.n_seeds * sample.n_items, confidence)
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
    return float(chi_squared_tail(float(values.sum()) ** 2 / square, 1)) if square > 0 else 1.0


def mcnemar_p(only_a: int, only_b: int) -> float:
    """Exact two-sided McNemar p from the discordant counts; valid only for independent items."""
    from scipy import stats  # loads slowly, and few programs get here

    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
