"""The level at which a psychometric function reaches a target, its interval, and a status that says whether there is such a level."""

from dataclasses import dataclass, field

import numpy as np
from scipy import special

from earwitness.psychometrics.fitting import Prior, WeakPrior, deviance, fit_curves
from earwitness.psychometrics.functions import Curves, Family, FloatArray
from earwitness.psychometrics.isotonic import crossing, isotonic_fit
from earwitness.psychometrics.resampling import LevelCounts, falls, t_or_normal_quantile, trend
from earwitness.statistics.clustered import Estimate, Jackknife

WITHOUT_CURVE = ("non_monotone", "flat", "undecided")
MIN_LEVELS = 3

LARGEST_FLAT_RISE = 0.1
"""A curve is called flat only where the interval of its rise over the tested range lies below this share."""

_LEVELLED_OFF = 0.95


@dataclass(frozen=True)
class Settings:
    """How thresholds are estimated.

    family: of the curves. target: the proportion that a threshold reaches. confidence: level of the intervals. n_bootstrap: data sets that
    are drawn from the fitted curve, for goodness of fit and the least variance.
    """

    family: Family
    target: float
    confidence: float
    n_bootstrap: int
    prior: Prior = field(default_factory=WeakPrior)


@dataclass(frozen=True)
class Threshold:
    """One fitted curve and its threshold, in units of the axis.

    status: the first of these that applies; "ok" where none does.
      "non_monotone"    performance falls with the level (`falls`)
      "left_censored"   the fitted curve or the isotonic fit has reached the target at the lowest level already
      "flat"            there is no rise, and the interval of the rise excludes 10 points (`trend`)
      "undecided"       no rise is shown, but none is excluded either
      "never"           the fitted curve levels off below the target
      "right_censored"  the fitted curve or the isotonic fit has not reached the target at the highest level
    A threshold whose interval leaves the tested range on both sides is "undecided" too.

    value, low, high: the threshold and its interval; -inf is below the tested range, inf above it, nan means that there is no threshold.
    interval: the method, "jackknife_t" over sources, "two_way_t" over sources and seeds, "parametric_bootstrap" for independent answers,
      "none" (and ends that are nan) where a class has a single source.
    thresholds: the threshold of all data, and the thresholds without each source and each seed; they are cut off one width of the tested
    range outside it. least_variance: the variance of the threshold if answers were independent; the variance in use is never smaller.
    goodness_of_fit: parametric-bootstrap p of the deviance; it assumes independent items, and is nan where the status leaves no curve.
    band: low and high of the curve at `grid`, pointwise.
    """

    status: str
    value: float
    low: float
    high: float
    interval: str
    thresholds: Jackknife | None
    least_variance: float
    isotonic: float
    curve: Curves
    slope: float
    deviance: float
    goodness_of_fit: float
    grid: FloatArray
    fitted: FloatArray
    band: tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class Fits:
    """The curve of all data, those of data sets drawn from it, and those without each source and seed.

    drawn_correct, drawn_total: shape (n_draws, n_levels). left_out: of `Curves.parameters`; None where answers count as independent.
    """

    curve: Curves
    drawn_correct: FloatArray
    drawn_total: FloatArray
    drawn: Curves
    left_out: Jackknife | None


def fit_all(levels: FloatArray, counts: LevelCounts, settings: Settings, rng: np.random.Generator) -> Fits:
    """Fit the curve to all data, to data drawn from it, and to those without each source and seed; levels: as for `measure_threshold`."""
    curve = fit_curves(levels, counts.correct, counts.total, settings.family, settings.prior)
    drawn_correct, drawn_total = drawn_counts(levels, counts.total[0], curve, settings.n_bootstrap, rng)
    drawn = fit_curves(levels, drawn_correct, drawn_total, settings.family, settings.prior)

    def without(left_out: FloatArray) -> FloatArray:
        sets = left_out.reshape(-1, 2, left_out.shape[-1])
        fitted = fit_curves(levels, sets[:, 0], sets[:, 1], settings.family, settings.prior)
        return fitted.parameters.reshape(*left_out.shape[:-2], -1)

    return Fits(curve, drawn_correct, drawn_total, drawn, None if counts.left_out is None else counts.left_out.of(without))


