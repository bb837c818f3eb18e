"""Where a psychometric function reaches a target, how well that is known, and whether it may be said at all."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from earwitness.psychometrics.fitting import deviance, fit_curves
from earwitness.psychometrics.functions import Curves, Family, FloatArray
from earwitness.psychometrics.isotonic import crossing, isotonic_fit
from earwitness.psychometrics.resampling import ResampledCounts, falls, rises, t_quantile
from earwitness.statistics.clustered import jackknife_variance

STATUSES = ("ok", "right_censored", "left_censored", "never", "non_monotone", "flat")
WITHOUT_CURVE = ("non_monotone", "flat")
MIN_LEVELS = 3
MIN_SOURCES_FOR_BOOTSTRAP = 20
"""With fewer sources in a class, percentiles of a cluster bootstrap are too narrow; the jackknife with t is not."""

_LEVELLED_OFF = 0.95


@dataclass(frozen=True)
class Settings:
    """What a threshold is: the family of curves, the target proportion, the level of intervals, the number of resamples."""

    family: Family
    target: float
    confidence: float
    n_bootstrap: int


@dataclass(frozen=True)
class Threshold:
    """One fitted curve and its threshold, in units of the axis.

    status: "ok"; "right_censored" (the fitted curve or the isotonic fit is below the target at the highest level);
    "left_censored" (one of them is there at the lowest level); "never" (the curve has levelled off below the target);
    "non_monotone" (performance falls, see `falls`); "flat" (no trend, see `rises`). The first that applies
    of non_monotone, left_censored, flat, never, right_censored.

    value, low, high, and the ends of `jackknife` and `bootstrap`: -inf is below the tested range, inf above it; nan where the
    status leaves no threshold. interval names the headline: "jackknife_t" below 20 sources in a class, else
    "cluster_bootstrap"; "parametric_bootstrap" for independent answers. censored: share of resamples outside the range.
    goodness_of_fit: parametric-bootstrap p of the deviance; it assumes independent items, and is nan where there is no curve to judge.
    band: low and high of the curve at `grid`, pointwise, by the method of the headline.
    """

    status: str
    value: float
    low: float
    high: float
    interval: str
    jackknife: tuple[float, float]
    bootstrap: tuple[float, float]
    censored: float
    isotonic: float
    curve: Curves
    slope: float
    deviance: float
    goodness_of_fit: float
    grid: FloatArray
    fitted: FloatArray
    band: tuple[FloatArray, FloatArray]


def measure_threshold(levels: FloatArray, counts: ResampledCounts, settings: Settings, rng: np.random.Generator, grid: FloatArray) -> Threshold:
    """Fit the curve and its resamples, decide the status, and only then say where it reaches the target.

    levels: shape (n_levels,), ascending, on the axis of the fit. grid: where the fitted curve is wanted.
    """

    def fit(answers: tuple[FloatArray, FloatArray]) -> Curves:
        return fit_curves(levels, *answers, settings.family)

    curve = fit((counts.correct, counts.total))
    resampled = fit(counts.resamples)
    left_out = [fit(answers) for answers in counts.left_out]
    isotonic = isotonic_fit(counts.correct, counts.total)
    status = _status(levels, counts, curve, isotonic, settings)

    value = float(curve.threshold(settings.target)[0])
    draws = _censored(resampled.threshold(settings.target), levels)
    tails = (1 - settings.confidence) / 2, (1 + settings.confidence) / 2
    low, high = np.quantile(draws, tails, method="inverted_cdf")
    bootstrap = float(low), float(high)
    jackknife = _jackknife_interval(value, [curves.threshold(settings.target) for curves in left_out], levels, settings)
    interval = interval_name(counts)
    low, high = jackknife if interval == "jackknife_t" else bootstrap
    value, low, high = _reportable(status, value, low, high)
    slope = float(curve.slope(float(curve.threshold(settings.target)[0]))[0]) if status == "ok" else np.nan
    misfit = float(deviance(levels, counts.correct, counts.total, curve)[0])
    return Threshold(
        status,
        value,
        low,
        high,
        interval,
        jackknife,
        bootstrap,
        float(np.isinf(draws).mean()),
        float(crossing(levels, isotonic, settings.target)[0]),
        curve,
        slope,
        misfit,
        np.nan if status in WITHOUT_CURVE else _goodness_of_fit(levels, counts.total[0], curve, misfit, settings.n_bootstrap, rng, fit),
        grid,
        curve.at(grid)[0],
        _band(curve, left_out if interval == "jackknife_t" else [], resampled, grid, settings),
    )


def interval_name(counts: ResampledCounts) -> str:
    """The headline's method."""
    if not counts.left_out:
        return "parametric_bootstrap"
    fewest = min(len(total) for _, total in counts.left_out)
    return "jackknife_t" if fewest < MIN_SOURCES_FOR_BOOTSTRAP else "cluster_bootstrap"


