"""Psychometric functions for a table of counts that a user brings: level, correct and total, with or without sources."""

import math
from typing import Any

import numpy as np
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.core.names import canonical_name
from earwitness.core.randomness import stream
from earwitness.psychometrics.axes import from_axis, to_axis
from earwitness.psychometrics.functions import FloatArray
from earwitness.psychometrics.resampling import LevelCounts, SourceCounts, leave_out, pooled
from earwitness.psychometrics.thresholds import MIN_LEVELS, Settings, Threshold, measure_threshold

_NUMBERS = ["level", "correct", "total"]
_INDEPENDENT = "-"

LARGEST_NUMBER = 1e15
"""The largest count that a double holds exactly."""


def checked_counts(table: pd.DataFrame, axis: str) -> pd.DataFrame:
    """The counts of each source and level, with columns source, level, correct, total.

    table: texts or numbers with columns level, correct, total and, optionally, source, in any order. axis: "log" or "linear".
    Rows of one source and level are added up. Without the column `source`, all answers count as independent, and source is "-".
    Raises InputError naming the first impossible row, or the level without trials, or where there are fewer than three levels.
    """
    for column in _NUMBERS:
        if column not in table:
            raise InputError(f"counts: no column {column}; has {', '.join(map(str, table.columns))}; needed are {', '.join(_NUMBERS)}")
    if unknown := [str(name) for name in table.columns if name not in [*_NUMBERS, "source"]]:
        raise InputError(f"counts: unknown column {unknown[0]}; leave only {', '.join(_NUMBERS)} and, optionally, source")
    if table.empty:
        raise InputError("counts: no row below the header; add one per level")
    numbers = table[_NUMBERS].apply(pd.to_numeric, errors="coerce").astype(float)
    counts = numbers[["correct", "total"]]
    faults = {
        "level is not a number": ~np.isfinite(numbers.level),
        f"level is beyond {LARGEST_NUMBER:g}; give it in larger units": numbers.level.abs() > LARGEST_NUMBER,
        f"total is beyond {LARGEST_NUMBER:g}; that many trials cannot be told apart": numbers.total > LARGEST_NUMBER,
        "level must be above 0 on a log axis": (numbers.level <= 0) & (axis == "log"),
        "correct and total must be whole numbers from 0": (~np.isfinite(counts) | (counts < 0) | (counts % 1 != 0)).any(axis=1),
        "correct is larger than total": numbers.correct > numbers.total,
    }
    for problem, wrong in faults.items():
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(f"counts, row {row + 1} (level {table.level.iloc[row]}): {problem}; correct the table")
    if "source" in table and (nameless := table.source.isna() | (table.source.astype(str) == "")).any():
        raise InputError(f"counts, row {int(np.argmax(nameless)) + 1}: no source; name it, or leave the column out")
    source = table.source.map(canonical_name) if "source" in table else _INDEPENDENT
    summed = numbers.assign(source=source).groupby(["source", "level"], as_index=False)[["correct", "total"]].sum()
    trials = summed.groupby("level").total.sum()
    if (trials == 0).any():
        raise InputError(f"counts: level {trials.index[trials == 0][0]:g} has no trials; leave it out")
    if len(trials) < MIN_LEVELS:
        raise InputError(f"counts: {len(trials)} levels; a psychometric function needs at least {MIN_LEVELS} different ones")
    return summed


def fit_counts(counts: pd.DataFrame, axis: str, settings: Settings, seed: int) -> dict[str, Any]:
    """Fit one function to counts of `checked_counts` and describe it, ready for JSON.

    With sources, the interval is the jackknife over them, with t; without, it comes from data sets drawn from the fitted curve. Raises
    InputError where the target is not between guess rate and 1 - lapse rate.
    """
    family = settings.family
    ceiling = 1 - (family.lapse_rate or 0)
    if not family.guess_rate < settings.target < ceiling:
        raise InputError(f"target {settings.target:g} is not between the guess rate {family.guess_rate:g} and 1 - lapse rate, {ceiling:g}: change it")
    levels = np.sort(counts.level.unique())
    x = to_axis(levels, axis)
    correct, total = (counts.groupby("level")[name].sum().to_numpy(np.float64) for name in ("correct", "total"))
    rng = stream(seed, "fit_counts")
    return _described(measure_threshold(x, _level_counts(counts, correct, total), settings, rng, x), levels, correct, total, axis, settings)


def _level_counts(counts: pd.DataFrame, correct: FloatArray, total: FloatArray) -> LevelCounts:
    if (counts.source == _INDEPENDENT).all():
        return LevelCounts(correct[None], total[None], None)
    table = counts.pivot_table(index="source", columns="level", values=["correct", "total"], fill_value=0)
    return leave_out([SourceCounts(table["correct"].to_numpy(np.float64)[None], table["total"].to_numpy(np.float64))], pooled)


def _described(result: Threshold, levels: FloatArray, correct: FloatArray, total: FloatArray, axis: str, settings: Settings) -> dict[str, Any]:
    curve, family = result.curve, settings.family
    value, low, high, isotonic = (_or_none(end) for end in from_axis([result.value, result.low, result.high, result.isotonic], axis))
    return {
        "status": result.status,
        "target": settings.target,
        "threshold": {"value": value, "low": low, "high": high, "interval": result.interval, "confidence": settings.confidence},
        "isotonic_threshold": isotonic,
        "parameters": {
            "sigmoid": family.sigmoid,
            "axis": axis,
            "location": float(curve.location[0]),
            "scale": float(curve.scale[0]),
            "midpoint": float(from_axis(curve.midpoint, axis)[0]),
            "width": float(curve.width[0]),
            "just_noticeable_difference": float(curve.just_noticeable_difference[0]),
            "guess_rate": family.guess_rate,
            "lapse_rate": float(curve.lapse[0]),
            "lapse_rate_fitted": family.lapse_rate is None,
        },
        "slope": _or_none(result.slope),
        "deviance": result.deviance,
        "goodness_of_fit_p": _or_none(result.goodness_of_fit),
        "n_resamples": settings.n_bootstrap,
        "levels": [
            {"level": float(level), "correct": int(k), "total": int(n), "fitted": float(p)}
            for level, k, n, p in zip(levels, correct, total, result.fitted, strict=True)
        ],
    }


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
