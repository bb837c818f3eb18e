"""Psychometric functions of a user's own counts, as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from earwitness.core.files import atomic
from earwitness.psychometrics.axes import from_axis
from earwitness.psychometrics.counts import FittedCurve
from earwitness.psychometrics.thresholds import WITHOUT_CURVE
from earwitness.report.style import CONDITION_COLOURS, CONDITION_MARKERS, GRID, INK, MUTED, figure_style


def save_counts_figure(curves: Sequence[FittedCurve], axis: str, target: float, confidence: float, path: Path) -> None:
    """Draw every condition's points (area by trials, exact binomial intervals), curve, band and threshold; `path` ends with .svg or .png."""
    with figure_style():
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.subplots()
        axes.set(ylim=(-0.02, 1.02), xlabel="level", ylabel="proportion")
        if axis == "log":
            axes.set_xscale("log")
        axes.grid(color=GRID, linewidth=0.6)
        axes.axhline(target, color=MUTED, linewidth=0.8, linestyle=":")
        largest = max(float(curve.total.max()) for curve in curves)
        for place, curve in enumerate(curves):
            colour, marker = CONDITION_COLOURS[place % len(CONDITION_COLOURS)], CONDITION_MARKERS[place % len(CONDITION_MARKERS)]
            share = curve.correct / curve.total
            tail = (1 - confidence) / 2
            low = np.where(curve.correct > 0, stats.beta.ppf(tail, curve.correct, curve.total - curve.correct + 1), 0.0)
            high = np.where(curve.correct < curve.total, stats.beta.ppf(1 - tail, curve.correct + 1, curve.total - curve.correct), 1.0)
            axes.vlines(curve.levels, low, high, color=colour, linewidth=1, alpha=0.5)
            name, size = curve.condition if len(curves) > 1 else None, 12 + 48 * curve.total / largest
            axes.scatter(curve.levels, share, s=size, color=colour, marker=marker, edgecolors=INK, linewidths=0.4, zorder=3, label=name)
            if curve.threshold.status in WITHOUT_CURVE:
                continue
            grid = from_axis(curve.threshold.grid, axis)
            axes.plot(grid, curve.threshold.fitted, color=colour, linewidth=1.8)
            axes.fill_between(grid, *curve.threshold.band, color=colour, alpha=0.15, linewidth=0)
            if curve.threshold.status == "ok":
                value, left, right = from_axis([curve.threshold.value, curve.threshold.low, curve.threshold.high], axis)
                ends = np.clip([left, right], curve.levels[0], curve.levels[-1])
                axes.plot(ends, [target, target], color=colour, linewidth=3, alpha=0.6, solid_capstyle="butt")
                axes.plot([value, value], [0, target], color=colour, linewidth=1, linestyle="--")
        if len(curves) > 1:
            axes.legend(loc="lower right")
        kind = path.suffix.lower().lstrip(".")
        with atomic(path) as temporary, mpl.rc_context({"svg.hashsalt": "earwitness"}):
            figure.savefig(temporary, format=kind, dpi=170, metadata={"Date": None, "Creator": None} if kind == "svg" else {"Software": None})
