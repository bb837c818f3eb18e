"""Psychometric functions for a table of counts that a user brings: level, correct and total, with or without sources and conditions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.core.names import canonical_name
from earwitness.core.randomness import stream
from earwitness.psychometrics.axes import from_axis, number_or_none, to_axis
from earwitness.psychometrics.fitting import fit_curves_sharing_lapse
from earwitness.psychometrics.functions import MEASURES, Curves, FloatArray
from earwitness.psychometrics.mixed_counts import mixed_model
from earwitness.psychometrics.resampling import LevelCounts, SourceCounts, leave_out, pooled
from earwitness.psychometrics.thresholds import (
    MIN_LEVELS,
    WITHOUT_CURVE,
    Fits,
    Settings,
    Threshold,
    bootstrap_limits,
    drawn_counts,
    fit_all,
    spread,
    threshold_of_fits,
)
from earwitness.statistics.clustered import MIN_SOURCES_FOR_TESTS, Estimate, Jackknife, degrees_of_freedom
from earwitness.statistics.multiple_tests import holm

_NUMBERS = ["level", "correct", "total"]
_INDEPENDENT = "-"
_MINUS_SIGNS = {ord("\N{MINUS SIGN}"): "-", ord("\N{EN DASH}"): "-"}
"""What text processors write for a minus."""

LARGEST_NUMBER = 1e15
"""The largest count that a double holds exactly."""

GRID_POINTS = 121


def checked_counts(table: pd.DataFrame, axis: str) -> pd.DataFrame:
    """The counts of each condition, source and level, with columns condition, source, level, correct, total.

    table: texts or numbers with columns level, correct, total and, optionally, source and condition, in any order. axis: "log" or "linear".
    Rows of one condition, source and level are added up. Without the column `source`, all answers count as independent, and source is "-";
    without `condition`, there is one, "-". Raises InputError naming the first impossible row, or the level without trials, or where a condition has
    fewer than three levels.
    """
    for column in _NUMBERS:
        if column not in table:
            raise InputError(f"counts: no column {column}; has {', '.join(map(str, table.columns))}; needed are {', '.join(_NUMBERS)}")
    if unknown := [str(name) for name in table.columns if name not in [*_NUMBERS, "source", "condition"]]:
        raise InputError(
            f"counts: unknown column {unknown[0]}; leave only {', '.join(_NUMBERS)} and, optionally, condition and source, the subject or speaker"
        )
    if table.empty:
        raise InputError("counts: no row below the header; add one per level")
    plain = table[_NUMBERS].map(lambda cell: cell.translate(_MINUS_SIGNS) if isinstance(cell, str) else cell)
    numbers = plain.apply(pd.to_numeric, errors="coerce").astype(float)
    _check_numbers(numbers, table.level, axis)
    named = {}
    for column in ("condition", "source"):
        if column in table and (nameless := table[column].isna() | (table[column].map(canonical_name) == "")).any():
            raise InputError(f"counts, row {int(np.argmax(nameless)) + 1}: no {column}; name it, or leave the column out")
        named[column] = table[column].map(canonical_name) if column in table else _INDEPENDENT
    summed = numbers.assign(**named).groupby(["condition", "source", "level"], as_index=False)[["correct", "total"]].sum()
    for condition, rows in summed.groupby("condition"):
        where = "" if condition == _INDEPENDENT else f" of condition {condition}"
        trials = rows.groupby("level").total.sum()
        if (trials == 0).any():
            raise InputError(f"counts: level {trials.index[trials == 0][0]:g}{where} has no trials; leave it out")
        if len(trials) < MIN_LEVELS:
            found = f"{len(trials)} level{'s' * (len(trials) > 1)}{where}"
            raise InputError(f"counts: {found}; a psychometric function needs at least {MIN_LEVELS} different ones")
    return summed


def _check_numbers(numbers: pd.DataFrame, written: pd.Series, axis: str) -> None:
    """Raise InputError naming the first row whose numbers are impossible; written: its level as it stands in the table."""
    counts = numbers[["correct", "total"]]
    faults = {
        "level is not a number (give it without unit; a decimal comma needs semicolons between columns)": ~np.isfinite(numbers.level),
        f"level is beyond {LARGEST_NUMBER:g}; give it in larger units": numbers.level.abs() > LARGEST_NUMBER,
        f"total is beyond {LARGEST_NUMBER:g}; that many trials cannot be told apart": numbers.total > LARGEST_NUMBER,
        "level must be above 0 on a log axis (for levels in dB, take --axis linear)": (numbers.level <= 0) & (axis == "log"),
        "correct and total must be whole numbers from 0 (counts, no shares or percentages, without separators of thousands)": (
            ~np.isfinite(counts) | (counts < 0) | (counts % 1 != 0)
        ).any(axis=1),
        "correct is larger than total": numbers.correct > numbers.total,
    }
    for problem, wrong in faults.items():
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(f"counts, row {row + 1} (level {written.iloc[row]}): {problem}; correct the table")


@dataclass(frozen=True)
class Analysis:
    """What is wanted of counts.

    axis: "log" or "linear". settings: of each curve. share_lapse: one lapse rate for all curves. reference: the condition that others are
    compared with, the first where None. mixed: whether a mixed model of sources is fitted to all conditions together.
    """

    axis: str
    settings: Settings
    share_lapse: bool = False
    reference: str | None = None
    mixed: bool = False


@dataclass(frozen=True)
class FittedCurve:
    """One condition: its answers by level, its threshold, and its measures.

    found: the threshold, the midpoint and the decimal logarithm of the just noticeable difference, on the axis. left_out: the same without
    each of `left_sources`, which with a shared lapse rate are those of all conditions; None where answers count as independent. draws: the same of
    data drawn from the fit. limits: the ends of each measure's interval, shape (2, 3).
    """

    condition: str
    levels: FloatArray
    correct: FloatArray
    total: FloatArray
    sources: tuple[str, ...]
    threshold: Threshold
    found: FloatArray
    left_sources: tuple[str, ...]
    left_out: FloatArray | None
    df: float
    draws: FloatArray
    limits: FloatArray

    def known(self, measure: str) -> bool:
        """Whether a measure is a number: a threshold where its status is ok, another where the midpoint is within the tested levels too."""
        if measure == MEASURES[0]:
            return self.threshold.status == "ok"
        low, high = self.threshold.grid[[0, -1]]
        return self.threshold.status not in WITHOUT_CURVE and bool(low <= self.found[1] <= high)


def fit_counts(counts: pd.DataFrame, analysis: Analysis, seed: int) -> tuple[list[FittedCurve], dict[str, Any]]:
    """Fit one function per condition of `checked_counts`; returns the curves, and all that is known of them, ready for JSON.

    With several sources, intervals are the jackknife over them, with t; otherwise they come from data sets drawn from the fitted curve, and
    hold for that one source. Raises InputError where the target is not between guess rate and 1 - lapse rate, where the reference is
    no condition, or where a mixed model is wanted and cannot be had.
    """
    settings = analysis.settings
    family = settings.family
    lowest, ceiling = family.guess_rate or 0, 1 - (family.lapse_rate or 0)
    if not lowest < settings.target < ceiling:
        raise InputError(f"target {settings.target:g} is not between the guess rate {lowest:g} and 1 - lapse rate, {ceiling:g}: change it")
    tables = {str(name): rows for name, rows in counts.groupby("condition", sort=False)}
    reference = analysis.reference if analysis.reference is not None else next(iter(tables))
    if reference not in tables:
        raise InputError(f"--reference {reference}: no such condition; give one of {', '.join(tables)}")
    measured = [_counted(name, rows, analysis.axis) for name, rows in tables.items()]
    streams = [stream(seed, "fit_counts", name) for name in tables]
    if analysis.share_lapse:
        fits = _joint_fits(measured, settings, streams)
    else:
        fits = [fit_all(one.x, one.counts, settings, rng) for one, rng in zip(measured, streams, strict=True)]
    together = _all_sources(measured)
    curves = [_fitted(one, settings, own, together if analysis.share_lapse else one.sources) for one, own in zip(measured, fits, strict=True)]
    described = {curve.condition: _described(curve, analysis.axis, settings, family.lapse_rate is None) for curve in curves}
    if len(curves) == 1:
        result = described[curves[0].condition]
    else:
        result = {
            "shared_lapse_rate": float(fits[0].curve.lapse[0]) if analysis.share_lapse else None,
            "curves": described,
            "comparisons": _comparisons(curves, reference, analysis.axis, settings.confidence),
        }
    if analysis.mixed:
        result["mixed_model"] = mixed_model(counts, reference, analysis.axis, settings)
    return curves, result


@dataclass(frozen=True)
class _Counted:
    """The answers of one condition. x: the levels on the axis. by_source: shape (2, n_sources, n_levels), correct and total. df: of a jackknife."""

    condition: str
    levels: FloatArray
    x: FloatArray
    sources: tuple[str, ...]
    by_source: FloatArray
    counts: LevelCounts
    df: float


def _counted(name: str, rows: pd.DataFrame, axis: str) -> _Counted:
    levels = np.sort(rows.level.unique())
    table = rows.pivot_table(index="source", columns="level", values=["correct", "total"], fill_value=0)
    by_source = np.stack([table[column].to_numpy(np.float64) for column in ("correct", "total")])
    correct, total = by_source.sum(axis=1)
    counts, df = LevelCounts(correct[None], total[None], None), math.inf
    if by_source.shape[1] > 1:
        counts = leave_out([SourceCounts(by_source[:1], by_source[1])], pooled)
        df = degrees_of_freedom(by_source[1].sum(axis=1) / total.sum())
    return _Counted(name, levels, to_axis(levels, axis), tuple(map(str, table.index)), by_source, counts, df)


def _joint_fits(measured: Sequence[_Counted], settings: Settings, streams: Sequence[np.random.Generator]) -> list[Fits]:
    """The fits of all conditions with one lapse rate, which is fitted anew to every draw and without each source, out of all conditions at once, so
    that intervals carry its uncertainty."""
    levels = [one.x for one in measured]

    def fitted(correct: Sequence[FloatArray], total: Sequence[FloatArray]) -> list[Curves]:
        return fit_curves_sharing_lapse(levels, correct, total, settings.family, settings.prior)

    curves = fitted([one.counts.correct for one in measured], [one.counts.total for one in measured])
    drawn = [
        drawn_counts(one.x, one.counts.total[0], curve, settings.n_bootstrap, rng) for one, curve, rng in zip(measured, curves, streams, strict=True)
    ]
    drawn_curves = fitted([correct for correct, _ in drawn], [total for _, total in drawn])
    left: list[FloatArray] = []
    sources = _all_sources(measured)
    if len(sources) > 1:
        without = [_without_each(one, sources) for one in measured]
        left = [curve.parameters for curve in fitted([correct for correct, _ in without], [total for _, total in without])]
    return [
        Fits(curve, *drawn[k], drawn_curves[k], Jackknife((left[k],), None, (), (one.df,)) if one.counts.left_out is not None else None)
        for k, (one, curve) in enumerate(zip(measured, curves, strict=True))
    ]


def _all_sources(measured: Sequence[_Counted]) -> tuple[str, ...]:
    return tuple(sorted({source for one in measured for source in one.sources}))


def _without_each(one: _Counted, sources: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Counts without each of the sources, some of which may be missing in this condition; correct and total, shape (n_sources, n_levels)."""
    own = dict(zip(one.sources, one.by_source.transpose(1, 0, 2), strict=True))
    nothing = np.zeros_like(one.by_source[:, 0])
    left = np.array([one.by_source.sum(axis=1) - own.get(source, nothing) for source in sources])
    return left[:, 0], left[:, 1]


