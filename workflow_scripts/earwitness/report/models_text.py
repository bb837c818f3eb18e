"""Several models side by side, in sentences and table rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from earwitness.evaluation.comparison import BETWEEN_MODELS
from earwitness.report.formats import points, points_range
from earwitness.report.style import headline, rows_of
from earwitness.report.threshold_text import curve_name, interval_words, threshold_words
from earwitness.systems import System

_ASKED = {"models": "As they are", "adapted_models": "Once fine-tuned"}
_VERDICTS = {
    "different": "the two differ",
    "equivalent": "the two are equivalent within ±{margin} points",
    "inconclusive": "these data do not settle which hears better",
    "descriptive_only": "with so few sources this describes these sources only",
}


def model_sentences(comparisons: pd.DataFrame, statistics: Mapping[str, float]) -> list[str]:
    """A sentence per question between models: the best on development sources against the next, on unseen sources.

    comparisons: earwitness.tables.comparisons.COMPARISONS. statistics: the configuration's section. Empty where there is one model.
    """
    sentences = []
    for question in BETWEEN_MODELS:
        for row in rows_of(comparisons[(comparisons.question == question) & (comparisons.role == "primary")]):
            a, b = (System.parse(text).model for text in (row.system_a, row.system_b))
            found = f"{points(row.difference)} points {points_range(row.low, row.high)}".rstrip()
            verdict = _VERDICTS[row.conclusion].format(margin=f"{100 * statistics['equivalence_margin']:g}")
            sentences.append(
                f"{_ASKED[question]}, {a} and {b} did best on development sources; on unseen ones, {a}'s balanced accuracy less {b}'s is"
                f" {found}: {verdict}."
            )
    return sentences


def chosen_adapters(comparisons: pd.DataFrame) -> dict[str, System]:
    """Model -> its adapter that did best on development sources, which the primary contrast of fine-tuning rests on."""
    primary = comparisons[(comparisons.question == "fine_tuning") & (comparisons.role == "primary")]
    adapters = [System.parse(text) for text in primary.system_a]
    return {adapter.model: adapter for adapter in adapters}


def model_rows(models: Sequence[str], accuracy: pd.DataFrame, comparisons: pd.DataFrame, thresholds: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Two rows per model, as it is and its chosen adapter: accuracy on unseen sources, what fine-tuning gains, and thresholds by curve.

    accuracy, comparisons, thresholds: tables of earwitness.tables; thresholds: None without the baseline set.
    """
    rows = accuracy[(accuracy.test_set == "unseen") & (accuracy.metric == "balanced_accuracy")]
    levels = {row.system_id: row for row in rows_of(headline(rows))}
    gains = {row.system_a: row for row in rows_of(comparisons[comparisons.question == "fine_tuning"])}
    chosen = chosen_adapters(comparisons)
    systems = [system for model in models for system in (System("base", "base", model=model), chosen.get(model)) if system is not None]
    return [
        {
            "system_id": str(system),
            "level": levels[str(system)],
            "gain": gains.get(str(system)),
            "thresholds": {} if thresholds is None else _thresholds_of(system, thresholds),
        }
        for system in systems
    ]


def threshold_curves(thresholds: pd.DataFrame | None) -> list[str]:
    """The curves of the table of models, in words: duration without noise, and SNR at each duration of the stratified set."""
    return [] if thresholds is None else list(dict.fromkeys(curve_name(row) for row in rows_of(_of_models(thresholds))))


def _thresholds_of(system: System, thresholds: pd.DataFrame) -> dict[str, str]:
    """Curve in words -> where a system reaches the target, with its interval."""
    own = _of_models(thresholds[thresholds.system_id == str(system)])
    return {curve_name(row): f"{threshold_words(row)} {interval_words(row)}".strip() for row in rows_of(own)}


def _of_models(thresholds: pd.DataFrame) -> pd.DataFrame:
    return thresholds[(thresholds.measure == "balanced_accuracy") & ((thresholds.axis == "duration") | (thresholds.design == "factorial"))]
