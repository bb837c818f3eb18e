"""Psychometric functions of all systems: by duration, by SNR, d' and criterion, and accuracy by band and room."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETLEFT, CARETRIGHT

from earwitness.core.errors import InputError
from earwitness.report.conditions_figure import draw_conditions
from earwitness.report.style import (
    GRID,
    INK,
    MUTED,
    PAPER,
    WIDTH,
    Look,
    in_order,
    look_of,
    models_of,
    rows_of,
    system_group,
    system_name,
    wrapped_name,
)
from earwitness.report.threshold_text import interval_words, threshold_words
from earwitness.systems import ACOUSTICS_PROBE, BASE, TOWER_PROBE, UNTRAINED_PROBE, System

_TARGET = 75.0
_MINUS = "\N{MINUS SIGN}"
_NOTE: dict[str, Any] = {"fontsize": 8, "color": MUTED, "bbox": {"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 1}}


@dataclass(frozen=True)
class PsychometricTables:
    """What the figures show: tables of earwitness.tables.psychometrics.POINTS, CURVES and THRESHOLDS, and the numbers that the published
    study stated, by claim."""

    points: pd.DataFrame
    curves: pd.DataFrame
    thresholds: pd.DataFrame
    published: Mapping[str, str]

    @property
    def panels(self) -> dict[str, "PsychometricTables"]:
        """Title -> what one panel overlays, without the controls of the encoder probe, which have a figure of their own: of one model all
        without a title; of several each as it is, with the detectors, and then, where they were asked, their honest adapters."""
        if len(models_of(self.points.system_id)) < 2:
            controls = (UNTRAINED_PROBE.name, ACOUSTICS_PROBE.name)
            return {"": self.only([system for system in self.systems if system.kind != "encoder_probe" or system.name not in controls])}
        groups = {"as they are": ("base", "detector"), "fine-tuned": ("honest",)}
        panels = {title: self.only([system for system in self.systems if system_group(system) in kinds]) for title, kinds in groups.items()}
        return {title: tables for title, tables in panels.items() if len(tables.points)}

    @property
    def overlaid(self) -> "PsychometricTables":
        """What the panels show, together."""
        return self.only([system for tables in self.panels.values() for system in tables.systems])

    def only(self, systems: Sequence[System]) -> "PsychometricTables":
        """The rows of some systems."""
        names = set(map(str, systems))
        points, curves, thresholds = (table[table.system_id.isin(names)] for table in (self.points, self.curves, self.thresholds))
        return PsychometricTables(points, curves, thresholds, self.published)

    @property
    def systems(self) -> list[System]:
        return in_order(self.points.system_id)

    @property
    def looks(self) -> dict[System, Look]:
        return {system: look_of(system) for system in self.systems}


def draw_duration_curves(tables: PsychometricTables) -> Figure:
    """Balanced accuracy by duration with fitted curves; below, every system's threshold with its interval.

    Raises InputError where no system was tested at several durations without noise.
    """
    panels, tables = tables.panels, tables.overlaid
    points = tables.points[(tables.points.design == "grid") & (tables.points.axis == "duration")]
    if points.empty:
        raise InputError("table points: no duration axis; run fit_psychometrics again")
    thresholds = tables.thresholds[(tables.thresholds.axis == "duration") & (tables.thresholds.measure == "balanced_accuracy")]
    systems = tables.systems
    most_lines = max(_short(system).count("\n") + 1 for system in systems)
    strip = len(systems) * (0.2 + 0.13 * most_lines)
    figure = Figure(figsize=(WIDTH, 1.0 + 4.0 * len(panels) + strip), layout="constrained")
    *above, bottom = figure.subplots(len(panels) + 1, 1, sharex=True, height_ratios=[*[4] * len(panels), strip])
    bottom.set_xscale("log")
    for axes, (title, shown) in zip(above, panels.items(), strict=True):
        own = points[points.system_id.isin(shown.points.system_id)]
        _draw_proportions(axes, shown, own, _curves(shown, "duration", "balanced_accuracy"), "duration_ms")
        axes.set_ylabel("balanced accuracy (%)")
        axes.set_title(title)
    _draw_thresholds(bottom, tables, thresholds)
    _level_ticks(bottom, sorted(points.duration_ms.unique()))
    bottom.set_xlabel("duration (ms), logarithmic")
    bottom.set_title("duration at 75 % balanced accuracy, with interval clustered by source", loc="left", fontsize=9, fontweight="normal")
    if (stated := tables.published.get("dt75")) is not None:
        for axes in (*above, bottom):
            axes.axvline(float(stated), color=MUTED, lw=0.8, ls=(0, (1, 2)))
        _note(above[0], (float(stated), 0.995), f"published: {stated} ms", "top", above[0].get_xaxis_transform())
    return figure


def draw_snr_curves(tables: PsychometricTables) -> Figure:
    """Balanced accuracy by SNR, a panel per duration of the stratified set; of several models one as they are and one fine-tuned.

    Raises InputError where there is no stratified set.
    """
    groups, tables = tables.panels, tables.overlaid
    points = tables.points[tables.points.design == "factorial"]
    if points.empty:
        raise InputError("table points: no stratified set; run fit_psychometrics again")
    shown = [(duration, *group) for duration in sorted(points.duration_ms.unique()) for group in groups.items()]
    columns = min(2, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(WIDTH, 3.0 * lines + 0.28 * -(-len(tables.systems) // 3)), layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).flat)
    for number, (axes, (duration, title, group)) in enumerate(zip(panels, shown, strict=False)):
        own = points[(points.duration_ms == duration) & points.system_id.isin(group.points.system_id)]
        curves = _curves(group, "snr", "balanced_accuracy")
        _draw_proportions(axes, group, own, curves[(curves.design == "factorial") & (curves.held_duration_ms == duration)], "snr_db")
        axes.set_title(f"{duration} ms" + (f", {title}" if title else ""))
        stated = tables.published.get(f"snr75_{duration}")
        if stated is not None:
            _mark_published(axes, stated, float(points.snr_db.max()))
        if number % columns == 0:
            axes.set_ylabel("balanced accuracy (%)")
        if number + columns >= len(shown):
            axes.set_xlabel("SNR (dB)")
            axes.tick_params(labelbottom=True)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    _legend(figure, tables)
    return figure


def draw_sensitivity(tables: PsychometricTables) -> Figure:
    """d' (above) and criterion (below), by duration without noise (left) and by SNR at the longest stratified duration (right); of several
    models first as they are, then fine-tuned.

    Raises InputError where neither was tested.
    """
    groups, tables = tables.panels, tables.overlaid
    noisy = tables.points[tables.points.design == "factorial"]
    longest = int(noisy.duration_ms.max()) if len(noisy) else 0
    sides = {
        "duration_ms": tables.points[(tables.points.design == "grid") & (tables.points.axis == "duration")],
        "snr_db": noisy[noisy.duration_ms == longest],
    }
    shown = {level: rows for level, rows in sides.items() if len(rows)}
    if not shown:
        raise InputError("table points: neither a duration axis nor a stratified set; run fit_psychometrics again")
    figure = Figure(figsize=(WIDTH, 6.2 * len(groups) + 0.28 * -(-len(tables.systems) // 3)), layout="constrained")
    grid = figure.subplots(2 * len(groups), len(shown), squeeze=False, sharex="col", sharey="row")
    for line, (title, group) in enumerate(groups.items()):
        curves = {"duration_ms": _curves(group, "duration", "d_prime"), "snr_db": _curves(group, "snr", "d_prime")}
        curves["snr_db"] = curves["snr_db"][(curves["snr_db"].design == "factorial") & (curves["snr_db"].held_duration_ms == longest)]
        for column, (level, rows) in enumerate(shown.items()):
            above, below = grid[2 * line : 2 * line + 2, column]
            _draw_sensitivity(above, below, group, rows[rows.system_id.isin(group.points.system_id)], curves[level], level)
            where = "by duration, no noise" if level == "duration_ms" else f"by SNR at {longest} ms"
            above.set_title(f"{title}, {where}" if title else where)
        grid[2 * line, 0].set_ylabel("sensitivity d′")
        grid[2 * line + 1, 0].set_ylabel("criterion c\n(above 0: says speech too rarely)")
        last, place = grid[2 * line, -1], (1, 1.349)
        last.annotate(
            "75 %\nif unbiased", place, xycoords=last.get_yaxis_transform(), xytext=(4, 0), textcoords="offset points", **_NOTE, va="center"
        )
    for axes, (level, rows) in zip(grid[-1], shown.items(), strict=True):
        if level == "duration_ms":
            axes.set_xscale("log")
        _level_ticks(axes, sorted(rows[level].unique()))
        axes.set_xlabel("duration (ms)" if level == "duration_ms" else "SNR (dB)")
    _legend(figure, tables)
    return figure


def _draw_sensitivity(above: Axes, below: Axes, tables: PsychometricTables, points: pd.DataFrame, curves: pd.DataFrame, level: str) -> None:
    """d' with its fitted curves, and below it the criterion."""
    for name, axes in (("d_prime", above), ("criterion", below)):
        for system, look, shift in _dodged(tables, points[level], level == "duration_ms"):
            own = points[points.system_id == str(system)].sort_values(level)
            _draw_points(axes, shift(own[level]), own[name], own[f"{name}_low"], own[f"{name}_high"], look)
            if name == "criterion":
                axes.plot(shift(own[level]), own[name], color=look.colour, ls=look.dashes, lw=1)
    for system, look in tables.looks.items():
        line = curves[curves.system_id == str(system)]
        above.plot(line.level, line.fitted, color=look.colour, ls=look.dashes, lw=1.4)
    above.axhline(1.349, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    below.axhline(0, color=MUTED, lw=0.8, ls=(0, (4, 3)))


def draw_bands_and_rooms(tables: PsychometricTables) -> Figure:
    """Balanced accuracy of the full-length stimuli by band limit and by room, beside the unmodified reference; of several models first as
    they are, then fine-tuned.

    Raises InputError where none of these was tested.
    """
    groups, tables = tables.panels, tables.overlaid
    points = tables.points[(tables.points.design == "grid") & tables.points.axis.isin(["reference", "band", "room"])]
    if points.empty:
        raise InputError("table points: no reference, band or room; run fit_psychometrics again")
    labels = points.apply(_condition_label, axis=1)
    places = {label: place for place, label in enumerate(dict.fromkeys(label for label in _CONDITION_ORDER if label in set(labels)))}
    places |= {label: len(places) + k for k, label in enumerate(sorted(set(labels) - set(places)))}
    figure = Figure(figsize=(WIDTH, 4.2 * len(groups) + 0.28 * -(-len(tables.systems) // 3)), layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    for axes, (title, group) in zip(panels, groups.items(), strict=True):
        width = 0.76 / max(1, len(group.systems))
        for number, (system, look) in enumerate(group.looks.items()):
            own = points[points.system_id == str(system)]
            x = labels[own.index].map(places) + (number - (len(group.systems) - 1) / 2) * width
            _draw_points(axes, x, 100 * own.balanced_accuracy, 100 * own.low, 100 * own.high, look)
        for edge in range(1, len(places)):
            axes.axvline(edge - 0.5, color=GRID, lw=0.6)
        axes.axhline(50, color=MUTED, lw=0.8, ls=(0, (4, 3)))
        axes.set_ylabel("balanced accuracy (%)")
        axes.tick_params(axis="x", length=0)
        axes.set_title(title)
    first = panels[0]
    _note(first, (0.003, 50), "chance", "bottom", first.get_yaxis_transform())
    if (stated := tables.published.get("zero_shot_accuracy")) is not None:
        first.axhline(float(stated), color=MUTED, lw=0.8, ls=(0, (1, 2)))
        first.text(
            1.005,
            float(stated),
            f"published\nbaseline,\nall conditions:\n{stated} %",
            transform=first.get_yaxis_transform(),
            **_NOTE,
            va="center",
        )
    first.set_xticks(list(places.values()), list(places))
    first.set_xlim(-0.5, len(places) - 0.5)
    first.set_ylim(min(45.0, 100 * float(points.low.min(skipna=True)) - 2 if points.low.notna().any() else 45.0), 102)
    _legend(figure, tables)
    return figure


def draw_duration_by_snr(tables: PsychometricTables) -> Figure:
    """Heat maps of balanced accuracy by duration and SNR of the stratified set, a panel per system.

    Raises InputError where there is no stratified set.
    """
    rows = tables.points[tables.points.design == "factorial"]
    if rows.empty:
        raise InputError("table points: no stratified set; run fit_psychometrics again")
    return draw_conditions(rows[["system_id", "duration_ms", "snr_db", "balanced_accuracy"]].assign(test_set="unseen"))


def draw_hearing_and_saying(tables: PsychometricTables) -> Figure:
    """Balanced accuracy of the base and of the encoder probes, by duration without noise, and by SNR at the longest stratified duration.

    Of several models without the controls.

    Raises InputError where neither was tested.
    """
    heard = [system for system in in_order(tables.points.system_id) if system.kind in ("base", "encoder_probe")]
    several = len(models_of(map(str, heard))) > 1
    tables = tables.only([system for system in heard if not several or system.name in (BASE.name, TOWER_PROBE.name)])
    noisy = tables.points[tables.points.design == "factorial"]
    longest = int(noisy.duration_ms.max()) if len(noisy) else 0
    curves = _curves(tables, "snr", "balanced_accuracy")
    sides = {
        "duration_ms": (
            tables.points[(tables.points.design == "grid") & (tables.points.axis == "duration")],
            _curves(tables, "duration", "balanced_accuracy"),
        ),
        "snr_db": (noisy[noisy.duration_ms == longest], curves[(curves.design == "factorial") & (curves.held_duration_ms == longest)]),
    }
    shown = {level: side for level, side in sides.items() if len(side[0])}
    if not shown:
        raise InputError("table points: neither a duration axis nor a stratified set; run fit_psychometrics again")
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    for axes, (level, (points, lines)) in zip(panels, shown.items(), strict=True):
        if level == "duration_ms":
            axes.set_xscale("log")
        _draw_proportions(axes, tables, points, lines, level)
        _level_ticks(axes, sorted(points[level].unique()))
        axes.axhline(50, color=MUTED, lw=0.8, ls=(0, (1, 2)))
        axes.set_title("by duration, no noise" if level == "duration_ms" else f"by SNR at {longest} ms")
        axes.set_xlabel("duration (ms), logarithmic" if level == "duration_ms" else "SNR (dB)")
    panels[0].set_ylabel("balanced accuracy (%)")
    _legend(figure, tables)
    return figure


FIGURES: dict[str, Callable[[PsychometricTables], Figure]] = {
    "duration_curves": draw_duration_curves,
    "snr_curves": draw_snr_curves,
    "sensitivity": draw_sensitivity,
    "bands_and_rooms": draw_bands_and_rooms,
    "duration_by_snr": draw_duration_by_snr,
    "hearing_and_saying": draw_hearing_and_saying,
}

_CONDITION_NAMES = {
    "reference": "unmodified",
    "telephone": "telephone\nband",
    "am_radio": "AM radio\nband",
    "clean": "full band",
    "anechoic": "anechoic\nroom",
    "small_room": "small\nroom",
    "large_hall": "large\nhall",
}
_CONDITION_ORDER = tuple(_CONDITION_NAMES.values())


def _condition_label(row: Any) -> str:
    key = "reference" if row.axis == "reference" else row[row.axis]
    return _CONDITION_NAMES.get(key, key.replace("_", " "))


def _curves(tables: PsychometricTables, axis: str, measure: str) -> pd.DataFrame:
    return tables.curves[(tables.curves.axis == axis) & (tables.curves.measure == measure)]


def _draw_proportions(axes: Axes, tables: PsychometricTables, points: pd.DataFrame, curves: pd.DataFrame, level: str) -> None:
    """Raw points with intervals and fitted curves with bands, in per cent."""
    for system, look, shift in _dodged(tables, points[level], level == "duration_ms"):
        own = points[points.system_id == str(system)].sort_values(level)
        line = curves[curves.system_id == str(system)]
        axes.fill_between(line.level, 100 * line.low, 100 * line.high, color=look.colour, alpha=0.1, lw=0)
        axes.plot(line.level, 100 * line.fitted, color=look.colour, ls=look.dashes, lw=1.6)
        _draw_points(axes, shift(own[level]), 100 * own.balanced_accuracy, 100 * own.low, 100 * own.high, look)
    axes.axhline(_TARGET, color=MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.grid(axis="y", color=GRID, lw=0.6)
    axes.set_ylim(min(40.0, 100 * float(points.balanced_accuracy.min()) - 3), 102)
    if level == "snr_db":
        _level_ticks(axes, sorted(points[level].unique()))


def _draw_points(axes: Axes, x: pd.Series, values: pd.Series, low: pd.Series, high: pd.Series, look: Look) -> None:
    axes.vlines(x, low, high, color=look.colour, lw=0.9, alpha=0.6)
    axes.plot(x, values, marker=look.marker, color=look.colour, ms=4.5, mec=PAPER, mew=0.5, ls="")


def _dodged(tables: PsychometricTables, levels: pd.Series, logarithmic: bool) -> list[tuple[System, Look, Callable[[pd.Series], pd.Series]]]:
    """Every system with its look and how its points step aside so that intervals do not cover each other."""
    unique = np.sort(levels.unique().astype(float))
    places = np.log10(unique) if logarithmic else unique
    room = 0.5 * float(np.diff(places).min()) if len(places) > 1 else 0.0
    n_systems = len(tables.systems)
    steps = [(k - (n_systems - 1) / 2) / max(1, n_systems) * room for k in range(n_systems)]

    def moved(step: float) -> Callable[[pd.Series], pd.Series]:
        return lambda values: values * 10**step if logarithmic else values + step

    return [(system, look, moved(step)) for (system, look), step in zip(tables.looks.items(), steps, strict=True)]


def _draw_thresholds(axes: Axes, tables: PsychometricTables, thresholds: pd.DataFrame) -> None:
    systems = tables.systems
    for row in rows_of(thresholds):
        system = System.parse(row.system_id)
        look, place = tables.looks[system], systems.index(system)
        ends = np.clip([row.low, row.high], row.lowest_level, row.highest_level)
        if row.status in ("ok", "right_censored", "left_censored"):
            axes.plot(ends, [place, place], color=look.colour, lw=2.2, alpha=0.5, solid_capstyle="butt")
            for end, edge, arrow in ((row.low, row.lowest_level, CARETLEFT), (row.high, row.highest_level, CARETRIGHT)):
                if np.isinf(end):
                    axes.plot([edge], [place], arrow, color=look.colour, ms=6, mew=0)
        if row.status == "ok":
            axes.plot([row.threshold], [place], marker=look.marker, ls="", color=look.colour, ms=6.5, mec=PAPER, mew=0.7)
        axes.text(
            1.01, place, f"{threshold_words(row)} {interval_words(row)}".strip(), transform=axes.get_yaxis_transform(), fontsize=8.5, va="center"
        )
    axes.set_ylim(len(systems) - 0.5, -0.5)
    axes.set_yticks(range(len(systems)), [f"{tables.looks[system].glyph} {_short(system)}" for system in systems])
    for label, look in zip(axes.get_yticklabels(), tables.looks.values(), strict=True):
        label.set_color(look.colour)
        label.set_fontsize(8.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID, lw=0.6)


def _short(system: System) -> str:
    return wrapped_name(system, 34) if len(system_name(system)) > 34 else system_name(system)


def _level_ticks(axes: Axes, levels: Sequence[float]) -> None:
    """A tick at every level; of two that stand close to each other only the higher is labelled."""
    places = np.log10(levels) if axes.get_xscale() == "log" else np.array(levels)
    apart = [*np.diff(places), np.inf] > 0.07 * (places[-1] - places[0])
    axes.set_xticks(levels, [f"{level:g}".replace("-", _MINUS) if clear else "" for level, clear in zip(levels, apart, strict=True)])
    axes.xaxis.minorticks_off()


def _mark_published(axes: Axes, stated: str, highest: float) -> None:
    """A thin line at a stated SNR, or a note with an arrow to the right where it was only bounded."""
    text = "published: " + stated.replace("-", _MINUS) + " dB"
    if stated.startswith(">"):
        axes.annotate(
            text + " \N{RIGHTWARDS ARROW}",
            (1, 0),
            xycoords="axes fraction",
            xytext=(-3, 3),
            textcoords="offset points",
            ha="right",
            **_NOTE,
        )
        return
    axes.axvline(float(stated), color=MUTED, lw=0.8, ls=(0, (1, 2)))
    left = float(stated) > highest / 2
    place: dict[str, Any] = {"xytext": (-3 if left else 3, 3), "ha": "right" if left else "left"}
    axes.annotate(text, (float(stated), 0), xycoords=("data", "axes fraction"), textcoords="offset points", va="bottom", **_NOTE, **place)


def _note(axes: Axes, place: tuple[float, float], text: str, vertical: str, transform: Any) -> None:
    shift = (3, 2 if vertical == "bottom" else -2)
    axes.annotate(text, place, xycoords=transform, xytext=shift, textcoords="offset points", **_NOTE, va=vertical)


def _legend(figure: Figure, tables: PsychometricTables) -> None:
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, ls=look.dashes, ms=5, mec=PAPER, mew=0.5, label=system_name(system))
        for system, look in tables.looks.items()
    ]
    columns = 3 if max(len(system_name(system)) for system in tables.systems) < 36 else 2
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, handlelength=2.6, columnspacing=1.6, labelcolor=INK)
