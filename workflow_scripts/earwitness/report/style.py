"""What all figures share: colours, type, names of systems, and files with reproducible bytes."""

import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from earwitness.core.files import atomic
from earwitness.systems import System

WIDTH = 9.0
"""Inches; at the page's width one inch is about 100 pixels."""

INK, MUTED, GRID = "#222222", "#6b6b6b", "#d9d9d9"

LABEL_COLOURS = {"SPEECH": "#0072b2", "NONSPEECH": "#d55e00"}
LABEL_NAMES = {"SPEECH": "speech", "NONSPEECH": "non-speech"}
GROUP_COLOURS = {"base": "#222222", "honest": "#00795a", "ensemble": "#7a5200", "leaky": "#a8437f", "encoder_probe": "#0062a0", "detector": "#6b6b6b"}
"""Shades of the Okabe-Ito palette, dark enough to read as text on white."""

DETECTORS = {
    "silero": "Silero VAD",
    "webrtc": "WebRTC VAD",
    "energy": "energy detector",
    "firered": "FireRedVAD",
    "pyannote": "pyannote segmentation",
}
PROBE_NAMES = {
    "tower_probe": "readout of the ear",
    "untrained_probe": "readout of an untrained ear",
    "acoustics_probe": "readout of level and bandwidth",
}
COMBINATIONS = {"vote": "majority of seeds", "mean": "mean of seeds"}

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "svg.hashsalt": "earwitness",
    "svg.fonttype": "path",
}


def system_group(system: System) -> str:
    """The group that shares a colour: base, honest (adapters), ensemble, leaky (adapters), encoder probe, or detector."""
    if system.kind == "adapter":
        return "leaky" if system.is_leaky else "honest"
    return system.kind


def colour_of(system: System) -> str:
    """The colour of a system's group."""
    return GROUP_COLOURS[system_group(system)]


def recipe_name(system: System) -> str:
    """The recipe of an adapter or ensemble, to print."""
    return system.name.replace("_", " ")


def system_name(system: System) -> str:
    """The name to print; whatever trained on the leaky split says so."""
    if system.kind == "base":
        return "base model, zero-shot"
    if system.kind == "encoder_probe":
        return PROBE_NAMES[system.name]
    if system.kind == "detector":
        return DETECTORS.get(system.name, system.name)
    if system.combination is not None:
        return f"{recipe_name(system)} adapter, {COMBINATIONS[system.combination]}"
    return f"{recipe_name(system)} adapter, {'leaky' if system.is_leaky else 'honest'} split"


def wrapped_name(system: System, width: int) -> str:
    """`system_name` on lines of at most `width` characters, broken at its comma first."""
    return "\n".join(textwrap.fill(part, width) for part in system_name(system).replace(", ", ",\n").split("\n"))


def in_order(system_ids: Iterable[str]) -> list[System]:
    """Systems as every table and figure lists them: base, honest adapters, their ensembles, leaky adapters, encoder probes, detectors.

    system_ids: a result table's column, in which systems may recur.
    """
    groups, known = list(GROUP_COLOURS), [*PROBE_NAMES, *DETECTORS]

    def place(system: System) -> tuple[int, int, str]:
        return groups.index(system_group(system)), known.index(system.name) if system.name in known else -1, str(system)

    return sorted(map(System.parse, set(system_ids)), key=place)


def headline(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per system of a table with `system_id` and `seed`: all seeds together, or the only row where nothing was trained.

    Where a system has neither, its first seed stands for it.
    """
    rank = rows.seed.map({"all": 0, "-": 1}).fillna(2)
    return rows.assign(_rank=rank).sort_values(["_rank", "seed"], kind="stable").drop_duplicates("system_id").drop(columns="_rank")


def rows_of(table: pd.DataFrame) -> list[Any]:
    """The rows as named tuples."""
    return list(table.itertuples(index=False))


def without_value(value: Any) -> bool:
    """Whether a table's cell is empty."""
    return value is None or bool(pd.isna(value))


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw and save inside this, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def save_figure(figure: Figure, svg: Path, png: Path) -> None:
    """Write both files atomically; the same figure gives the same bytes."""
    with atomic(svg) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    with atomic(png) as temporary:
        figure.savefig(temporary, format="png", dpi=170, metadata={"Software": None}, facecolor="white")
