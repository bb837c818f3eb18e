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

WIDTH = 9.0
"""Inches; at the page's width one inch is about 100 pixels."""

INK, MUTED, GRID = "#222222", "#6b6b6b", "#d9d9d9"

LABEL_COLOURS = {"SPEECH": "#0072b2", "NONSPEECH": "#d55e00"}
LABEL_NAMES = {"SPEECH": "speech", "NONSPEECH": "non-speech"}
KIND_COLOURS = {"base": "#222222", "honest": "#00795a", "ensemble": "#7a5200", "leaky": "#a8437f", "detector": "#6b6b6b"}
"""Shades of the Okabe-Ito palette, dark enough to read as text on white."""

DETECTORS = {"silero": "Silero VAD", "webrtc": "WebRTC VAD", "energy": "energy detector"}
LEAKY_SPLIT = "row_random"
ENSEMBLES = {"vote": "majority of seeds", "mean": "mean of seeds"}

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


def system_kind(system_id: str) -> str:
    """Which group a system belongs to: base, honest, ensemble, leaky, or detector."""
    if system_id == "base":
        return "base"
    if system_id in DETECTORS or "-" not in system_id:
        return "detector"
    if "+" in system_id:
        return "ensemble"
    return "leaky" if system_id.endswith(f"-{LEAKY_SPLIT}") else "honest"


def recipe_of(system_id: str) -> str:
    """The recipe of an adapter's system_id, "<recipe>-<split>"."""
    return system_id.rpartition("-")[0]


def system_name(system_id: str) -> str:
    """The name to print; whatever trained on the leaky split says so."""
    kind = system_kind(system_id)
    if kind == "base":
        return "base model, zero-shot"
    if kind == "detector":
        return DETECTORS.get(system_id, system_id)
    recipe = recipe_of(system_id).replace("_", " ")
    if kind == "ensemble":
        return f"{recipe} adapter, {ENSEMBLES[system_id.partition('+')[2]]}"
    return f"{recipe} adapter, leaky split" if kind == "leaky" else f"{recipe} adapter, honest split"


def wrapped_name(system_id: str, width: int) -> str:
    """`system_name` on lines of at most `width` characters, broken at its comma first."""
    return "\n".join(textwrap.fill(part, width) for part in system_name(system_id).replace(", ", ",\n").split("\n"))


def in_order(system_ids: Iterable[str]) -> list[str]:
    """Systems as every table and figure lists them: base, honest adapters, their ensembles, leaky adapters, detectors."""
    kinds, detectors = list(KIND_COLOURS), list(DETECTORS)
    return sorted(set(system_ids), key=lambda name: (kinds.index(system_kind(name)), detectors.index(name) if name in detectors else -1, name))


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
