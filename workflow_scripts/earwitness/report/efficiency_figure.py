"""What recipes cost against how accurate they are."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from earwitness.report.style import GRID, MUTED, PAPER, WIDTH, look_of
from earwitness.systems import HONEST_SPLIT, LEAKY_SPLIT, System

_PANELS = (
    ("trainable_parameters", 1e-3, "trainable parameters (thousands)"),
    ("adapter_bytes", 1e-6, "adapter on disk (MB)"),
    ("ms_per_sample", 1.0, "training time per stimulus (ms)"),
    ("peak_memory_bytes", 2.0**-30, "peak memory (GiB)"),
)
CHARACTERS = 90
"""What fits beside each other below the panels."""

NARROWEST = 4.0
"""Points of accuracy that the vertical axis spans at least."""


def draw_efficiency(efficiency: pd.DataFrame) -> Figure:
    """Balanced accuracy against each cost: a numbered disc per recipe (mean over seeds), a small dot per seed.

    efficiency: table of earwitness.tables.experiments.EFFICIENCY; where the honest split is among its splits, that alone is drawn, and
    otherwise the first.
    """
    splits = [split for split in efficiency.split if split != LEAKY_SPLIT] or list(efficiency.split)
    chosen = HONEST_SPLIT if HONEST_SPLIT in splits else splits[0]
    rows = efficiency[efficiency.split == chosen]
    means = rows.groupby("recipe", sort=False).mean(numeric_only=True)
    figure = Figure(figsize=(WIDTH, 6.2 + 0.16 * len(means)), layout="constrained")
    for axes, (column, unit, label) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        _draw_cost(axes, rows, means, column, unit, chosen)
        axes.set_xlabel(label)
    names = [f"{number}  {str(recipe).replace('_', ' ')}" for number, recipe in enumerate(means.index, start=1)]
    columns = max(1, min(5, CHARACTERS // max(map(len, names))))
    figure.legend([Line2D([], [], ls="")] * len(names), names, loc="outside lower center", ncols=columns, handlelength=0, handletextpad=0)
    figure.suptitle(f"Measured on: {'; '.join(sorted(rows.device.unique()))}", fontsize=9, color=MUTED)
    return figure


def _draw_cost(axes: Axes, rows: pd.DataFrame, means: pd.DataFrame, column: str, unit: float, split: str) -> None:
    for recipe, own in rows.groupby("recipe"):
        axes.plot(unit * own[column].astype(float), 100 * own.balanced_accuracy, ".", color=_colour(recipe, split), alpha=0.4, ms=5)
    for number, (recipe, x, y) in enumerate(zip(means.index, unit * means[column], 100 * means.balanced_accuracy, strict=True), start=1):
        disc = {"boxstyle": "circle,pad=0.25", "fc": _colour(recipe, split), "ec": PAPER, "alpha": 0.9}
        axes.annotate(str(number), (x, y), ha="center", va="center", color=PAPER, fontsize=8.5, fontweight="bold", bbox=disc)
    axes.margins(0.12)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    low, high = axes.get_ylim()
    spare = max(0.0, NARROWEST - (high - low)) / 2
    axes.set_ylim(low - spare, high + spare)
    axes.grid(color=GRID, lw=0.6)
    axes.set_ylabel("balanced accuracy (%)")


def _colour(recipe: Any, split: str) -> str:
    return look_of(System("adapter", str(recipe), split)).colour
