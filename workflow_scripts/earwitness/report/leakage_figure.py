"""What leakage buys: the leaky arm on its own test rows and on unseen sources, beside the published drop."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from earwitness.report.style import (
    BAR,
    GRID,
    INK,
    LABEL_COLOURS,
    LABEL_MARKERS,
    LABEL_NAMES,
    MUTED,
    PAPER,
    TINT,
    WIDTH,
    colour_of,
    headline,
    in_order,
    look_of,
    model_name,
    recipe_name,
    rows_of,
    without_value,
)
from earwitness.systems import HONEST_SPLIT, LEAKY_SPLIT, System

_CLASS_METRICS = {"speech_accuracy": ("SPEECH", -0.2), "nonspeech_accuracy": ("NONSPEECH", 0.2)}
_PUBLISHED = {"attention only": ("attention_by_row", "attention_by_source"), "attention and MLP": ("mlp_by_row", "mlp_by_source")}
"""Recipe -> the study's claims (config/claims.yaml) on speakers that it trained on and on others."""


@dataclass(frozen=True)
class _Row:
    """One line of the left panel; without a test set it is a heading."""

    system: System
    test_set: str | None
    text: str


def published_drops(published: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """Recipe -> published accuracy (%) with speakers shared and on unseen speakers.

    published: claim -> number that the study stated.
    """
    there = {recipe: pair for recipe, pair in _PUBLISHED.items() if published.keys() >= set(pair)}
    return {recipe: (float(published[shared]), float(published[unseen])) for recipe, (shared, unseen) in there.items()}


def draw_leakage(leakage: pd.DataFrame, accuracy: pd.DataFrame, sources: pd.DataFrame, published: Mapping[str, str]) -> Figure:
    """Left, this study with intervals and classes; right, the published study's drop, which is another model and data.

    Where a test set has too few sources for an interval, a dot per source stands in its place.
    leakage, accuracy, sources: tables of earwitness.tables: LEAKAGE, ACCURACY and SOURCE_ACCURACY. published: claim -> number that the
    study stated. Where no leaky arm was trained, the left panel says so.
    """
    drops = published_drops(published)
    rows = _rows(accuracy)
    lines = max(len(rows), 4)
    figure = Figure(figsize=(WIDTH, 1.7 + 0.52 * lines), layout="constrained")
    if drops:
        left, right = figure.subplots(1, 2, width_ratios=[2.2, 1])
        _draw_published(right, drops, lines)
    else:
        left = figure.subplots()
    left.set_title("This study", loc="left")
    if rows:
        _draw_ours(left, rows, accuracy, sources, headline(leakage[leakage.metric == "balanced_accuracy"]).set_index("system_id"))
        figure.legend(handles=_legend(), loc="outside lower center", ncols=3, handlelength=1.8, columnspacing=1.6)
    else:
        left.text(0.5, 0.5, "No leaky arm in this run", transform=left.transAxes, ha="center", va="center", color=MUTED)
        left.set_axis_off()
    return figure


def _rows(accuracy: pd.DataFrame) -> list[_Row]:
    """What to draw, from top to bottom; empty where no leaky arm was tested."""
    present = set(zip(accuracy.system_id, accuracy.test_set, strict=True))
    leaky = [system for system in in_order(accuracy.system_id) if system.is_leaky and (str(system), LEAKY_SPLIT) in present]
    if not leaky:
        return []
    rows = []
    for system in leaky:
        if len(leaky) > 1:
            rows.append(_Row(system, None, ": ".join(filter(None, [model_name(system), recipe_name(system)]))))
        rows += [
            _Row(system, LEAKY_SPLIT, "leaky arm,\nits own test rows"),
            _Row(system, "unseen", "leaky arm,\nunseen sources"),
            _Row(replace(system, split=HONEST_SPLIT), "unseen", "honest arm,\nunseen sources"),
        ]
    for base in dict.fromkeys(system.base for system in leaky):
        name = model_name(base) or "base model"
        rows += [_Row(base, LEAKY_SPLIT, f"{name},\nleaky arm's test rows"), _Row(base, "unseen", f"{name},\nunseen sources")]
    return [row for row in rows if row.test_set is None or (str(row.system), row.test_set) in present]


def _draw_ours(axes: Axes, rows: list[_Row], accuracy: pd.DataFrame, sources: pd.DataFrame, inflation: pd.DataFrame) -> None:
    for position, row in enumerate(rows):
        found = accuracy[(accuracy.system_id == str(row.system)) & (accuracy.test_set == row.test_set)]
        look = look_of(row.system)
        few = (found.reliability == "descriptive_only").any()
        for metric, (label, shift) in _CLASS_METRICS.items():
            if few:
                _draw_sources(axes, position + shift, sources, row, label)
            for item in rows_of(headline(found[found.metric == metric])):
                if not few and not without_value(item.low) and not without_value(item.high):
                    axes.plot([100 * item.low, 100 * item.high], [position + shift] * 2, color=LABEL_COLOURS[label], lw=1, alpha=0.8)
                axes.plot([100 * item.estimate], [position + shift], "o", color=LABEL_COLOURS[label], ms=4)
        for item in rows_of(headline(found[found.metric == "balanced_accuracy"])):
            if not few and not without_value(item.low) and not without_value(item.high):
                axes.plot([100 * item.low, 100 * item.high], [position] * 2, color=look.colour, lw=4, alpha=0.55, solid_capstyle="butt")
            leaked = row.test_set == LEAKY_SPLIT
            axes.plot(
                [100 * item.estimate],
                [position],
                marker=look.marker,
                ls="",
                color=look.colour,
                mfc=PAPER if leaked else look.colour,
                mec=look.colour,
                mew=1.8,
                ms=7,
                zorder=5,
            )
            axes.text(1.01, position, f"{100 * item.estimate:.1f}", transform=axes.get_yaxis_transform(), va="center", fontsize=9)
        if row.test_set == LEAKY_SPLIT and str(row.system) in inflation.index:
            gain = inflation.loc[str(row.system)]
            interval = "" if without_value(gain.low) or without_value(gain.high) else f"\n[{100 * gain.low:.1f}, {100 * gain.high:.1f}]"
            note = f"{100 * gain.inflation:+.1f} points" + ("\non so few sources" if few else interval)
            axes.text(1.01, position + 0.5, note, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=look.colour, linespacing=1.05)
    axes.set_yticks(range(len(rows)), [textwrap.fill(row.text, 24) if row.test_set is None else row.text for row in rows])
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_color(colour_of(row.system) if row.test_set else INK)
        tick.set_fontweight("normal" if row.test_set else "bold")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(10 * (min(50.0, axes.dataLim.x0) // 10) - 2, 102)
    axes.set_xlabel("balanced accuracy, small marks: accuracy of one class (%)")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID, lw=0.6)


def _draw_sources(axes: Axes, height: float, sources: pd.DataFrame, row: _Row, label: str) -> None:
    own = sources[(sources.system_id == str(row.system)) & (sources.test_set == row.test_set) & (sources.label == label)]
    mean = own.groupby("source_id").accuracy.mean()
    axes.plot(
        100 * mean, [height] * len(mean), LABEL_MARKERS[label], color=LABEL_COLOURS[label], ms=7 if label == "SPEECH" else 4.5, alpha=0.6, zorder=2
    )


def _draw_published(axes: Axes, drops: dict[str, tuple[float, float]], lines: int) -> None:
    for number, (recipe, (shared, unseen)) in enumerate(drops.items()):
        position = 0.5 + 2 * number
        arrow = {"arrowstyle": "->", "color": MUTED, "lw": 1.2, "shrinkA": 6, "shrinkB": 6}
        axes.annotate("", (unseen, position), (shared, position), arrowprops=arrow)
        axes.plot([shared], [position], "o", mfc=PAPER, mec=MUTED, mew=1.8, ms=7)
        axes.plot([unseen], [position], "o", color=MUTED, ms=7)
        for value in (shared, unseen):
            axes.text(value, position - 0.28, f"{value:.1f}", ha="center", va="bottom", fontsize=9)
        axes.text((shared + unseen) / 2, position + 0.3, recipe, ha="center", va="top", fontsize=9, color=MUTED)
    axes.set_ylim(max(lines, 2 * len(drops)) - 0.5, -0.5)
    values = [value for pair in drops.values() for value in pair]
    axes.set_xlim(min(values) - 6, max(101, max(values) + 4))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_facecolor(TINT)
    axes.set_xlabel("accuracy (%)")
    axes.set_title("Published study\n(another model and\ndata: not comparable\nin level)", loc="left", fontweight="normal", color=MUTED)


def _legend() -> list[Line2D]:
    bar: dict[str, Any] = {"color": BAR, "lw": 4, "marker": "s", "ms": 7, "mec": INK, "mew": 1.8}
    return [
        Line2D([], [], **bar, mfc=PAPER, label="on the leaky split's own test rows"),
        Line2D([], [], **bar, mfc=INK, label="on unseen sources"),
        *[Line2D([], [], color=LABEL_COLOURS[label], lw=1, marker="o", ms=4, label=f"{LABEL_NAMES[label]} alone") for label in LABEL_COLOURS],
        Line2D([], [], ls="", label="bars: intervals clustered by source"),
        Line2D([], [], ls="", marker=".", ms=7, color=MUTED, alpha=0.7, label="dots, crosses: one source, where they are too few for a bar"),
    ]
