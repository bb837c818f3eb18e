"""Psychometric functions of every system on the baseline set: its points, its curves and its thresholds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from earwitness.core.errors import InputError
from earwitness.core.progress import Progress
from earwitness.core.randomness import stream
from earwitness.psychometrics.axes import from_axis, to_axis
from earwitness.psychometrics.contrasts import CurveData, Measured, contrast_table
from earwitness.psychometrics.functions import Family, FloatArray
from earwitness.psychometrics.resampling import (
    Measure,
    SourceCounts,
    balanced,
    corrected_rates,
    leave_out,
    unbiased,
)
from earwitness.psychometrics.thresholds import MIN_LEVELS, WITHOUT_CURVE, Settings, Threshold, measure_threshold
from earwitness.statistics.clustered import Sample, estimate, reliability
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

    counts: one row per condition, label, source and seed, with `n` answers and `said_speech` among them.
    """

    system: System
    counts: pd.DataFrame


def collect_answers(predictions: pd.DataFrame, index: pd.DataFrame, split: pd.DataFrame) -> list[Answers]:
    """The answers of every system, by seed, without sources that anything was trained or tuned on.

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
        joined = rows[["stimulus_id", "answer"]].assign(seed=seeds).merge(items[["stimulus_id", "source_id", "label", *CONDITION]], on="stimulus_id")
        groups = joined.assign(said_speech=joined.answer == "SPEECH").groupby([*CONDITION, "label", "source_id", "seed"], dropna=False).said_speech
        found.append(Answers(system, groups.agg(n="size", said_speech="sum").reset_index()))
    return found


def point_table(systems: list[Answers], confidence: float) -> pd.DataFrame:
    """earwitness.tables.psychometrics.POINTS: every condition with counts, balanced accuracy, d' and criterion.

    The interval of accuracy is for new sources and seeds (`estimate`). The intervals of d' and criterion combine those of both classes on the
    scale of z (Zou and Donner 2008); they never have width 0, not even where all answers are right. Raises InputError where a condition
    lacks a class.
    """
    rows = []
    for answers in systems:
        for condition, counts in answers.counts.sort_values(["seed", "source_id"]).groupby(CONDITION, dropna=False, sort=True):
            speech, nonspeech = (counts[counts.label == label] for label in LABELS)
            if speech.empty or nonspeech.empty:
                missing = LABELS[0] if speech.empty else LABELS[1]
                raise InputError(f"system {answers.system}, baseline condition {condition}: no {missing} stimulus; add recordings of that class")
            rows.append({"system_id": str(answers.system)} | dict(zip(CONDITION, condition, strict=True)) | _point(speech, nonspeech, confidence))
    return pd.DataFrame(rows)


def curves_of(answers: Answers) -> Iterator[CurveData]:
    """The curves of a system: accuracy over duration without noise, and over SNR at each duration, where at least 3 levels were tested.

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
            sources = tuple(tuple(sorted(rows.source_id[rows.label == label].unique())) for label in LABELS)
            yield CurveData(design, axis, held, levels, (speech, nonspeech), sources)


