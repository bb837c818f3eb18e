"""What the comparisons settle, in sentences, and what would settle the rest."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from earwitness.report.formats import points, points_range
from earwitness.report.style import rows_of, system_name
from earwitness.systems import System

_COMPONENTS = {
    "seed": "training seed",
    "speech_source": "speech source",
    "nonspeech_source": "other source",
    "speech_residual": "residual, speech",
    "nonspeech_residual": "residual, other",
}


def conclusion_sentences(comparisons: pd.DataFrame, power: pd.DataFrame, statistics: Mapping[str, float]) -> list[str]:
    """One sentence or two per declared pair: different, equivalent or inconclusive, and where it is the last, what would settle it.

    comparisons, power: tables of earwitness.tables with the same pairs in the same order. statistics: the configuration's section.
    """
    return [_sentence(row, planned, statistics) for row, planned in zip(rows_of(comparisons), rows_of(power), strict=True)]


def comparison_rows(comparisons: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows of the page's tables: COMPARISONS with the verdict in words and the kinds of both systems."""
    return [
        row | {"verdict": verdict_words(row), "kinds": {System.parse(row[name]).kind for name in ("system_a", "system_b")}}
        for row in comparisons.to_dict("records")
    ]


def verdict_words(row: Mapping[Any, Any]) -> str:
    """A conclusion in words. row: of earwitness.tables.comparisons.COMPARISONS or ENSEMBLES."""
    words = {"different": "different", "equivalent": "equivalent", "inconclusive": "not settled", "descriptive_only": "too few sources to judge"}
    return words[row["conclusion"]]


def _sentence(row: Any, planned: Any, statistics: Mapping[str, float]) -> str:
    pair = f"{_capital(system_name(System.parse(row.system_a)))}, against {system_name(System.parse(row.system_b))}"
    found = f"{points(row.difference)} points {points_range(row.low, row.high)}".rstrip()
    verdict = verdict_words(row._asdict())
    margin = f"±{100 * statistics['equivalence_margin']:g} points"
    if row.conclusion == "different":
        return f"{pair}: {verdict} ({found})."
    if row.conclusion == "equivalent":
        return f"{pair}: equivalent within {margin} ({found})."
    if row.conclusion == "descriptive_only" or math.isnan(planned.standard_error):
        return f"{pair}: {found} on these sources; below six sources in a class nothing is concluded about others."
    chance = f"{100 * planned.power:g} %"
    missed = f"With a chance of {chance}, this test finds a true difference of {100 * planned.minimum_detectable_difference:.1f} points or more."
    needed, of_equivalence = (_needed(planned, times) for times in (planned.times_sources_for_observed, planned.times_sources_for_equivalence))
    if needed == of_equivalence:
        return f"{pair}: {verdict} ({found}). {missed} To settle it, or to show equivalence within {margin}, would take {needed}."
    return (
        f"{pair}: {verdict} ({found}). {missed} To settle it with that chance would take {needed} if the true difference is the one observed"
        f" (power after the fact: observed differences tend to be too large), {of_equivalence} to show equivalence within {margin} if there"
        " is no difference."
    )


def _needed(planned: Any, times: float) -> str:
    if math.isinf(times):
        return "more seeds than these" if planned.n_seeds > 1 else "more sources than can be had"
    speech, other = (math.ceil(times * n) for n in (planned.n_speech_sources, planned.n_nonspeech_sources))
    return f"{speech:,} + {other:,} sources (speech + other)"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def variance_rows(variance: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the page's table: one per system on unseen sources, a component a column, as (standard deviation, share) or None."""
    unseen = variance[variance.test_set == "unseen"]
    rows = []
    for system, of_system in unseen.groupby("system_id", sort=False):
        found = {row.component: row for row in rows_of(of_system)}
        rows.append({"system_id": system, "components": [_cell(found.get(name)) for name in _COMPONENTS]})
    return rows


def _cell(row: Any) -> dict[str, float] | None:
    return None if row is None or math.isnan(row.sd) else {"sd": row.sd, "share": row.share_of_variance}


VARIANCE_COLUMNS = tuple(_COMPONENTS.values())
