"""The prompt search in words and table rows, as the page prints them."""

from typing import Any

import pandas as pd

from earshot.report.formats import percent, points, points_range
from earshot.report.style import rows_of

PROMPT_FIGURES = ("prompt_progress", "prompt_gains", "prompt_length", "prompt_conditions")
"""Names of the figures of the prompt search, in the page's order."""

_NAMES = {"edits": "edits", "opro": "language model (OPRO)", "paraphrases": "paraphrases (control)"}


def proposer_name(proposer: str) -> str:
    """The name to print."""
    return _NAMES[proposer]


def prompt_rows(gains: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows of the page's table from earshot.tables.prompt_gains.PROMPT_GAINS, the control last."""
    order = list(_NAMES)
    return gains.assign(_order=gains.proposer.map(order.index)).sort_values("_order", kind="stable").drop(columns="_order").to_dict("records")


def prompt_sentences(gains: pd.DataFrame, confidence: float) -> list[str]:
    """One sentence per proposer: the gain on test sources, whether it is told from zero, and what choosing alone would show."""
    sentences = []
    for rows in (gains[gains.proposer == name] for name in _NAMES if (gains.proposer == name).any()):
        together = rows[rows.search_seed == "all"]
        row = rows_of(together if len(together) else rows)[0]
        searches = f"{len(rows) - 1} searches" if len(together) else "one search"
        text = (
            f"By {proposer_name(row.proposer)}, over {searches}, the chosen question gains {points(row.difference)} points over the baseline's"
            f" {percent(row.baseline_accuracy)} on test sources"
        )
        interval = points_range(row.low, row.high)
        if interval:
            zero = "covers" if row.low <= 0 <= row.high else "does not cover"
            text += f" ({100 * confidence:g} % interval {interval}, which {zero} zero)"
        text += f"; on the search's own stimuli it gained {points(row.search_gain)}"
        if not pd.isna(row.search_optimism):
            text += f", where the best of equally good questions is expected to show {points(row.search_optimism)} over their mean"
        sentences.append(text + ".")
    return sentences