def fit_study(
    systems: list[Answers], sigmoid: str, target: float, confidence: float, n_bootstrap: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """earwitness.tables.psychometrics.THRESHOLDS, CURVES and CONTRASTS: every system's curves in balanced accuracy and in d'.

    The target in d' is the d' of an unbiased observer whose accuracy is the target: 1.349 at 75 %. The fit in d' is a fit of that observer's
    accuracy Phi(d'/2), so that both measures have the same family, guess rate and statuses.
    """
    settings = Settings(Family(sigmoid), target, confidence, n_bootstrap)
    thresholds, curves, found = [], [], []
    for answers in Progress(systems, desc="fitting curves", unit="systems"):
        for data in curves_of(answers):
            identity = {"system_id": str(answers.system), "design": data.design, "axis": data.axis, "held_duration_ms": data.held_duration_ms}
            levels = to_axis(data.levels, data.scale)
            for measure, function in MEASURES.items():
                rng = stream(seed, "fit_psychometrics", *identity.values(), measure)
                result = measure_threshold(levels, leave_out(data.classes, function), settings, rng, np.linspace(levels[0], levels[-1], GRID_POINTS))
                named = identity | {"measure": measure}
                thresholds.append(named | _threshold_row(data, result, _in_measure(np.array(target), measure)))
                found.append(Measured(answers.system, data, measure, result))
                if result.status not in WITHOUT_CURVE:
                    curves.append(_curve_rows(named, data, result, measure))
    table = pd.DataFrame(thresholds, columns=list(THRESHOLDS.columns))
    return table, pd.concat([pd.DataFrame(columns=list(CURVES.columns)), *curves]), contrast_table(found, confidence)


def _source_counts(rows: pd.DataFrame, levels: FloatArray, label: str, where: str) -> SourceCounts:
    right = rows.said_speech if label == "SPEECH" else rows.n - rows.said_speech
    table = rows.assign(correct=right).pivot_table(
        index="source_id", columns=["seed", "level"], values=["correct", "n"], aggfunc="sum", fill_value=0, observed=True
    )
    if rows.empty or (empty := [level for level in levels if level not in rows.level.unique()]):
        level = levels[0] if rows.empty else empty[0]
        raise InputError(f"{where}: level {level:g} has no {label} stimulus; add recordings of that class")
    correct, total = (table[name].to_numpy(float).reshape(len(table), -1, len(levels)) for name in ("correct", "n"))
    return SourceCounts(correct.transpose(1, 0, 2), total[:, 0])


def _point(speech: pd.DataFrame, nonspeech: pd.DataFrame, confidence: float) -> dict[str, Any]:
    samples = [_sample(speech, speech.said_speech), _sample(nonspeech, nonspeech.n - nonspeech.said_speech)]
    hits, n_speech, correct, n_nonspeech = (part for s in samples for part in (s.means.mean() * s.n_items, s.n_items))
    accuracy = estimate(samples, [0.5, 0.5])
    low, high = accuracy.interval(confidence, 0, 1)
    row = {
        "n_speech": int(n_speech * samples[0].n_seeds),
        "hits": int(speech.said_speech.sum()),
        "n_nonspeech": int(n_nonspeech * samples[1].n_seeds),
        "false_alarms": int(nonspeech.said_speech.sum()),
        "balanced_accuracy": accuracy.value,
        "low": low,
        "high": high,
    }
    ends = [estimate([sample], [1.0]).interval(confidence, 0, 1) for sample in samples]
    # Corrected like the rates themselves, so that limits of 0 and 1 have a quantile: rates and their low and high ends, by class.
    hit, false_alarm = np.transpose(
        [
            special.ndtri(corrected_rates(h * n_speech, n_speech, f * n_nonspeech, n_nonspeech))
            for h, f in zip([hits / n_speech, *ends[0]], [1 - correct / n_nonspeech, *(1 - end for end in reversed(ends[1]))], strict=True)
        ]
    )
    for name, sign, scale in (("d_prime", 1, 1.0), ("criterion", -1, -0.5)):
        value, below, above = _combined(hit, false_alarm, sign)
        limits = sorted([scale * (value - below), scale * (value + above)])
        row |= {name: scale * value, f"{name}_low": limits[0], f"{name}_high": limits[1]}
    return row | {
        "n_speech_sources": samples[0].n_sources,
        "n_nonspeech_sources": samples[1].n_sources,
        "reliability": reliability(min(sample.n_sources for sample in samples)),
    }


def _sample(rows: pd.DataFrame, right: pd.Series) -> Sample:
    """Right answers of one class by seed and source, in whose order the rows are; every source has a row of each seed."""
    by_seed, n = (values.to_numpy(float).reshape(rows.seed.nunique(), -1) for values in (right, rows.n))
    return Sample(by_seed, n[0])


def _combined(hit: FloatArray, false_alarm: FloatArray, sign: int) -> tuple[float, float, float]:
    """hit - sign x false_alarm, and the distances of its limits below and above, from value, low and high of both (Zou and Donner 2008)."""
    h, f = hit[0], false_alarm[0]
    nearer, farther = (false_alarm[2], false_alarm[1]) if sign > 0 else (false_alarm[1], false_alarm[2])
    return float(h - sign * f), float(np.hypot(h - hit[1], f - nearer)), float(np.hypot(hit[2] - h, farther - f))


def _in_measure(proportions: FloatArray, measure: str) -> FloatArray:
    """Proportions in the units of a measure: balanced accuracy as it is, or the d' of an unbiased observer with that accuracy."""
    return np.asarray(2 * special.ndtri(proportions)) if measure == "d_prime" else proportions


def _threshold_row(data: CurveData, result: Threshold, target: FloatArray) -> dict[str, Any]:
    n_speech, n_nonspeech = (group.n_sources for group in data.classes)
    ends = result.value, result.low, result.high, result.isotonic
    names = ["threshold", "low", "high", "isotonic"]
    with_curve = result.status not in WITHOUT_CURVE
    return {
        "target": float(target),
        "status": result.status,
        **dict(zip(names, map(float, from_axis(np.array(ends), data.scale)), strict=True)),
        "interval": result.interval,
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
