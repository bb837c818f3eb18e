"""The study's answer in one figure: accuracy from phase to phase, and what the leaky test would have said instead."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from earwitness.core.errors import InputError
from earwitness.evaluation.phases import PHASE_NAMES
from earwitness.report.style import (
    BAR,
    GRID,
    INK,
    LABEL_COLOURS,
    LABEL_MARKERS,
    LABEL_NAMES,
    MUTED,
    PAPER,
    in_order,
    look_of,
    model_name,
    rows_of,
    system_name,
    without_value,
)
from earwitness.systems import LEAKY_SPLIT, System

NARROW = 5.4
"""Inches; so narrow that it can be read on a telephone."""

_LEAKY_HEIGHT = 1.9
"""Lines that a row with dots takes."""

_ORDER = ("zero-shot", "prompt", "fine-tuned", "ensemble", "reference")


def draw_phases(phases: pd.DataFrame, accuracy: pd.DataFrame, sources: pd.DataFrame) -> Figure:
    """A line per system: its name and balanced accuracy on unseen sources, and below these its clustered interval.

    Below the rule: the leaky arm on its own test rows, with a dot per source where they are too few for an interval.
    phases: earwitness.tables.phases.PHASES. accuracy, sources: earwitness.tables.accuracy.ACCURACY and SOURCE_ACCURACY.
    Raises InputError where phases has no row.
    """
    if phases.empty:
        raise InputError("table phases: holds no system; run measure_phases again")
    known = sorted(PHASE_NAMES, key=_ORDER.index)
    rows = [
        row
        for phase in known
        for system in in_order(phases.system_id[phases.phase == phase])
        for row in rows_of(phases[(phases.phase == phase) & (phases.system_id == str(system))])
    ]
    own = accuracy[(accuracy.test_set == LEAKY_SPLIT) & (accuracy.metric == "balanced_accuracy") & (accuracy.seed != "-")]
    leaky = [row for system in in_order(own.system_id) if system.is_leaky for row in rows_of(_together(own[own.system_id == str(system)]))]
    lines = len(rows) + _LEAKY_HEIGHT * len(leaky)
    figure = Figure(figsize=(NARROW, 1.15 + 0.42 * lines), layout="constrained")
    axes = figure.add_subplot()
    for line, row in enumerate(rows):
        _draw_row(axes, line, row, _name_of(row))
    for position, row in ((len(rows) + 0.6 + _LEAKY_HEIGHT * number, row) for number, row in enumerate(leaky)):
        few = row.reliability == "descriptive_only"
        counts = f"{row.n_speech_sources} speakers and {row.n_nonspeech_sources} sounds that it trained on"
        _draw_row(axes, position, row, f"{system_name(System.parse(row.system_id))}:\n{counts}", interval=not few)
        if few:
            _draw_sources(axes, position, sources[(sources.system_id == row.system_id) & (sources.test_set == LEAKY_SPLIT)])
    if leaky:
        axes.axhline(len(rows) - 0.55, color=MUTED, lw=0.8)
    base = phases.estimate[phases.phase == "zero-shot"]
    if len(base) == 1:
        axes.axvline(100 * float(base.iloc[0]), color=INK, lw=1, ls=(0, (4, 3)), zorder=1)
    axes.axvline(50, color=MUTED, lw=1, ls=(0, (1, 2)), zorder=1)
    lowest = min(50.0, 100 * phases.low.min(skipna=True) if phases.low.notna().any() else 50.0, 100 * phases.estimate.min())
    axes.set_xlim(lowest - 3, 102)
    axes.set_ylim(lines - 0.35, -0.75)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID, lw=0.6)
    axes.tick_params(axis="x", labelsize=11)
    axes.set_xlabel(f"balanced accuracy (%): 50 is chance{'; dashed: zero-shot' * (len(base) == 1)}", fontsize=11)
    figure.legend(handles=_legend(bool(leaky)), loc="outside lower center", ncols=2, fontsize=10, handlelength=1.6, columnspacing=1.2)
    return figure


def _name_of(row: Any) -> str:
    system = System.parse(row.system_id)
    return f"{model_name(system) or 'base model'}, searched question" if row.phase == "prompt" else system_name(system)


def _together(rows: pd.DataFrame) -> pd.DataFrame:
    every = rows[rows.seed == "all"]
    return (every if len(every) else rows).head(1)


def _draw_row(axes: Axes, position: float, row: Any, name: str, interval: bool = True) -> None:
    look = look_of(System.parse(row.system_id))
    if interval and not without_value(row.low):
        axes.plot([100 * row.low, 100 * row.high], [position + 0.12] * 2, color=look.colour, lw=5, alpha=0.45, solid_capstyle="butt")
    mark: Any = {"marker": look.marker, "ls": "", "color": look.colour, "ms": 12 if look.marker == "*" else 9, "mec": PAPER, "mew": 0.7}
    axes.plot([100 * row.estimate], [position + 0.12], **mark, zorder=5)
    text: Any = {"transform": axes.get_yaxis_transform(), "va": "bottom", "fontsize": 11, "color": look.colour, "linespacing": 1.05}
    backed: Any = {"fc": PAPER, "ec": "none", "pad": 0.6, "alpha": 0.8}
    axes.text(0.005, position - 0.13, name, **text, bbox=backed)
    axes.text(0.995, position - 0.13, f"{100 * row.estimate:.1f}", ha="right", weight="bold", bbox=backed, **text)


def _draw_sources(axes: Axes, position: float, rows: pd.DataFrame) -> None:
    every = rows[rows.seed == "all"]
    mean = (every if len(every) else rows).groupby(["source_id", "label"], as_index=False).accuracy.mean()
    for label, place in (("SPEECH", 0.36), ("NONSPEECH", 0.54)):
        values = 100 * mean.accuracy[mean.label == label]
        axes.plot(
            values, [position + place] * len(values), LABEL_MARKERS[label], color=LABEL_COLOURS[label], ms=8 if label == "SPEECH" else 5, alpha=0.8
        )


def _legend(leaky: bool) -> list[Line2D]:
    handles = [Line2D([], [], color=BAR, lw=5, label="interval, clustered by source")]
    if leaky:
        handles += [
            Line2D(
                [],
                [],
                ls="",
                marker=LABEL_MARKERS[label],
                ms=9 if label == "SPEECH" else 6,
                color=LABEL_COLOURS[label],
                label=f"one {LABEL_NAMES[label]} source",
            )
            for label in LABEL_COLOURS
        ]
    return handles