def measure_threshold(levels: FloatArray, counts: LevelCounts, settings: Settings, rng: np.random.Generator, grid: FloatArray) -> Threshold:
    """Fit the curve to all data and without each source and seed, decide the status, and then say where the curve reaches the target.

    levels: shape (n_levels,), ascending, on the axis of the fit. grid: where the fitted curve is wanted.
    """
    return threshold_of_fits(levels, counts, settings, fit_all(levels, counts, settings, rng), grid)


def threshold_of_fits(levels: FloatArray, counts: LevelCounts, settings: Settings, fits: Fits, grid: FloatArray) -> Threshold:
    """The same with the fits at hand."""
    curve, drawn = fits.curve, fits.drawn
    tails = (1 - settings.confidence) / 2, (1 + settings.confidence) / 2
    span = levels[-1] - levels[0]
    inside = levels[0] - span, levels[-1] + span
    value = float(np.clip(curve.threshold(settings.target)[0], *inside))
    draws = np.clip(drawn.threshold(settings.target), *inside)
    least_variance = float(spread(draws) ** 2)

    if fits.left_out is None:
        interval, thresholds = "parametric_bootstrap", None
        ends = bootstrap_limits(np.array([value]), draws[:, None], settings.confidence)[:, 0]
        low, high = np.quantile(drawn.at(grid), tails, axis=0)
        if counts.descriptive:
            interval, ends, low, high = "none", np.full(2, np.nan), np.full_like(low, np.nan), np.full_like(high, np.nan)
    else:
        interval = "jackknife_t" if fits.left_out.by_seed is None else "two_way_t"
        both = fits.left_out.of(lambda left: _thresholds_and_values(left, settings, inside, grid))
        thresholds = both.of(lambda values: values[..., 0])
        variance, df = both.variance()
        # Where sources do not differ at all, the variance is that of independent answers, with the sources' degrees of freedom.
        df = np.where(variance > 0, df, min(both.df))
        half = t_or_normal_quantile(tails[1], df) * np.sqrt(np.maximum(variance, np.concatenate([[least_variance], spread(drawn.at(grid)) ** 2])))
        ends = value + np.array([-half[0], half[0]])
        low, high = np.clip(curve.at(grid)[0] - half[1:], 0, 1), np.clip(curve.at(grid)[0] + half[1:], 0, 1)

    below, above = (float(end) for end in _censored(ends, levels))
    isotonic = isotonic_fit(counts.correct, counts.total)
    status = _status(levels, counts, curve, isotonic, settings)
    if status == "ok" and below == -np.inf and above == np.inf:
        status = "undecided"
    misfit = float(deviance(levels, counts.correct, counts.total, curve)[0])
    worse = int(np.sum(deviance(levels, fits.drawn_correct, fits.drawn_total, drawn) >= misfit))
    # Share of the drawn data sets whose deviance is at least as large (Wichmann and Hill 2001).
    goodness_of_fit = np.nan if status in WITHOUT_CURVE else (1 + worse) / (1 + len(draws))
    return Threshold(
        status,
        *_reportable(status, value, below, above),
        interval,
        thresholds,
        least_variance,
        float(crossing(levels, isotonic, settings.target)[0]),
        curve,
        float(curve.slope(value)[0]) if status == "ok" else np.nan,
        misfit,
        goodness_of_fit,
        grid,
        curve.at(grid)[0],
        (low, high),
    )


