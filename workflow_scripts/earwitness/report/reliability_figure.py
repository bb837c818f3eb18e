"""Reliability diagrams: how often what is called probable is so."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from earwitness.report.style import GRID, INK, MUTED, PAPER, WIDTH, Look, headline, in_order, look_of, side_by_side, wrapped_name
from earwitness.systems import System

_METHODS = {"temperature": "temperature", "platt": "Platt's map"}


def draw_reliability(reliability: pd.DataFrame, calibration: pd.DataFrame, fits: pd.DataFrame) -> Figure:
    """A panel per system: share of speech against mean probability per bin of equal weight, with intervals by source.

    Drawn are the probabilities as the system gives them, and by the calibration that was chosen for most of its seeds.
    reliability, calibration, fits: earwitness.tables.calibration.RELIABILITY, CALIBRATION and CALIBRATION_FITS.
    """
    systems = side_by_side(in_order(reliability.system_id), "base", "honest")
    columns = min(3, len(systems))
    lines = -(-len(systems) // columns)
    figure = Figure(figsize=(WIDTH if columns == 3 else 3.3 * columns, 3.15 * lines + 0.5 + 0.2 * (3 - columns)), layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).flat)
    for number, (axes, system) in enumerate(zip(panels, systems, strict=False)):
        chosen = fits.method[(fits.system_id == str(system)) & fits.chosen].mode().iloc[0]
        look = look_of(system)
        _draw_panel(axes, reliability[reliability.system_id == str(system)], chosen, look)
        axes.text(0.04, 0.97, _errors(calibration, system, chosen), transform=axes.transAxes, va="top", fontsize=7.5, color=INK)
        axes.set_title(wrapped_name(system, 28), color=look.colour)
        if number + columns >= len(systems):
            axes.set_xlabel("probability of speech")
            axes.tick_params(labelbottom=True)
        if number % columns == 0:
            axes.set_ylabel("share that is speech")
    for axes in panels[len(systems) :]:
        axes.set_visible(False)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=columns)
    return figure


def _draw_panel(axes: Axes, rows: pd.DataFrame, chosen: str, look: Look) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
    for method, shown, fill, shift in (("none", MUTED, PAPER, -0.006), (chosen, look.colour, look.colour, 0.006)):
        bins = rows[rows.method == method].sort_values("probability")
        place = bins.probability + shift
        axes.vlines(place, bins.low, bins.high, color=shown, lw=1.2, alpha=0.6)
        axes.plot(place, bins.speech_share, marker=look.marker, color=shown, lw=0.8, ms=4.5, mfc=fill)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.19)
    axes.set_xticks(np.arange(0, 1.01, 0.25), ["0", "", "0.5", "", "1"])
    axes.set_yticks(np.arange(0, 1.01, 0.25), ["0", "", "0.5", "", "1"])
    axes.set_aspect("equal")
    axes.grid(color=GRID, lw=0.5)


def _errors(calibration: pd.DataFrame, system: System, chosen: str) -> str:
    of_system = calibration[calibration.system_id == str(system)]
    before, after = (headline(of_system[of_system.method == method]).iloc[0] for method in ("none", chosen))
    return f"ECE {before.ece:.3f} (floor {before.ece_floor:.3f})\n{_METHODS[chosen]}: {after.ece:.3f} ({after.ece_floor:.3f})"


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=MUTED, marker="o", ms=4.5, lw=0.8, mfc=PAPER, label="as the system gives it"),
        Line2D([], [], color=INK, marker="o", ms=4.5, lw=0.8, label="calibrated on development sources"),
        Line2D([], [], color=MUTED, lw=1, ls=(0, (4, 3)), label="perfectly calibrated"),
    ]
