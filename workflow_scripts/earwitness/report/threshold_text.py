"""Thresholds in words: how a table, a figure and a sentence print them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from earwitness.report.formats import MISSING, decimal
from earwitness.report.style import in_order, model_name, rows_of, system_name
from earwitness.systems import System

UNITS = {"duration": "ms", "snr": "dB"}
MEASURE_NAMES = {"balanced_accuracy": "balanced accuracy", "d_prime": "d′"}
_SPACE = "\N{NO-BREAK SPACE}"
_REASONS = {
    "never": "never: levels off below the target",
    "flat": "none: does not rise",
    "undecided": "undecided: too few answers",
    "non_monotone": "none: falls along the axis",
}


def threshold_words(row: Any) -> str:
    """A row of earwitness.tables.psychometrics.THRESHOLDS as its value, a limit of the tested range, or why there is none."""
    unit = UNITS[row.axis]
    if row.status == "ok":
        return f"{level_text(row.threshold, row.axis)}{_SPACE}{unit}"
    if row.status == "right_censored":
        return f">{_SPACE}{level_text(row.highest_level, row.axis)}{_SPACE}{unit}"
    if row.status == "left_censored":
        return f"<{_SPACE}{level_text(row.lowest_level, row.axis)}{_SPACE}{unit}"
    return _REASONS[row.status]


def interval_words(row: Any) -> str:
    """The interval of a threshold; ends outside the tested range as limits; empty where there is no threshold."""
    if row.status in _REASONS or math.isnan(row.low) or math.isnan(row.high):
        return ""
    return f"[{_end(row.low, row)},{_SPACE}{_end(row.high, row)}]"


def level_text(value: float, axis: str) -> str:
    """A duration in whole milliseconds, an SNR with one decimal."""
    return decimal(value, 1 if axis == "snr" and value % 1 else 0)


def curve_name(row: Any) -> str:
    """What a row of THRESHOLDS or CURVES was measured on."""
    if row.axis == "duration":
        return "duration, no noise"
    return f"SNR at {row.held_duration_ms}{_SPACE}ms" + (", grid" if row.design == "grid" else "")


def threshold_rows(thresholds: pd.DataFrame) -> list[dict[str, Any]]:
    """The page's table, a row per system and curve: name, then value and interval in each measure, lapse rate, slope and fit."""
    rows = []
    order = {str(system): place for place, system in enumerate(in_order(thresholds.system_id))}
    keys = ["system_id", "axis", "design", "held_duration_ms"]
    for _, group in thresholds.assign(_order=thresholds.system_id.map(order)).groupby(["_order", *keys], dropna=False, sort=True):
        by_measure = {row.measure: row for row in rows_of(group)}
        main = by_measure["balanced_accuracy"]
        slope = None if np.isnan(main.slope) else 100 * main.slope
        rows.append(
            {
                "system_id": main.system_id,
                "curve": curve_name(main),
                "measures": [{"value": threshold_words(row), "interval": interval_words(row)} for row in map(by_measure.get, MEASURE_NAMES)],
                "isotonic": _end(main.isotonic, main) if main.status != "non_monotone" and not math.isnan(main.isotonic) else MISSING,
                "lapse_rate": main.lapse_rate,
                "slope": slope,
                "slope_unit": "decade" if main.axis == "duration" else "dB",
                "p": main.goodness_of_fit_p_assumes_independent_items,
                "method": {"jackknife_t": "by source, t", "two_way_t": "by source and seed, t", "none": "none: a single source"}[main.interval],
            }
        )
    return rows


def base_sentence(rows: Sequence[dict[str, Any]]) -> str:
    """Where every base reaches the target, a sentence each; a curve without a threshold is named after those that have one.

    rows: as `threshold_rows` returns.
    """
    reached: dict[System, list[str]] = {}
    without: dict[System, list[str]] = {}
    for row in rows:
        system, at = System.parse(row["system_id"]), row["measures"][0]
        if system.kind != "base" or row["curve"].endswith("grid"):
            continue
        curve = row["curve"].removeprefix("SNR ")
        if at["value"] in _REASONS.values():
            without.setdefault(system, []).append(f"{curve} ({at['value']})")
        else:
            reached.setdefault(system, []).append(f"{at['value']} {at['interval']} ({curve})".replace("  ", " "))
    sentences = []
    for base in dict.fromkeys([*reached, *without]):
        name = model_name(base) or "The base"
        sentences += [f"{name} gets there at {'; '.join(reached[base])}."] if base in reached else []
        sentences += [f"{name} has no threshold {'; '.join(without[base])}."] if base in without else []
    return " ".join(sentences)


def contrast_rows(contrasts: pd.DataFrame) -> list[dict[str, Any]]:
    """The page's table of tests between thresholds in balanced accuracy: those that could be tested, in the table's order."""
    return [
        {
            "system": row.system_a,
            "against": system_name(System.parse(row.system_b)) if row.question != "duration" else f"{row.held_duration_b}{_SPACE}ms",
            "curve": _contrast_curve(row),
            "value": _contrast_value(row),
            "interval": _contrast_interval(row),
            "p": row.p_holm,
        }
        for row in rows_of(_tested(contrasts))
    ]


def contrast_sentences(contrasts: pd.DataFrame, confidence: float) -> list[str]:
    """What the tests between thresholds settle, a sentence per question."""
    tested = _tested(contrasts)
    sentences = []
    for question, asked in (("model", "two models"), ("system", "a system and the base"), ("duration", "a duration and the longest")):
        family = tested[tested.question == question]
        if family.empty:
            if (contrasts.question == question).any():
                sentences.append(f"Between {asked} no threshold can be tested: one of both lies outside the tested range, or has too few sources.")
            continue
        settled = family[family.p_holm.astype(float) < 1 - confidence]
        shown = "; ".join(f"{_contrast_name(row)} {_contrast_value(row)} {_contrast_interval(row)}" for row in rows_of(settled))
        number = f"{len(settled)} of {len(family)}"
        sentences.append(f"Between {asked}, {number} thresholds differ after Holm's correction{': ' + shown if shown else ''}.")
    return sentences


def _tested(contrasts: pd.DataFrame) -> pd.DataFrame:
    return contrasts[(contrasts.measure == "balanced_accuracy") & contrasts.value.notna() & contrasts.p.notna()]


def _contrast_curve(row: Any) -> str:
    held = row.held_duration_a
    return "duration, no noise" if row.axis == "duration" else f"SNR at {held}{_SPACE}ms" + (", grid" if row.design == "grid" else "")


def _contrast_name(row: Any) -> str:
    against = system_name(System.parse(row.system_b)) if row.question != "duration" else f"{row.held_duration_b}{_SPACE}ms"
    return f"{system_name(System.parse(row.system_a))} against {against} ({_contrast_curve(row)})"


def _contrast_value(row: Any) -> str:
    return f"×{_SPACE}{decimal(row.value, 2)}" if row.contrast == "ratio" else f"{decimal(row.value, 1)}{_SPACE}dB"


def _contrast_interval(row: Any) -> str:
    digits = 2 if row.contrast == "ratio" else 1
    return f"[{decimal(row.low, digits)},{_SPACE}{decimal(row.high, digits)}]"


def _end(value: float, row: Any) -> str:
    if math.isinf(value):
        sign, level = (">", row.highest_level) if value > 0 else ("<", row.lowest_level)
        return f"{sign}{_SPACE}{level_text(level, row.axis)}"
    return level_text(value, row.axis)
