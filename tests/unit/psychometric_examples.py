"""Thresholds, points and curves of made-up observers, for the tests of what is drawn and printed of them."""

from functools import cache

import pandas as pd
from baseline_answers import baseline_index, no_split, observer

from earwitness.psychometrics.study import collect_answers, fit_study, point_table
from earwitness.tables.files import validate
from earwitness.tables.psychometrics import CURVES, POINTS, THRESHOLDS

OBSERVERS = {
    "base": {"threshold_ms": 150, "threshold_db": 3},
    "attention-grouped": {"threshold_ms": 60, "threshold_db": -3, "seeds": (42, 123)},
    "silero": {"threshold_ms": 5, "threshold_db": 12, "criterion": 0.6},
    "energy": {"threshold_ms": 1e5, "threshold_db": 60},
}


@cache
def study() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Points, curves and thresholds."""
    index = baseline_index(12, 12)
    answers = pd.concat([observer(index, system, seed=k, **options) for k, (system, options) in enumerate(OBSERVERS.items())])
    systems = collect_answers(answers, index, no_split())
    thresholds, curves = fit_study(systems, "normal", 0.75, 0.95, 100, seed=1)
    return validate(point_table(systems, 0.95), POINTS), validate(curves, CURVES), validate(thresholds, THRESHOLDS)
