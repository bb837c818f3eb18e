"""Thresholds, points and curves of made-up observers, for the tests of what is drawn and printed of them."""

from functools import cache
from typing import Any

import pandas as pd
from baseline_answers import baseline_index, no_split, observer

from earwitness.psychometrics.study import collect_answers, fit_study, point_table
from earwitness.tables.files import validate
from earwitness.tables.psychometrics import CONTRASTS, CURVES, POINTS, THRESHOLDS

OBSERVERS = {
    "base": {"threshold_ms": 150, "threshold_db": 3},
    "attention-grouped": {"threshold_ms": 60, "threshold_db": -3, "seeds": (42, 123)},
    "tower_probe": {"threshold_ms": 40, "threshold_db": -6},
    "untrained_probe": {"threshold_ms": 900, "threshold_db": 30},
    "acoustics_probe": {"threshold_ms": 2000, "threshold_db": 40},
    "silero": {"threshold_ms": 5, "threshold_db": 12, "criterion": 0.6},
    "energy": {"threshold_ms": 1e5, "threshold_db": 60},
}


@cache
def study() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Points, curves and thresholds."""
    index = baseline_index(12, 12)
    answers = pd.concat([observer(index, system, seed=k, **options) for k, (system, options) in enumerate(OBSERVERS.items())])
    systems = collect_answers(answers, index, no_split())
    thresholds, curves, _ = fit_study(systems, "normal", 0.75, 0.95, 20, seed=1)
    return validate(point_table(systems, 0.95), POINTS), validate(curves, CURVES), validate(thresholds, THRESHOLDS)


def contrasts() -> pd.DataFrame:
    """Tests between thresholds: a ratio that differs, and a difference of SNRs that does not."""
    row: dict[str, Any] = dict.fromkeys(CONTRASTS.columns)
    row |= {"question": "system", "system_a": "silero", "system_b": "base", "design": "grid", "axis": "duration", "measure": "balanced_accuracy"}
    row |= {"status_a": "ok", "status_b": "ok", "contrast": "ratio", "value": 0.31, "low": 0.2, "high": 0.48, "p": 0.001, "p_holm": 0.001}
    row |= {"interval": "jackknife_t", "n_speech_sources": 12, "n_nonspeech_sources": 12}
    other = {"question": "duration", "system_a": "base", "axis": "snr", "design": "factorial", "held_duration_a": 80, "held_duration_b": 1000}
    other |= {"contrast": "difference", "value": 2.5, "low": -0.5, "high": 5.5, "p": 0.09, "p_holm": 0.09}
    return validate(pd.DataFrame([row, row | other]), CONTRASTS)
