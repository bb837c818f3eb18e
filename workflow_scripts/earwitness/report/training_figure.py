"""Loss and learning rate against step of every adapter, a column per arm."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from earwitness.core.errors import InputError
from earwitness.report.style import GRID, INK, MUTED, WIDTH, colour_of, in_order, wrapped_name
from earwitness.systems import System

_COLUMNS = ("step", "loss", "learning_rate")


def read_histories(files: Mapping[System, Path]) -> pd.DataFrame:
    """Training histories out of every adapter's file.

    Returns columns system_id (of all seeds), seed, step, loss (nats), learning_rate.
    Raises InputError where a file lacks a column or holds no step.
    """
    parts = []
    for system, path in files.items():
        history = pd.read_csv(path)
        missing = [name for name in _COLUMNS if name not in history]
        if missing:
            raise InputError(f"{path}: no column {missing[0]}; train the adapter again")
        if history.empty:
            raise InputError(f"{path}: holds no step; train the adapter again")
        parts.append(history[list(_COLUMNS)].assign(system_id=str(system.of_all_seeds()), seed=system.seed))
    return pd.concat(parts, ignore_index=True)


def draw_training(histories: pd.DataFrame) -> Figure:
    """Seeds thin, their mean bold (running mean over a thirtieth of the steps); the learning rate below on its own axis.

    histories: as `read_histories` returns.
    """
    arms = in_order(histories.system_id)
    columns = min(3, len(arms))
    lines = -(-len(arms) // columns)
    width = 6.0 if len(arms) == 1 else WIDTH
    figure = Figure(figsize=(width, 3.9 * lines + 0.3), layout="constrained")
    ratios = [3, 1] * lines
    grid = figure.subplots(2 * lines, columns, squeeze=False, height_ratios=ratios)
    top = 1.05 * max(math.log(2), float(histories.loss.quantile(0.999)))
    fastest = 1.1 * float(histories.learning_rate.max()) or 1.0
    for number in range(lines * columns):
        line, column = divmod(number, columns)
        loss_axes, rate_axes = grid[2 * line, column], grid[2 * line + 1, column]
        if number >= len(arms):
            loss_axes.set_visible(False)
            rate_axes.set_visible(False)
            continue
        rows = histories[histories.system_id == str(arms[number])]
        colour = colour_of(arms[number])
        _draw_loss(loss_axes, rows, colour)
        loss_axes.set_title(wrapped_name(arms[number], 30 if columns == 3 else 44), color=colour)
        loss_axes.set_ylim(0, top)
        first_seed = rows[rows.seed == rows.seed.min()].sort_values("step")
        rate_axes.plot(first_seed.step, first_seed.learning_rate, color=colour, lw=1.4)
        rate_axes.set_ylim(0, fastest)
        rate_axes.set_xlabel("step")
        for axes in (loss_axes, rate_axes):
            axes.set_xlim(rows.step.min(), max(rows.step.max(), rows.step.min() + 1))
            axes.grid(axis="y", color=GRID, lw=0.6)
        loss_axes.tick_params(labelbottom=False)
        if column:
            loss_axes.tick_params(labelleft=False)
            rate_axes.tick_params(labelleft=False)
        else:
            loss_axes.set_ylabel("loss on the answer (nats)")
            rate_axes.set_ylabel("learning rate")
    handles = [
        Line2D([], [], color=INK, lw=0.8, alpha=0.45, label="one seed"),
        Line2D([], [], color=INK, lw=2.2, label="mean over seeds, running mean"),
        Line2D([], [], color=MUTED, lw=1, ls=(0, (4, 3)), label="ln 2: guessing between two answers"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3 if width == WIDTH else 1)
    return figure


def _draw_loss(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    for _, seed in rows.groupby("seed"):
        axes.plot(seed.step, seed.loss, color=colour, lw=0.8, alpha=0.35)
    mean = rows.groupby("step").loss.mean()
    window = max(1, len(mean) // 30)
    axes.plot(mean.index, mean.rolling(window, center=True, min_periods=1).mean(), color=colour, lw=2.2)
    axes.axhline(math.log(2), color=MUTED, lw=1, ls=(0, (4, 3)), zorder=1)
