"""Balanced accuracy by duration and signal-to-noise ratio, a panel per system."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from earwitness.core.errors import InputError
from earwitness.report.style import NO_CELL, ON_DARK_CELL, ON_LIGHT_CELL, WIDTH, colour_of, in_order, side_by_side, wrapped_name


def draw_conditions(conditions: pd.DataFrame) -> Figure:
    """Heat maps on one colour scale, with the number (%) in every cell; an untested condition stays empty.

    conditions: table of earwitness.tables.accuracy.CONDITION_ACCURACY; only test set "unseen" is drawn, and no ensemble.
    Raises InputError where it holds no such row.
    """
    rows = conditions[conditions.test_set == "unseen"]
    systems = [system for system in side_by_side(in_order(rows.system_id), "base", "honest") if system.kind != "ensemble"]
    if not systems:
        raise InputError("table conditions: no row on test set unseen; run measure_accuracy again")
    rows = rows[rows.system_id.isin(map(str, systems))]
    durations, snrs = sorted(rows.duration_ms.unique()), sorted(rows.snr_db.unique())
    lowest = min(0.5, np.floor(10 * rows.balanced_accuracy.min()) / 10)
    scale = Normalize(100 * lowest, 100)

    columns = min(3, len(systems))
    lines = -(-len(systems) // columns)
    panel_height = 0.95 + max(1.3, 0.3 * len(snrs))
    width = {1: 5.0, 2: 7.2}.get(columns, WIDTH)
    figure = Figure(figsize=(width, panel_height * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    panels = list(grid.flat)
    shown = panels[: len(systems)]
    cell = (0.82 * width / columns) / len(durations)
    for number, (axes, system) in enumerate(zip(shown, systems, strict=True)):
        table = rows[rows.system_id == str(system)].pivot_table(index="snr_db", columns="duration_ms", values="balanced_accuracy")
        image = draw_heat_map(axes, 100 * table.reindex(index=snrs, columns=durations), scale, min(9.5, max(5.0, 30 * cell)))
        axes.set_title(wrapped_name(system, 28), color=colour_of(system))
        if number + columns >= len(systems):
            axes.set_xlabel("duration (ms)")
        if number % columns == 0:
            axes.set_ylabel("SNR (dB)")
    for axes in panels[len(systems) :]:
        axes.set_visible(False)
    bar = figure.colorbar(image, ax=panels, shrink=min(1.0, 1.6 / lines + 0.2), aspect=18, pad=0.02)
    bar.set_label("balanced accuracy (%)")
    bar.outline.set_visible(False)
    return figure


def draw_heat_map(axes: Axes, table: pd.DataFrame, scale: Normalize, font_size: float, colours: str = "cividis", number: str = "{:.0f}") -> AxesImage:
    """Draw a table of SNRs (rows) by durations (columns), its numbers in the cells; missing ones stay empty."""
    colour_map = colormaps[colours].with_extremes(bad=NO_CELL)
    values = table.to_numpy(dtype=float)
    image = axes.imshow(values, origin="lower", aspect="auto", cmap=colour_map, norm=scale)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = ON_LIGHT_CELL if _luminance(colour_map(scale(value))) > 0.179 else ON_DARK_CELL
            axes.text(column, row, number.format(value).replace("-", "\N{MINUS SIGN}"), ha="center", va="center", fontsize=font_size, color=colour)
    axes.set_xticks(range(table.shape[1]), [f"{duration:g}" for duration in table.columns], rotation=90 if table.shape[1] > 7 else 0)
    axes.set_yticks(range(table.shape[0]), [f"{snr:g}".replace("-", "\N{MINUS SIGN}") for snr in table.index])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def _luminance(colour: tuple[float, float, float, float]) -> float:
    """Relative luminance in [0, 1] of an sRGB colour (WCAG 2); black and white text contrast equally at 0.179."""
    rgb = np.array(colour[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
