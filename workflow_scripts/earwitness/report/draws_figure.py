"""The published design from draw to draw, beside what the study saw of its one draw."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from earwitness.report.style import BAR, GRID, INK, MUTED, PAPER, WIDTH, look_of, rows_of, without_value
from earwitness.systems import HONEST_SPLIT, LEAKY_SPLIT, System
from earwitness.tables.draws import HONEST_OWN, HONEST_UNSEEN, LEAKY_EXTENDED, LEAKY_FIRST, LEAKY_UNSEEN

NAMES = {
    LEAKY_FIRST: "split by row: rows set apart first",
    LEAKY_EXTENDED: "split by row: more rows of its sources",
    LEAKY_UNSEEN: "split by row: sources it never heard",
    HONEST_OWN: "split by source: its own few test rows",
    HONEST_UNSEEN: "split by source: all unseen sources",
}


CLAIMS = {LEAKY_FIRST: "version_3", LEAKY_EXTENDED: "attention_by_row", HONEST_OWN: "attention_by_source"}
"""Quantity -> the claim (config/claims.yaml) whose number is drawn beside it."""


def draw_draws(draws: pd.DataFrame, published: Mapping[str, str]) -> Figure:
    """A panel per recipe: a row per quantity with a dot per draw, the mean with its interval, and where one more draw would fall.

    draws: earwitness.tables.draws.DRAWS. published: claim -> number that the study stated.
    """
    rows = draws[(draws.metric == "accuracy") & draws.quantity.isin(NAMES)]
    recipes = list(dict.fromkeys(rows.recipe))
    figure = Figure(figsize=(WIDTH, 1.2 + 2.6 * len(recipes)), layout="constrained")
    panels = figure.subplots(len(recipes), 1, squeeze=False)[:, 0]
    for axes, recipe in zip(panels, recipes, strict=True):
        own = rows[rows.recipe == recipe]
        quantities = [name for name in NAMES if (own.quantity == name).any()]
        for position, quantity in enumerate(quantities):
            look = look_of(System("adapter", str(recipe), LEAKY_SPLIT if quantity.startswith("leaky") else HONEST_SPLIT))
            found = own[own.quantity == quantity]
            single, together = found[found.draw != "all"], rows_of(found[found.draw == "all"])
            for row in together:
                if not without_value(row.next_low):
                    axes.plot([100 * row.next_low, 100 * row.next_high], [position] * 2, color=GRID, lw=11, solid_capstyle="butt", zorder=1)
                if not without_value(row.low):
                    axes.plot([100 * row.low, 100 * row.high], [position] * 2, color=look.colour, lw=4, alpha=0.5, solid_capstyle="butt")
                axes.plot([100 * row.value], [position], look.marker, color=look.colour, ms=7, mec=PAPER, mew=1, zorder=5)
                axes.text(1.015, position, f"{100 * row.value:.1f}", transform=axes.get_yaxis_transform(), va="center", fontsize=9)
            axes.plot(100 * single.value, [position + 0.27] * len(single), "|", color=INK, ms=6, alpha=0.7)
            if CLAIMS.get(quantity) in published:
                axes.plot([float(published[CLAIMS[quantity]])], [position - 0.27], "_", color=MUTED, mec=MUTED, mew=2.5, ms=12)
        axes.set_yticks(range(len(quantities)), [NAMES[name] for name in quantities])
        axes.set_ylim(len(quantities) - 0.4, -0.6)
        axes.set_title(str(recipe).replace("_", " "), loc="left")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=GRID, lw=0.6)
        axes.set_xlabel("accuracy (%)")
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4, handlelength=1.6, columnspacing=1.4)
    return figure


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=INK, ls="", marker="|", ms=6, label="one draw"),
        Line2D([], [], color=BAR, lw=4, marker="s", ms=7, mec=PAPER, mfc=INK, label="mean, interval"),
        Line2D([], [], color=GRID, lw=11, label="where one more draw falls"),
        Line2D([], [], ls="", marker="_", color=MUTED, mec=MUTED, mew=2.5, ms=12, label="published study (another model)"),
    ]
