"""Several models side by side: accuracy as they are and fine-tuned, and their thresholds."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETLEFT, CARETRIGHT

from earwitness.core.errors import InputError
from earwitness.report.models_text import chosen_adapters
from earwitness.report.style import GRID, INK, MUTED, PAPER, WIDTH, Look, headline, look_of, models_of, rows_of, without_value
from earwitness.systems import System

_APART = 0.17
_MOST_PANELS = 3


def draw_models(accuracy: pd.DataFrame, comparisons: pd.DataFrame, thresholds: pd.DataFrame | None) -> Figure:
    """A row per model, in each the base (open) and the adapter that did best on development sources (filled).

    Panels: balanced accuracy on unseen sources; the threshold by duration; those by SNR at the shortest and the longest stratified duration.
    accuracy, comparisons, thresholds: tables of earwitness.tables; thresholds: None without the baseline set.
    Raises InputError where accuracy holds no balanced accuracy on unseen sources.
    """
    rows = accuracy[(accuracy.test_set == "unseen") & (accuracy.metric == "balanced_accuracy")]
    if rows.empty:
        raise InputError("table accuracy: no balanced_accuracy on test set unseen; run measure_accuracy again")
    models, chosen = models_of(rows.system_id), chosen_adapters(comparisons)
    panels = [] if thresholds is None else _threshold_panels(thresholds)
    figure = Figure(figsize=(WIDTH, 1.5 + 0.62 * len(models)), layout="constrained")
    axes = figure.subplots(1, 1 + len(panels), squeeze=False, sharey=True, width_ratios=[1.5, *[1.0] * len(panels)])[0]
    levels = {row.system_id: row for row in rows_of(headline(rows))}
    for place, model in enumerate(models):
        for system, shift in ((System("base", "base", model=model), -_APART), (chosen.get(model), _APART)):
            if system is None:
                continue
            row, look = levels[str(system)], look_of(System("base", "base", model=model))
            _draw_level(axes[0], place + shift, row, look, system.kind == "base")
            for panel, (_, own) in zip(axes[1:], panels, strict=True):
                for threshold in rows_of(own[own.system_id == str(system)]):
                    _draw_threshold(panel, place + shift, threshold, look, system.kind == "base")
    axes[0].axvline(50, color=MUTED, lw=0.8, ls=(0, (1, 2)))
    axes[0].set_xlabel("balanced accuracy (%)")
    axes[0].set_yticks(range(len(models)), models)
    for label, model in zip(axes[0].get_yticklabels(), models, strict=True):
        label.set_color(look_of(System("base", "base", model=model)).colour)
    axes[0].set_ylim(len(models) - 0.5, -0.5)
    for panel, (name, own) in zip(axes[1:], panels, strict=True):
        panel.set_xlabel(name)
        if own.axis.iloc[0] == "duration":
            _ticks_of_durations(panel, own.lowest_level.min(), own.highest_level.max())
        panel.set_xlim(own.lowest_level.min(), own.highest_level.max())
    for panel in axes:
        panel.grid(axis="x", color=GRID, lw=0.6)
        panel.tick_params(axis="y", length=0)
        panel.spines["left"].set_visible(False)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=2)
    return figure


def _threshold_panels(thresholds: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The panels of thresholds, each with its label; those of curves that no system was tested on are left out."""
    own = thresholds[thresholds.measure == "balanced_accuracy"]
    noisy = own[(own.axis == "snr") & (own.design == "factorial")]
    held = sorted({noisy.held_duration_ms.min(), noisy.held_duration_ms.max()}) if len(noisy) else []
    found = [("duration at 75 %,\nno noise (ms)", own[own.axis == "duration"])]
    found += [(f"SNR at 75 %,\n{duration:g} ms long (dB)", noisy[noisy.held_duration_ms == duration]) for duration in held]
    return [(name, rows) for name, rows in found if len(rows)][:_MOST_PANELS]


def _ticks_of_durations(axes: Axes, lowest: float, highest: float) -> None:
    """A logarithmic axis with a tick at each power of ten, and at both ends unless it stands close to one."""
    axes.set_xscale("log")
    inner = [10.0**power for power in range(6) if 2 * lowest < 10**power < highest / 2]
    ticks = [lowest, *inner, highest]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _draw_level(axes: Axes, place: float, row: Any, look: Look, is_base: bool) -> None:
    if not without_value(row.low) and not without_value(row.high):
        axes.plot([100 * row.low, 100 * row.high], [place] * 2, color=look.colour, lw=3.5, alpha=0.45, solid_capstyle="butt")
    _mark(axes, 100 * row.estimate, place, look, is_base)
    axes.annotate(f"{100 * row.estimate:.1f}", (1, place), xycoords=axes.get_yaxis_transform(), fontsize=8.5, va="center", color=INK)


def _draw_threshold(axes: Axes, place: float, row: Any, look: Look, is_base: bool) -> None:
    if row.status not in ("ok", "right_censored", "left_censored"):
        axes.annotate("none", (0.5, place), xycoords=axes.get_yaxis_transform(), fontsize=8, va="center", ha="center", color=MUTED)
        return
    ends = np.clip([row.low, row.high], row.lowest_level, row.highest_level)
    axes.plot(ends, [place] * 2, color=look.colour, lw=3.5, alpha=0.45, solid_capstyle="butt")
    for end, edge, arrow in ((row.low, row.lowest_level, CARETLEFT), (row.high, row.highest_level, CARETRIGHT)):
        if np.isinf(end):
            axes.plot([edge], [place], marker=arrow, color=look.colour, ms=6, mew=0, clip_on=False)
    if row.status == "ok":
        _mark(axes, row.threshold, place, look, is_base)


def _mark(axes: Axes, value: float, place: float, look: Look, is_base: bool) -> None:
    axes.plot([value], [place], marker=look.marker, mfc=PAPER if is_base else look.colour, mec=look.colour, mew=1.3, ms=8, ls="", zorder=5)


def _legend() -> list[Line2D]:
    mark: dict[str, Any] = {"ls": "", "marker": "o", "ms": 8, "mec": INK, "mew": 1.3}
    return [Line2D([], [], **mark, mfc=PAPER, label="as it is"), Line2D([], [], **mark, mfc=INK, label="fine-tuned on the honest split")]
