"""What the encoder hears, and what the model says: the encoder probes beside the base's answers, in sentences."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from earwitness.report.formats import percent, percent_range, points, points_range
from earwitness.report.style import headline, rows_of
from earwitness.systems import ACOUSTICS_PROBE, BASE, TOWER_PROBE, UNTRAINED_PROBE, System

_LOST = {
    "more": "so that much of what the ear holds is lost before the answer",
    "less": "so the language model makes more of a sound than a linear readout of the ear's mean does",
}


def hearing_sentences(accuracy: pd.DataFrame, comparisons: pd.DataFrame, statistics: Mapping[str, float]) -> list[str]:
    """Sentences on how much of an answer is in the ear, how much is lost before the answer, and what any ear would get.

    accuracy, comparisons: tables of earwitness.tables. statistics: the configuration's section (confidence, equivalence_margin).
    Empty where a probe or the base is missing.
    """
    rows = accuracy[(accuracy.test_set == "unseen") & (accuracy.metric == "balanced_accuracy")]
    found = headline(rows).set_index("system_id")
    if not {str(system) for system in (BASE, TOWER_PROBE, UNTRAINED_PROBE, ACOUSTICS_PROBE)} <= set(found.index):
        return []

    def level(system: System) -> str:
        row: Any = found.loc[str(system)]
        return f"{percent(row.estimate)} {percent_range(row.low, row.high)}".rstrip()

    sentences = [
        f"On unseen sources, a linear readout of what the audio tower hears tells speech with a balanced accuracy of {level(TOWER_PROBE)};"
        f" asked a question, the base reaches {level(BASE)}.",
        f"The same readout of an untrained tower of the same shape reaches {level(UNTRAINED_PROBE)}, and level, bandwidth and duration alone"
        f" {level(ACOUSTICS_PROBE)}: so much comes from the recordings and their levels, whatever the ear has learned.",
    ]
    for other, sentence in ((BASE, _said), (UNTRAINED_PROBE, _learned)):
        pair = comparisons[(comparisons.system_a == str(TOWER_PROBE)) & (comparisons.system_b == str(other)) & (comparisons.test_set == "unseen")]
        sentences += [sentence(row, statistics) for row in rows_of(pair)]
    return sentences


def _difference(row: Any) -> str:
    return f"{points(row.difference)} points {points_range(row.low, row.high)}".rstrip()


def _said(row: Any, statistics: Mapping[str, float]) -> str:
    if row.conclusion == "different":
        return f"The readout differs from the answers by {_difference(row)}, {_LOST['more' if row.difference > 0 else 'less']}."
    if row.conclusion == "equivalent":
        margin = f"±{100 * statistics['equivalence_margin']:g} points"
        return f"Readout and answers are equivalent within {margin} ({_difference(row)}): the answers use what the ear linearly holds."
    return f"These data do not settle whether the readout and the answers differ ({_difference(row)})."


def _learned(row: Any, statistics: Mapping[str, float]) -> str:
    if row.conclusion == "different":
        return f"What the tower has learned is worth {_difference(row)} over the untrained one."
    return f"That the tower hears more than an untrained one is not shown here ({_difference(row)})."
