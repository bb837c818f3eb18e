"""The prompt search in figures: its progress, what it gained on unseen sources, score by length, and where the gain lies."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from earwitness.report.conditions_figure import draw_heat_map
from earwitness.report.prompt_text import asked_name, proposer_name
from earwitness.report.style import GRID, INK, MUTED, PAPER, PROPOSER_COLOURS, WIDTH, rows_of
from earwitness.systems import System

_ORIGINS = {"initial": ("D", INK, "initial"), "direct": ("s", MUTED, "written by hand")}


@dataclass(frozen=True)
class PromptTables:
    """earwitness.tables.prompt_gains: PROMPT_GAINS, PROMPT_HISTORY and PROMPT_CONDITIONS."""

    gains: pd.DataFrame
    history: pd.DataFrame
    conditions: pd.DataFrame


def draw_progress(tables: PromptTables) -> Figure:
    """Gain on the search's stimuli of every question asked about all of them, and the best so far; a panel per system and proposer."""
    complete = _complete(tables.history)
    systems, names = list(complete.system_id.unique()), proposers(complete.proposer)
    figure = Figure(figsize=(WIDTH if len(names) > 1 else 6, 1 + 2.6 * len(systems)), layout="constrained")
    panels = figure.subplots(len(systems), len(names), squeeze=False, sharey=True, sharex=True)
    for system, line in zip(systems, panels, strict=True):
        for axes, name in zip(line, names, strict=True):
            gains = tables.gains[(tables.gains.system_id == system) & (tables.gains.proposer == name)]
            _draw_searches(axes, complete[(complete.system_id == system) & (complete.proposer == name)], gains, PROPOSER_COLOURS[name])
            axes.set_title(_titled(proposer_name(name), system, systems), color=PROPOSER_COLOURS[name])
        line[0].set_ylabel("gain over the initial question on\nthe search's stimuli (points)")
    for axes in panels[-1]:
        axes.set_xlabel("iteration")
    handles = [
        Line2D([], [], color=MUTED, marker="o", ls="", alpha=0.6, label="one question"),
        Line2D([], [], color=MUTED, lw=1.6, label="best so far, one search"),
        Line2D([], [], color=MUTED, lw=1.2, ls=(0, (4, 3)), label="expected if all questions were equally good"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3 if len(names) > 1 else 1)
    return figure


def _draw_searches(axes: Axes, rows: pd.DataFrame, gains: pd.DataFrame, colour: str) -> None:
    searched = rows[rows.origin == "searched"]
    axes.scatter(searched.iteration + _spread(searched.search_seed), 100 * searched.gain, s=22, color=colour, alpha=0.55, lw=0)
    for _, search in rows.groupby("search_seed"):
        best = search.groupby("iteration").gain.max().cummax()
        axes.step(best.index, 100 * best, where="post", color=colour, lw=1.6, alpha=0.8)
    expected = gains[gains.search_seed != "all"].search_optimism.mean()
    if np.isfinite(expected):
        axes.axhline(100 * expected, color=MUTED, lw=1.2, ls=(0, (4, 3)))
    axes.axhline(0, color=INK, lw=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=GRID, lw=0.6)


def draw_gains(tables: PromptTables) -> Figure:
    """What each chosen question gains on unseen sources with its interval, beside what the search and the choice saw."""
    systems = list(tables.gains.system_id.unique())
    rows = [
        row
        for system in systems
        for name in proposers(tables.gains.proposer)
        for row in rows_of(tables.gains[(tables.gains.system_id == system) & (tables.gains.proposer == name)])
    ]
    figure = Figure(figsize=(WIDTH, 1.5 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        colour, together = PROPOSER_COLOURS[row.proposer], row.search_seed == "all"
        if np.isfinite(row.low):
            axes.plot([100 * row.low, 100 * row.high], [place, place], color=colour, lw=3 if together else 1.6, solid_capstyle="butt")
        axes.plot(100 * row.difference, place, "o", color=colour, ms=9 if together else 6, zorder=3)
        axes.plot(100 * row.search_gain, place, "o", mfc=PAPER, mec=MUTED, ms=6, zorder=2)
        axes.plot(100 * row.development_gain, place, "s", mfc=PAPER, mec=MUTED, ms=5, zorder=2)
        axes.plot(100 * row.search_optimism, place, "|", color=MUTED, ms=12, mew=1.4)
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_yticks(range(len(rows)), [f"{_titled(proposer_name(r.proposer), r.system_id, systems)}, {_seed_words(r.search_seed)}" for r in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(PROPOSER_COLOURS[row.proposer])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("gain over the initial question (points of balanced accuracy)")
    axes.grid(axis="x", color=GRID, lw=0.6)
    handles = [
        Line2D([], [], color=INK, marker="o", lw=1.6, label="test sources, with interval"),
        Line2D([], [], mfc=PAPER, mec=MUTED, marker="s", ls="", label="development sources"),
        Line2D([], [], mfc=PAPER, mec=MUTED, marker="o", ls="", label="the search's stimuli"),
        Line2D([], [], color=MUTED, marker="|", ms=12, mew=1.4, ls="", label="expected there if all were equally good"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def draw_length(tables: PromptTables) -> Figure:
    """Gain on the search's stimuli against the length of the question, of those asked about all of them; a panel per system."""
    complete = _complete(tables.history)
    systems = list(complete.system_id.unique())
    figure = Figure(figsize=(6.6, 1 + 3.2 * len(systems)), layout="constrained")
    panels = figure.subplots(len(systems), 1, squeeze=False, sharex=True)[:, 0]
    for system, axes in zip(systems, panels, strict=True):
        asked = complete[complete.system_id == system]
        searched = asked[asked.origin == "searched"]
        for name in proposers(complete.proposer):
            rows = searched[searched.proposer == name]
            axes.scatter(rows.n_characters, 100 * rows.gain, s=26, color=PROPOSER_COLOURS[name], alpha=0.65, lw=0, label=proposer_name(name))
        for origin, (marker, colour, label) in _ORIGINS.items():
            rows = asked[asked.origin == origin]
            mean = rows.groupby(["question", "n_characters"], as_index=False).gain.mean()
            axes.scatter(mean.n_characters, 100 * mean.gain, s=34, marker=marker, color=colour, zorder=3, label=label)
        axes.axhline(0, color=INK, lw=0.8)
        axes.set_title(_titled("", system, systems))
        axes.set_ylabel("gain over the initial question on\nthe search's stimuli (points)")
        axes.grid(color=GRID, lw=0.6)
    panels[-1].set_xlabel("length of the question (characters)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def draw_conditions(tables: PromptTables) -> Figure:
    """Balanced accuracy on the test part by duration and SNR: the initial question, then the gain of each proposer's choices; a line per system."""
    wide = {
        key: rows.pivot_table(index="snr_db", columns="duration_ms", values="balanced_accuracy")
        for key, rows in tables.conditions.groupby(["system_id", "proposer"])
    }
    systems = list(tables.conditions.system_id.unique())
    names = proposers(name for name in tables.conditions.proposer if name != "-")
    gains = {(system, name): 100 * (wide[system, name] - wide[system, "-"]) for system in systems for name in names}
    most = max(1.0, *(float(np.nanmax(np.abs(gain.to_numpy()))) for gain in gains.values()))
    lowest = min(50.0, *(10 * np.floor(10 * wide[system, "-"].min().min()) for system in systems))
    width = {1: 7.2}.get(len(names), WIDTH)
    height = max(1.6, 0.34 * len(wide[systems[0], "-"]))
    figure = Figure(figsize=(width, 0.6 + len(systems) * (0.8 + height)), layout="constrained")
    panels = figure.subplots(len(systems), 1 + len(names), squeeze=False)
    for system, line in zip(systems, panels, strict=True):
        draw_heat_map(line[0], 100 * wide[system, "-"], Normalize(lowest, 100), 8.5)
        line[0].set_title(_titled("initial (%)", system, systems))
        line[0].set_ylabel("SNR (dB)")
        for axes, name in zip(line[1:], names, strict=True):
            draw_heat_map(axes, gains[system, name], Normalize(-most, most), 8.5, "RdBu", "{:+.1f}")
            axes.set_title(f"{proposer_name(name)}:\ngain (points)", color=PROPOSER_COLOURS[name])
            axes.tick_params(labelleft=False)
    for axes in panels[-1]:
        axes.set_xlabel("duration (ms)")
    return figure


FIGURES: dict[str, Callable[[PromptTables], Figure]] = {
    "prompt_progress": draw_progress,
    "prompt_gains": draw_gains,
    "prompt_length": draw_length,
    "prompt_conditions": draw_conditions,
}
"""Figure -> how it is drawn."""


def proposers(names: Iterable[str]) -> list[str]:
    """Each proposer once, the control last."""
    return sorted(set(names), key=list(PROPOSER_COLOURS).index)


def _complete(history: pd.DataFrame) -> pd.DataFrame:
    """The questions that were asked about all stimuli of their search."""
    return history[history.n_stimuli == history.groupby(["system_id", "proposer", "search_seed"]).n_stimuli.transform("max")]


def _titled(words: str, system: str, systems: Sequence[str]) -> str:
    """The words, after the system's name where there are several."""
    return words if len(systems) == 1 else "\n".join(filter(None, [asked_name(System.parse(system)), words]))


def _spread(seeds: pd.Series) -> pd.Series:
    """Small shifts that keep searches apart."""
    order = pd.factorize(seeds, sort=True)[0]
    return pd.Series(0.24 * (order - order.mean()) / max(1, order.max()) if len(order) else 0.0, index=seeds.index)


def _seed_words(seed: str) -> str:
    return "all searches" if seed == "all" else f"search {seed}"