def _fitted(one: _Counted, settings: Settings, fits: Fits, left_sources: tuple[str, ...]) -> FittedCurve:
    x = one.x
    threshold = threshold_of_fits(x, one.counts, settings, fits, np.linspace(x[0], x[-1], GRID_POINTS))
    inside = 2 * x[0] - x[-1], 2 * x[-1] - x[0]
    draws, values = _measures(fits.drawn, settings.target, inside), _measures(fits.curve, settings.target, inside)[0]
    [correct], [total] = one.counts.correct, one.counts.total
    left, limits = None, bootstrap_limits(values, draws, settings.confidence)
    if fits.left_out is not None:
        between = fits.left_out.of(lambda parameters: _measures(Curves.of(settings.family, parameters), settings.target, inside))
        [left], limits = between.by_source, _of_differences(values, between, spread(draws) ** 2, settings.confidence)
    return FittedCurve(one.condition, one.levels, correct, total, one.sources, threshold, values, left_sources, left, one.df, draws, limits)


def _measures(curves: Curves, target: float, inside: tuple[float, float]) -> FloatArray:
    """Threshold, midpoint and decimal logarithm of the just noticeable difference; shape (n_curves, 3)."""
    places = np.clip(np.stack([curves.threshold(target), curves.midpoint], axis=1), *inside)
    return np.column_stack([places, np.log10(curves.just_noticeable_difference)])


