"""Balanced accuracy of every system on sources that none of them trained on."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from earwitness.core.errors import InputError
from earwitness.core.randomness import stream
from earwitness.report.style import (
    BAR,
    GRID,
    INK,
    LABEL_COLOURS,
    LABEL_NAMES,
    MUTED,
    PAPER,
    WIDTH,
    Look,
    colour_of,
    headline,
    in_order,
    look_of,
    side_by_side,
    without_value,
    wrapped_name,
)

_LANES = {"SPEECH": 0.24, "NONSPEECH": 0.4}
_MANY_SOURCES = 400


def draw_accuracy(accuracy: pd.DataFrame, sources: pd.DataFrame) -> Figure:
    """A row per system: estimate, clustered and naive interval, marks per seed, a dot per source.

    accuracy, sources: tables of earwitness.tables.accuracy.ACCURACY and SOURCE_ACCURACY; only test set "unseen" is drawn, and of several
    models no ensemble and no probe.
    Raises InputError where accuracy holds no balanced accuracy on unseen sources.
    """
    rows = accuracy[(accuracy.test_set == "unseen") & (accuracy.metric == "balanced_accuracy")]
    if rows.empty:
        raise InputError("table accuracy: no balanced_accuracy on test set unseen; run measure_accuracy again")
    systems = side_by_side(in_order(rows.system_id), "base", "honest", "leaky")
    main = headline(rows).set_index("system_id")
    dots = sources[sources.test_set == "unseen"]

    figure = Figure(figsize=(WIDTH, 1.35 + 0.74 * len(systems)), layout="constrained")
    axes = figure.add_subplot()
    for position, system in enumerate(systems):
        _draw_sources(axes, position, dots[dots.system_id == str(system)])
        _draw_estimate(axes, position, main.loc[str(system)], look_of(system))
        per_seed = rows[(rows.system_id == str(system)) & rows.seed.str.isdigit()]
        if len(per_seed) > 1:
            axes.plot(100 * per_seed.estimate, [position - 0.17] * len(per_seed), "|", color=colour_of(system), ms=5, mew=1.2)
    axes.axvline(50, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
    axes.annotate("chance", (50, -0.56), xytext=(4, 0), textcoords="offset points", color=MUTED, fontsize=8.5, va="top")
    axes.set_ylim(len(systems) - 0.4, -0.6)
    axes.set_xlim(-2, 102)
    axes.set_yticks(range(len(systems)), [wrapped_name(system, 24) for system in systems])
    for label, system in zip(axes.get_yticklabels(), systems, strict=True):
        label.set_color(colour_of(system))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID, lw=0.6)
    axes.set_xlabel("balanced accuracy on unseen sources (%); dots: accuracy on one source (%)")
    figure.legend(handles=_legend(), loc="outside lower center", ncols=3, handlelength=1.8, columnspacing=1.6)
    return figure


def _draw_estimate(axes: Axes, position: int, row: Any, look: Look) -> None:
    if not without_value(row.naive_low) and not without_value(row.naive_high):
        axes.plot([100 * row.naive_low, 100 * row.naive_high], [position + 0.11] * 2, color=INK, lw=1, solid_capstyle="butt")
    text = f"{100 * row.estimate:.1f}"
    if not without_value(row.low) and not without_value(row.high):
        axes.plot([100 * row.low, 100 * row.high], [position] * 2, color=look.colour, lw=4, alpha=0.55, solid_capstyle="butt")
        text += f" [{100 * row.low:.1f}, {100 * row.high:.1f}]"
    mark: Any = {"marker": look.marker, "ls": "", "color": look.colour, "ms": 11 if look.marker == "*" else 8, "mec": PAPER, "mew": 0.7}
    axes.plot([100 * row.estimate], [position], **mark, zorder=5)
    place = axes.get_yaxis_transform()
    axes.text(1.015, position, text, transform=place, va="center", fontsize=9)
    counts = f"{row.n_speech_sources} + {row.n_nonspeech_sources} sources"
    note = counts + {"descriptive_only": ",\ndescriptive only", "few_sources": " (few)"}.get(row.reliability, "")
    axes.text(1.015, position + 0.17, note, transform=place, va="top", fontsize=8, color=MUTED, linespacing=1.05)


def _draw_sources(axes: Axes, position: int, rows: pd.DataFrame) -> None:
    mean = rows[rows.seed.isin(["all", "-"])]
    if mean.empty:
        mean = pd.DataFrame(rows.groupby(["system_id", "source_id", "label"], as_index=False).accuracy.mean())
    for label in LABEL_COLOURS:
        group = mean[mean.label == label]
        names = zip(group.system_id, group.source_id, strict=True)
        jitter = [stream(0, "plot_accuracy", system, source).uniform(-0.055, 0.055) for system, source in names]
        axes.scatter(
            100 * group.accuracy,
            [position + _LANES[label] + shift for shift in jitter],
            s=13,
            color=LABEL_COLOURS[label],
            alpha=0.55,
            lw=0,
            rasterized=len(group) > _MANY_SOURCES,
        )


def _legend() -> list[Line2D]:
    per_source: dict[str, Any] = {"ls": "", "marker": "o", "ms": 4, "alpha": 0.7}
    return [
        Line2D([], [], color=BAR, lw=4, marker="o", ms=7, mec=PAPER, mfc=INK, label="estimate and interval clustered by source"),
        Line2D([], [], color=INK, lw=1, label="naive interval (assumes independent items)"),
        Line2D([], [], color=INK, ls="", marker="|", ms=5, mew=1.2, label="one training seed"),
        *[Line2D([], [], color=LABEL_COLOURS[label], **per_source, label=f"one {LABEL_NAMES[label]} source") for label in LABEL_COLOURS],
    ]
