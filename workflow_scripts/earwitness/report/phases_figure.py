"""Accuracy from phase to phase of the study."""

import pandas as pd
from matplotlib.figure import Figure

from earwitness.evaluation.phases import PHASE_NAMES
from earwitness.report.style import GRID, INK, MUTED, WIDTH, colour_of, in_order, rows_of, without_value, wrapped_name
from earwitness.systems import BASE, System

_TITLES = {
    "reference": "reference\ndetectors",
    "zero-shot": "zero-shot",
    "prompt": "searched\nquestion",
    "fine-tuned": "fine-tuned",
    "ensemble": "ensemble\nof seeds",
}


def draw_phases(phases: pd.DataFrame) -> Figure:
    """A column per system, grouped by phase: balanced accuracy with its clustered interval, the zero-shot level as a line.

    phases: earwitness.tables.phases.PHASES.
    """
    present = [phase for phase in PHASE_NAMES if (phases.phase == phase).any()]
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    axes = figure.add_subplot()
    base = phases[phases.phase == "zero-shot"]
    if len(base):
        axes.axhline(100 * float(base.estimate.iloc[0]), color=colour_of(BASE), lw=1, ls=(0, (4, 3)), zorder=1)
    place, ticks, names, starts = 0.0, [], [], []
    for phase in present:
        rows = phases[phases.phase == phase].set_index("system_id")
        starts.append(place - 0.6)
        first = place
        for row in rows_of(rows.loc[list(map(str, in_order(rows.index)))].reset_index()):
            colour = colour_of(System.parse(row.system_id))
            if not without_value(row.low):
                axes.plot([place] * 2, [100 * row.low, 100 * row.high], color=colour, lw=4, alpha=0.55, solid_capstyle="butt")
            axes.plot(place, 100 * row.estimate, "o", color=colour, ms=7, mec="white", mew=1, zorder=5)
            axes.annotate(
                f"{100 * row.estimate:.1f}",
                (place, 100 * row.estimate),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
                bbox={"fc": "white", "ec": "none", "pad": 1},
            )
            ticks.append(place)
            names.append("question" if phase == "prompt" else wrapped_name(System.parse(row.system_id), 13))
            place += 1
        axes.text(
            (first + place - 1) / 2, 1.02, _TITLES[phase], transform=axes.get_xaxis_transform(), ha="center", va="bottom", color=INK, weight="bold"
        )
        place += 0.5
    for start in starts[1:]:
        axes.axvline(start - 0.1, color=GRID, lw=1)
    axes.set_xticks(ticks, names, fontsize=8 if len(ticks) <= 9 else 7, rotation=0 if len(ticks) <= 10 else 90)
    axes.set_xlim(-0.7, place - 0.6)
    lowest = min(phases.low.min(skipna=True), phases.estimate.min()) if phases.low.notna().any() else phases.estimate.min()
    axes.set_ylim(min(48, 100 * lowest - 3), 102)
    axes.axhline(50, color=MUTED, lw=1, ls=(0, (1, 3)), zorder=1)
    axes.set_ylabel("balanced accuracy on unseen sources (%)")
    axes.grid(axis="y", color=GRID, lw=0.6)
    axes.tick_params(axis="x", length=0)
    return figure