def _status(levels: FloatArray, counts: ResampledCounts, curve: Curves, isotonic: FloatArray, settings: Settings) -> str:
    lowest, highest = curve.at(levels[[0, -1]])[0]
    target = settings.target
    if falls(counts, settings.confidence):
        return "non_monotone"
    if lowest >= target or isotonic[0, 0] >= target:
        return "left_censored"
    if not rises(counts, levels, settings.confidence):
        return "flat"
    asymptote = 1 - float(curve.lapse[0])
    if asymptote <= target:
        amplitude = asymptote - settings.family.guess_rate
        if highest - settings.family.guess_rate >= _LEVELLED_OFF * amplitude:
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


def _jackknife_interval(value: float, left_out: list[FloatArray], levels: FloatArray, settings: Settings) -> tuple[float, float]:
    """Leave-one-source-out t interval; fits far outside the range count as one range's width outside, which censors the end."""
    if not left_out:
        return np.nan, np.nan
    span = levels[-1] - levels[0]
    inside = levels[0] - span, levels[-1] + span
    variance, df = jackknife_variance([np.clip(thresholds, *inside) for thresholds in left_out])
    half = t_quantile((1 + settings.confidence) / 2, df) * np.sqrt(variance)
    low, high = _censored(np.clip(value, *inside) + np.array([-half, half]), levels)
    return float(low), float(high)


def _goodness_of_fit(
    levels: FloatArray,
    total: FloatArray,
    curve: Curves,
    misfit: float,
    n_draws: int,
    rng: np.random.Generator,
    fit: Callable[[tuple[FloatArray, FloatArray]], Curves],
) -> float:
    """Share of data sets drawn from the fitted curve, and fitted again, whose deviance is at least as large (Wichmann and Hill 2001)."""
    trials = np.round(total).astype(np.int64)
    drawn = rng.binomial(trials, np.clip(curve.at(levels)[0], 0, 1), (n_draws, len(trials))).astype(float)
    all_trials = np.broadcast_to(trials.astype(float), drawn.shape)
    return float((1 + (deviance(levels, drawn, all_trials, fit((drawn, all_trials))) >= misfit).sum()) / (1 + n_draws))


def _band(curve: Curves, left_out: list[Curves], resampled: Curves, grid: FloatArray, settings: Settings) -> tuple[FloatArray, FloatArray]:
    if not left_out:
        tails = [(1 - settings.confidence) / 2, (1 + settings.confidence) / 2]
        low, high = np.quantile(resampled.at(grid), tails, axis=0)
        return low, high
    variance, df = jackknife_variance([curves.at(grid) for curves in left_out])
    half = t_quantile((1 + settings.confidence) / 2, df) * np.sqrt(variance)
    fitted = curve.at(grid)[0]
    return np.clip(fitted - half, 0, 1), np.clip(fitted + half, 0, 1)
