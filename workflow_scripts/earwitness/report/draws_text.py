"""The published design drawn several times, in words."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from earwitness.report.formats import percent, percent_range, points, points_range
from earwitness.report.style import rows_of
from earwitness.tables.draws import DROP, HONEST_OWN, HONEST_UNSEEN, LEAKAGE_BUYS, LEAKY_EXTENDED


@dataclass(frozen=True)
class DrawsSection:
    """An experiment on redrawn splits on the page: its table (earwitness.tables.draws.DRAWS) and figure (SVG)."""

    name: str
    draws: pd.DataFrame
    figure: str


def draws_sentences(draws: pd.DataFrame, confidence: float) -> list[str]:
    """What the draws of each recipe say: of leaky and of honest tests, of one draw, and of what leakage buys.

    draws: earwitness.tables.draws.DRAWS. A recipe with one draw has none.
    """
    sentences = []
    together = draws[draws.draw == "all"]
    for recipe, rows in together.groupby("recipe", sort=False):
        accuracy, balanced = ({row.quantity: row for row in rows_of(rows[rows.metric == metric])} for metric in ("accuracy", "balanced_accuracy"))
        name = f"{str(recipe).replace('_', ' ')}, the published design drawn {rows.n_draws.max()} times"
        if row := accuracy.get(LEAKY_EXTENDED):
            name += f": by row {_mean(row)} of {row.n_items} stimuli of sources it trained on are right"
        if row := accuracy.get(HONEST_OWN):
            name += (
                f"{';' if LEAKY_EXTENDED in accuracy else ':'} by source {_mean(row)} of its own {row.n_items} test stimuli, in single draws"
                f" {percent(row.lowest)} to {percent(row.highest)}"
            )
            if further := percent_range(row.next_low, row.next_high):
                name += f", and one more draw falls in {further} {100 * confidence:g} times in 100"
        if row := accuracy.get(HONEST_UNSEEN):
            name += f" (on all unseen sources {_mean(row)})"
        sentences.append(name[0].upper() + name[1:] + ".")
        if row := balanced.get(LEAKAGE_BUYS):
            sentences.append(
                f"Over these draws leakage bought {points(row.value)} points {points_range(row.low, row.high)} of balanced accuracy, for new draws"
                f" and new unseen sources: {'it bought something' if row.low > 0 else 'these draws cannot tell that from nothing'}."
            )
        if row := accuracy.get(DROP):
            sentences.append(
                f"The drop that the published study saw between its two splits is {points(row.value)} {points_range(row.low, row.high)} points here,"
                f" and in single draws anything from {points(row.lowest)} to {points(row.highest)}."
            )
    return sentences


def _mean(row: Any) -> str:
    return f"{percent(row.value)} {percent_range(row.low, row.high)}".rstrip()