def _estimates(values: FloatArray, between: Jackknife | None, least: FloatArray) -> list[Estimate]:
    """Each value with the larger of its jackknife variance and that of independent answers."""
    if between is None:
        return [Estimate(float(v), float(s), float(s), math.inf, "parametric_bootstrap") for v, s in zip(values, least, strict=True)]
    variance, df = between.variance()
    df = np.where(variance > 0, df, min(between.df))
    used = np.maximum(variance, least)
    return [Estimate(float(v), float(s), float(s), float(d), "jackknife_t") for v, s, d in np.stack([values, used, df], axis=1)]


def _of_differences(values: FloatArray, between: Jackknife | None, least: FloatArray, confidence: float) -> FloatArray:
    return np.array([one.interval(confidence, -np.inf, np.inf) for one in _estimates(values, between, least)]).T


def _comparisons(curves: Sequence[FittedCurve], reference: str, axis: str, confidence: float) -> list[dict[str, Any]]:
    """Every condition against the reference: ratio of thresholds and midpoints on a log axis, their difference on a linear one, and
    the ratio of just noticeable differences. Holm's correction runs over the conditions' thresholds."""
    [base] = [curve for curve in curves if curve.condition == reference]
    found = []
    for curve in curves:
        if curve is base:
            continue
        several = min(len(curve.sources), len(base.sources))
        estimates = _estimates(curve.found - base.found, _between(curve, base), spread(curve.draws - base.draws) ** 2)
        row: dict[str, Any] = {"condition": curve.condition, "reference": reference}
        for measure, one in zip(MEASURES, estimates, strict=True):
            ratio = axis == "log" or measure == MEASURES[2]
            ends = np.array([one.value, *one.interval(confidence, -np.inf, np.inf)])
            known = curve.known(measure) and base.known(measure)
            value, low, high = (number_or_none(end if known else math.nan) for end in (10**ends if ratio else ends))
            tested = known and (several == 1 or several >= MIN_SOURCES_FOR_TESTS)
            told = {"contrast": "ratio" if ratio else "difference", "value": value, "low": low, "high": high}
            row[measure] = told | {"p": one.p_zero() if tested else None, "interval": one.method, "confidence": confidence}
        row["sources"] = _pairing(curve, base)
        found.append(row)
    thresholds = [row[MEASURES[0]] for row in found if row[MEASURES[0]]["p"] is not None]
    for threshold, p in zip(thresholds, holm([threshold["p"] for threshold in thresholds]).tolist(), strict=True):
        threshold["p_holm"] = p
    return found


