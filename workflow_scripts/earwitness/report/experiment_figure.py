"""Balanced accuracy of every recipe and split of an experiment, and accuracy against the number of training speakers."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from earwitness.report.style import BAR, GRID, INK, MUTED, PAPER, WIDTH, look_of, rows_of, without_value
from earwitness.systems import ALL_FOLDS, BASE, HONEST_SPLIT, LEAKY_SPLIT, System, is_redrawn


def draw_experiment(experiment: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """A row per recipe, split and test set: estimate, interval, a mark per seed, the base on the same stimuli.

    experiment: table of earwitness.tables.experiments.EXPERIMENT. curves: LEARNING_CURVE; where it has rows, a second panel draws them.
    """
    seeds = experiment[experiment.seed != "all"]
    arms = experiment.assign(rank=experiment.seed.map({"all": 0}).fillna(1)).sort_values("rank", kind="stable")
    arms = arms.drop_duplicates(["recipe", "split", "test_set"]).sort_index()
    height = 1.3 + 0.42 * len(arms)
    below = 3.6 if len(curves) else 0.0
    figure = Figure(figsize=(WIDTH, height + below), layout="constrained")
    panels = figure.subplots(2 if below else 1, 1, squeeze=False, gridspec_kw={"height_ratios": [height, below] if below else [height]})[:, 0]
    _draw_arms(panels[0], arms, seeds)
    figure.legend(handles=_legend(), loc="outside upper center", ncols=3, handlelength=1.8, columnspacing=1.4)
    if below:
        _draw_curves(panels[1], curves)
    return figure


def arm_name(recipe: str, split: str, test_set: str) -> str:
    """The recipe, what it trained on, and the test set where that is not the unseen sources of the grouped split."""
    name, where = recipe.replace("_", " "), split.replace("_", " ")
    kind, _, number = split.partition("_")
    if kind == "fold":
        where = f"fold {int(number) + 1}, its own sources"
    elif kind == "train":
        where = f"{number} training sources per class"
    elif is_redrawn(split):
        kind, _, number = split.rpartition("_")
        where = f"draw {int(number) + 1} {kind.replace('_', ' ')}" + (", its own test" if test_set == split else "")
    elif split == ALL_FOLDS:
        where = "all folds, every source once"
    elif split == LEAKY_SPLIT:
        where = "leaky split" + (", its own rows" if test_set == LEAKY_SPLIT else "")
    elif split == HONEST_SPLIT:
        where = "honest split"
    return f"{name}: {where}"


def _draw_arms(axes: Axes, arms: pd.DataFrame, seeds: pd.DataFrame) -> None:
    place = axes.get_yaxis_transform()
    for position, row in enumerate(rows_of(arms)):
        look = look_of(System("adapter", row.recipe, row.split))
        text = f"{100 * row.balanced_accuracy:.1f}"
        if not without_value(row.low) and row.reliability != "descriptive_only":
            axes.plot([100 * row.low, 100 * row.high], [position] * 2, color=look.colour, lw=4, alpha=0.5, solid_capstyle="butt")
            text += f" [{100 * row.low:.1f}, {100 * row.high:.1f}]"
        own = seeds[(seeds.recipe == row.recipe) & (seeds.split == row.split) & (seeds.test_set == row.test_set)]
        if len(own) > 1:
            axes.plot(100 * own.balanced_accuracy, [position - 0.2] * len(own), "|", color=INK, ms=5, mew=1.2)
        axes.plot([100 * (row.balanced_accuracy - row.gain)], [position], look_of(BASE).marker, mfc=PAPER, mec=look_of(BASE).colour, ms=6, mew=1.2)
        axes.plot([100 * row.balanced_accuracy], [position], look.marker, color=look.colour, ms=7, mec=PAPER, mew=1, zorder=5)
        axes.text(1.015, position, text, transform=place, va="center", fontsize=9)
        few = {"descriptive_only": ", descriptive only", "few_sources": " (few)"}.get(row.reliability, "")
        counts = f"{row.n_speech_sources} + {row.n_nonspeech_sources} sources{few}"
        axes.text(1.015, position + 0.3, counts, transform=place, va="center", fontsize=7.5, color=MUTED)
    axes.set_yticks(range(len(arms)), [arm_name(row.recipe, row.split, row.test_set) for row in rows_of(arms)])
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID, lw=0.6)
    axes.set_xlabel("balanced accuracy (%)")


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=BAR, lw=4, marker="s", ms=7, mec=PAPER, mfc=INK, label="estimate, interval clustered by source"),
        Line2D([], [], color=INK, ls="", marker="|", ms=5, mew=1.2, label="one training seed"),
        Line2D([], [], ls="", marker=look_of(BASE).marker, mfc=PAPER, mec=look_of(BASE).colour, ms=6, mew=1.2, label="base model, same stimuli"),
    ]


def _draw_curves(axes: Axes, curves: pd.DataFrame) -> None:
    for recipe, rows in curves.groupby("recipe", sort=False):
        look = look_of(System("adapter", str(recipe), HONEST_SPLIT))
        measured, line = rows[rows.kind == "measured"], rows[rows.kind != "measured"].sort_values("training_speakers")
        style: dict[str, Any] = {"color": look.colour, "lw": 1.4}
        ahead = line[line.training_speakers >= line.training_speakers[line.kind == "fitted"].max()]
        inside = line[line.kind == "fitted"]
        axes.plot(inside.training_speakers, 100 * inside.balanced_accuracy, **style)
        axes.plot(ahead.training_speakers, 100 * ahead.balanced_accuracy, ls="--", **style)
        axes.fill_between(line.training_speakers, 100 * line.low, 100 * line.high, color=look.colour, alpha=0.13, lw=0)
        spread = [100 * (measured.balanced_accuracy - measured.low), 100 * (measured.high - measured.balanced_accuracy)]
        axes.errorbar(
            measured.training_speakers,
            100 * measured.balanced_accuracy,
            yerr=spread,
            fmt=look.marker,
            color=look.colour,
            ms=6,
            lw=1.2,
            label=str(recipe).replace("_", " "),
        )
    axes.set_xscale("log", base=2)
    ticks = sorted(curves.training_speakers.unique())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(top=100)
    axes.grid(color=GRID, lw=0.6)
    axes.set_xlabel("training speakers; dashed: beyond what was trained")
    axes.set_ylabel("balanced accuracy (%)")
    axes.legend(loc="lower right")