def difference_of_thresholds(a: Threshold, b: Threshold) -> Estimate:
    """Threshold a minus threshold b, in units of the axis, from the same sources; seeds are paired by their order.

    The estimate is unknown (nan) unless both statuses are "ok", because a threshold outside the tested range is no number.
    """
    value = a.value - b.value
    if not (a.status == b.status == "ok") or a.thresholds is None or b.thresholds is None:
        return Estimate(np.nan, np.nan, np.nan, np.nan, "none")
    between = a.thresholds.minus(b.thresholds)
    jackknife, df = between.variance()
    # Two systems that share every answer differ in none; a difference of nothing still has the variance of independent answers.
    variance = float(jackknife) or a.least_variance + b.least_variance
    return Estimate(value, variance, variance, float(df), "jackknife_t" if between.by_seed is None else "two_way_t")


def spread(draws: FloatArray) -> FloatArray:
    """Half the distance between the 16 % and 84 % quantiles of the draws: a standard deviation that a few failed fits do not inflate."""
    low, high = np.quantile(draws, [0.1587, 0.8413], axis=0)
    return np.asarray((high - low) / 2)


def bootstrap_limits(values: FloatArray, draws: FloatArray, confidence: float) -> FloatArray:
    """Ends of intervals of values, shape (n,), from those of data sets drawn from their fit, (n_draws, n); shape (2, n).

    The bias-corrected normal interval (Davison and Hinkley 1997, section 5.2): (2 t - m) -+ z s, with t the value, m the median of the
    draws, not further from t than half of s, and s their `spread`. Percentiles of the draws would hold the bias twice. Where a curve does not reach
    its ceiling, the penalty on the lapse rate is such a bias: with the lapse rate too low, the midpoint lies too high.
    """
    deviation = spread(draws)
    bias = np.clip(np.median(draws, axis=0) - values, -deviation / 2, deviation / 2)
    half = float(special.ndtri((1 + confidence) / 2)) * deviation
    return np.stack([values - bias - half, values - bias + half])


def drawn_counts(levels: FloatArray, total: FloatArray, curve: Curves, n_draws: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Data sets of as many independent answers drawn from the fitted curve."""
    trials = np.maximum(1, np.round(total)).astype(np.int64)
    correct = rng.binomial(trials, np.clip(curve.at(levels)[0], 0, 1), (n_draws, len(trials))).astype(float)
    return correct, np.broadcast_to(trials.astype(float), correct.shape)


def _thresholds_and_values(parameters: FloatArray, settings: Settings, inside: tuple[float, float], grid: FloatArray) -> FloatArray:
    """The threshold, then the curve on the grid, of every fit; parameters: shape (..., 4)."""
    curves = Curves.of(settings.family, parameters.reshape(-1, parameters.shape[-1]))
    values = np.column_stack([np.clip(curves.threshold(settings.target), *inside), curves.at(grid)])
    return values.reshape(*parameters.shape[:-1], -1)


def _status(levels: FloatArray, counts: LevelCounts, curve: Curves, isotonic: FloatArray, settings: Settings) -> str:
    lowest, highest = curve.at(levels[[0, -1]])[0]
    target = settings.target
    if falls(counts, settings.confidence):
        return "non_monotone"
    if lowest >= target or isotonic[0, 0] >= target:
        return "left_censored"
    least, largest = trend(counts, levels, settings.confidence)
    if least <= 0:
        return "flat" if largest < LARGEST_FLAT_RISE else "undecided"
    asymptote = 1 - float(curve.lapse[0])
    if asymptote <= target:
        guess = float(curve.guess[0])
        if highest - guess >= _LEVELLED_OFF * (asymptote - guess):
            return "never"
    if highest < target or isotonic[0, -1] < target:
        return "right_censored"
    return "ok"


def _reportable(status: str, value: float, low: float, high: float) -> tuple[float, float, float]:
    if status == "ok":
        return value, low, high
    if status == "right_censored":
        return np.inf, low, np.inf
    if status == "left_censored":
        return -np.inf, -np.inf, high
    return np.nan, np.nan, np.nan


def _censored(thresholds: FloatArray, levels: FloatArray) -> FloatArray:
    """Thresholds with -inf and inf for those outside the tested range."""
    return np.where(thresholds < levels[0], -np.inf, np.where(thresholds > levels[-1], np.inf, thresholds))