def _pairing(a: FittedCurve, b: FittedCurve) -> str:
    if a.left_out is None and b.left_out is None:
        return "answers count as independent"
    if a.sources == b.sources:
        return "the same in both"
    return "others" if not set(a.sources) & set(b.sources) else "some in both"


def _between(a: FittedCurve, b: FittedCurve) -> Jackknife | None:
    """The jackknife of a minus b: a source that is in both is left out of both at once."""
    if a.left_out is None and b.left_out is None:
        return None
    if not set(a.left_sources) & set(b.left_sources):
        given = [(curve.left_out * sign, curve.df) for curve, sign in ((a, 1.0), (b, -1.0)) if curve.left_out is not None]
        return Jackknife(tuple(left for left, _ in given), None, (), tuple(df for _, df in given))
    union = sorted(set(a.left_sources) | set(b.left_sources))
    moved = []
    for curve in (a, b):
        left = np.tile(curve.found, (len(union), 1))
        if curve.left_out is not None:
            left[[union.index(source) for source in curve.left_sources]] = curve.left_out
        moved.append(left)
    return Jackknife((moved[0] - moved[1],), None, (), (min(a.df, b.df),))


def _described(curve: FittedCurve, axis: str, settings: Settings, lapse_fitted: bool) -> dict[str, Any]:
    result, family = curve.threshold, settings.family
    fitted = result.curve
    value, low, high, isotonic = (number_or_none(end) for end in from_axis([result.value, result.low, result.high, result.isotonic], axis))
    intervals = {"interval": result.interval, "confidence": settings.confidence}
    middle = from_axis([curve.found[1], *curve.limits[:, 1]], axis)
    jnd = 10 ** np.array([curve.found[2], *curve.limits[:, 2]])
    ends = {
        measure: dict(zip(("value", "low", "high"), (number_or_none(end) if curve.known(measure) else None for end in three), strict=True))
        | intervals
        for measure, three in zip(MEASURES[1:], (middle, jnd), strict=True)
    }
    return {
        "status": result.status,
        "target": settings.target,
        "threshold": {"value": value, "low": low, "high": high, **intervals},
        **ends,
        "isotonic_threshold": isotonic,
        "parameters": {
            "sigmoid": family.sigmoid,
            "axis": axis,
            "location": float(fitted.location[0]),
            "scale": float(fitted.scale[0]),
            "midpoint": float(from_axis(fitted.midpoint, axis)[0]),
            "width": float(fitted.width[0]),
            "just_noticeable_difference": float(fitted.just_noticeable_difference[0]),
            "guess_rate": float(fitted.guess[0]),
            "guess_rate_fitted": family.guess_rate is None,
            "lapse_rate": float(fitted.lapse[0]),
            "lapse_rate_fitted": lapse_fitted,
        },
        "slope": number_or_none(result.slope),
        "deviance": result.deviance,
        "goodness_of_fit_p": number_or_none(result.goodness_of_fit),
        "n_sources": None if curve.sources == (_INDEPENDENT,) else len(curve.sources),
        "n_resamples": settings.n_bootstrap,
        "levels": [
            {"level": float(level), "correct": int(k), "total": int(n), "fitted": float(p)}
            for level, k, n, p in zip(curve.levels, curve.correct, curve.total, fitted.at(to_axis(curve.levels, axis))[0], strict=True)
        ],
    }
