"""Psychometric functions of every system on the baseline set: its points, its curves and its thresholds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from earwitness.core.errors import InputError
from earwitness.core.randomness import stream
from earwitness.psychometrics.axes import from_axis, to_axis
from earwitness.psychometrics.functions import Family, FloatArray
from earwitness.psychometrics.resampling import (
    Measure,
    SourceCounts,
    balanced,
    resample_sources,
    sensitivity_and_criterion,
    unbiased,
)
from earwitness.psychometrics.thresholds import MIN_LEVELS, WITHOUT_CURVE, Settings, Threshold, measure_threshold
from earwitness.statistics.clustered import Sample, estimate, jackknife_variance, reliability
from earwitness.systems import System
from earwitness.tables.columns import LABELS
from earwitness.tables.predictions import by_system
from earwitness.tables.psychometrics import CURVES, THRESHOLDS

MEASURES: dict[str, Measure] = {"balanced_accuracy": balanced, "d_prime": unbiased}
CONDITION = ["design", "axis", "duration_ms", "snr_db", "band", "room"]
GRID_POINTS = 121


@dataclass(frozen=True)
class Answers:
    """What one system answered on the baseline set.

    counts: one row per condition, label and source, with `n` answers (of all seeds) and `said_speech` among them.
    """

    system: System
    n_seeds: int
    counts: pd.DataFrame


@dataclass(frozen=True)
class CurveData:
    """The levels of one axis, all else held, and the counts of correct answers of every source.

    axis: "duration" or "snr"; held_duration_ms: the duration of an SNR curve, None for a duration curve. levels: ascending,
    in ms or dB. classes: speech, then non-speech.
    """

    design: str
    axis: str
    held_duration_ms: int | None
    levels: FloatArray
    classes: tuple[SourceCounts, SourceCounts]

    @property
    def scale(self) -> str:
        return "log" if self.axis == "duration" else "linear"


def collect_answers(predictions: pd.DataFrame, index: pd.DataFrame, split: pd.DataFrame) -> list[Answers]:
    """The answers of every system, summed over its seeds, without sources that anything was trained or tuned on.

    predictions, index, split: earwitness.tables.predictions.PREDICTIONS, STIMULI and SPLIT; left out are the sources of its parts train and dev.
    Raises InputError where a system lacks or repeats an answer, or no stimulus of a class is left.
    """
    items = index[~index.source_id.isin(split.source_id[split.part != "test"])]
    for label in LABELS:
        if not (items.label == label).any():
            raise InputError(f"baseline stimuli: no {label} stimulus of a source that nothing was trained or tuned on; use more sources")
    found = []
    for system, answers in by_system(predictions):
        rows = answers[answers.stimulus_id.isin(items.stimulus_id)]
        if rows.empty:
            raise InputError(f"system {system}: no answer to any baseline stimulus; make its predictions again")
        seeds = rows.seed.astype("string").fillna("-")
        if len(rows) != len(items) * seeds.nunique() or rows.assign(seed=seeds).duplicated(["stimulus_id", "seed"]).any():
            raise InputError(f"system {system}: some baseline stimuli have no answer or several; make its predictions again")
        joined = rows[["stimulus_id", "answer"]].merge(items[["stimulus_id", "source_id", "label", *CONDITION]], on="stimulus_id")
        groups = joined.assign(said_speech=joined.answer == "SPEECH").groupby([*CONDITION, "label", "source_id"], dropna=False).said_speech
        found.append(Answers(system, int(seeds.nunique()), groups.agg(n="size", said_speech="sum").reset_index()))
    return found


def point_table(systems: list[Answers], confidence: float) -> pd.DataFrame:
    """earwitness.tables.psychometrics.POINTS: every condition with counts, balanced accuracy, d' and criterion.

    Intervals leave out one source at a time (t), with the answers of all seeds pooled. Raises InputError where a condition lacks a class.
    """
    rows = []
    for answers in systems:
        for condition, counts in answers.counts.groupby(CONDITION, dropna=False, sort=True):
            speech, nonspeech = (counts[counts.label == label] for label in LABELS)
            if speech.empty or nonspeech.empty:
                missing = LABELS[0] if speech.empty else LABELS[1]
                raise InputError(f"system {answers.system}, baseline condition {condition}: no {missing} stimulus; add recordings of that class")
            rows.append({"system_id": str(answers.system)} | dict(zip(CONDITION, condition, strict=True)) | _point(speech, nonspeech, confidence))
    return pd.DataFrame(rows)


def curves_of(answers: Answers) -> Iterator[CurveData]:
    """Duration at no noise, and SNR at each duration of the stratified set and of the grid, where at least 3 levels were tested.

    Raises InputError where a level lacks a class.
    """
    counts = answers.counts
    plain = counts[(counts.design == "grid") & (counts.axis == "duration")]
    selections: list[tuple[str, str, int | None, pd.DataFrame]] = [("grid", "duration", None, plain.rename(columns={"duration_ms": "level"}))]
    noisy = counts[counts.axis.isin(["snr", "duration_x_snr"]) & counts.snr_db.notna()]
    for design in sorted(noisy.design.unique()):
        for duration, rows in noisy[noisy.design == design].groupby("duration_ms"):
            selections.append((design, "snr", int(str(duration)), rows.rename(columns={"snr_db": "level"})))
    for design, axis, held, rows in selections:
        levels = np.array(sorted(rows.level.unique()), dtype=np.float64)
        if len(levels) >= MIN_LEVELS:
            speech, nonspeech = (_source_counts(rows[rows.label == label], levels, label, f"{answers.system}, {axis} curve") for label in LABELS)
            yield CurveData(design, axis, held, levels, (speech, nonspeech))


def fit_study(
    systems: list[Answers], sigmoid: str, target: float, confidence: float, n_bootstrap: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """earwitness.tables.psychometrics.THRESHOLDS and CURVES: every system's curves in balanced accuracy and in d'.

    The target of d' is that of an unbiased observer at the target proportion: 1.349 at 75 %. d' is fitted as the accuracy
    Phi(d'/2) of that observer, so that both measures share one family, one guess rate and one meaning of the statuses.
    """
    settings = Settings(Family(sigmoid), target, confidence, n_bootstrap)
    thresholds, curves = [], []
    for answers in systems:
        for data in curves_of(answers):
            identity = {"system_id": str(answers.system), "design": data.design, "axis": data.axis, "held_duration_ms": data.held_duration_ms}
            levels = to_axis(data.levels, data.scale)
            for measure, function in MEASURES.items():
                rng = stream(seed, "fit_psychometrics", *identity.values(), measure)
                resampled = resample_sources(data.classes, function, n_bootstrap, rng, answers.n_seeds)
                result = measure_threshold(levels, resampled, settings, rng, np.linspace(levels[0], levels[-1], GRID_POINTS))
                named = identity | {"measure": measure}
                thresholds.append(named | _threshold_row(data, result, _in_measure(np.array(target), measure)))
                if result.status not in WITHOUT_CURVE:
                    curves.append(_curve_rows(named, data, result, measure))
    return pd.DataFrame(thresholds, columns=list(THRESHOLDS.columns)), pd.concat([pd.DataFrame(columns=list(CURVES.columns)), *curves])


def _source_counts(rows: pd.DataFrame, levels: FloatArray, label: str, where: str) -> SourceCounts:
    correct = rows.said_speech if label == "SPEECH" else rows.n - rows.said_speech
    table = rows.assign(correct=correct).pivot_table(index="source_id", columns="level", values=["correct", "n"], aggfunc="sum", fill_value=0)
    if rows.empty or (empty := [level for level in levels if level not in table["n"].columns]):
        level = levels[0] if rows.empty else empty[0]
        raise InputError(f"{where}: level {level:g} has no {label} stimulus; add recordings of that class")
    return SourceCounts(table["correct"].to_numpy(float), table["n"].to_numpy(float))


def _point(speech: pd.DataFrame, nonspeech: pd.DataFrame, confidence: float) -> dict[str, Any]:
    hits, alarms = speech.said_speech.to_numpy(float), nonspeech.said_speech.to_numpy(float)
    n_speech, n_nonspeech = speech.n.to_numpy(float), nonspeech.n.to_numpy(float)
    accuracy = estimate([Sample(hits[None], n_speech), Sample((n_nonspeech - alarms)[None], n_nonspeech)], [0.5, 0.5])
    low, high = accuracy.interval(confidence, 0, 1)
    whole = sensitivity_and_criterion(hits.sum(), n_speech.sum(), alarms.sum(), n_nonspeech.sum())
    without_speech = sensitivity_and_criterion(hits.sum() - hits, n_speech.sum() - n_speech, alarms.sum(), n_nonspeech.sum())
    without_sound = sensitivity_and_criterion(hits.sum(), n_speech.sum(), alarms.sum() - alarms, n_nonspeech.sum() - n_nonspeech)
    row = {
        "n_speech": int(n_speech.sum()),
        "hits": int(hits.sum()),
        "n_nonspeech": int(n_nonspeech.sum()),
        "false_alarms": int(alarms.sum()),
        "balanced_accuracy": accuracy.value,
        "low": low,
        "high": high,
    }
    for name, value, *left_out in zip(["d_prime", "criterion"], whole, without_speech, without_sound, strict=True):
        half = np.nan
        if min(len(speech), len(nonspeech)) > 1:
            variance, df = jackknife_variance(left_out)
            half = float(stats.t.ppf((1 + confidence) / 2, df) * np.sqrt(variance))
        row |= {name: float(value), f"{name}_low": float(value) - half, f"{name}_high": float(value) + half}
    return row | {
        "n_speech_sources": len(speech),
        "n_nonspeech_sources": len(nonspeech),
        "reliability": reliability(min(len(speech), len(nonspeech))),
    }


def _in_measure(proportions: FloatArray, measure: str) -> FloatArray:
    """Proportions in the units of a measure: themselves, or the d' of an unbiased observer."""
    return np.asarray(2 * special.ndtri(proportions)) if measure == "d_prime" else proportions


def _threshold_row(data: CurveData, result: Threshold, target: FloatArray) -> dict[str, Any]:
    n_speech, n_nonspeech = (group.n_sources for group in data.classes)
    ends = result.value, result.low, result.high, *result.jackknife, *result.bootstrap, result.isotonic
    names = ["threshold", "low", "high", "jackknife_low", "jackknife_high", "bootstrap_low", "bootstrap_high", "isotonic"]
    with_curve = result.status not in WITHOUT_CURVE
    return {
        "target": float(target),
        "status": result.status,
        **dict(zip(names, map(float, from_axis(np.array(ends), data.scale)), strict=True)),
        "interval": result.interval,
        "censored_resamples": result.censored,
        "lowest_level": data.levels[0],
        "highest_level": data.levels[-1],
        "n_levels": len(data.levels),
        "location": float(result.curve.location[0]) if with_curve else np.nan,
        "scale": float(result.curve.scale[0]) if with_curve else np.nan,
        "lapse_rate": float(result.curve.lapse[0]) if with_curve else np.nan,
        "slope": result.slope,
        "deviance": result.deviance,
        "goodness_of_fit_p_assumes_independent_items": result.goodness_of_fit,
        "n_speech_sources": n_speech,
        "n_nonspeech_sources": n_nonspeech,
        "reliability": reliability(min(n_speech, n_nonspeech)),
    }


def _curve_rows(identity: dict[str, Any], data: CurveData, result: Threshold, measure: str) -> pd.DataFrame:
    values = {"fitted": result.fitted, "low": result.band[0], "high": result.band[1]}
    almost = 1e-4
    table = pd.DataFrame({name: _in_measure(np.clip(value, almost, 1 - almost), measure) for name, value in values.items()})
    table.insert(0, "level", from_axis(result.grid, data.scale))
    return table.assign(**identity)
