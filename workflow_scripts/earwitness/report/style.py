"""What all figures share: colours, type, names of systems, and files with reproducible bytes."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any
from zlib import crc32

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from earwitness.core.files import atomic
from earwitness.systems import BASE, UNNAMED_MODEL, System, leaks

WIDTH = 9.0
"""Inches; at the page's width one inch is about 100 pixels."""

PAPER, INK, MUTED, GRID, TINT, BAR = "#ffffff", "#222222", "#6b6b6b", "#d9d9d9", "#f6f6f6", "#929292"

LABEL_COLOURS = {"SPEECH": "#0072b2", "NONSPEECH": "#d55e00"}
LABEL_MARKERS = {"SPEECH": ".", "NONSPEECH": "x"}
"""Of single sources, so that grey tells the classes apart too."""
LABEL_NAMES = {"SPEECH": "speech", "NONSPEECH": "non-speech"}

GROUPS = ("base", "honest", "ensemble", "leaky", "encoder_probe", "detector")
"""Groups of systems, in the order of every table and figure."""

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


@dataclass(frozen=True)
class Look:
    """How one system is drawn in every figure: colour, marker and dashes each tell it from the others, so that no figure needs colour.

    glyph: the marker in text.
    """

    colour: str
    marker: Any
    dashes: Any
    glyph: str


_SOLID: Any = "-"
_LONG, _SHORT, _DOTTED, _MIXED = (0, (5, 1.5)), (0, (2, 1)), (0, (1, 1.2)), (0, (6, 1.5, 1.5, 1.5))
_BASE_LOOK = Look(INK, "o", _SOLID, "●")
_HONEST_LOOKS = (
    Look("#00795a", "s", _LONG, "■"),
    Look("#00737f", "h", _MIXED, "⬢"),
    Look("#4a7300", "H", _SHORT, "⬡"),
    Look("#2d6a4f", "s", _DOTTED, "■"),
)
_ENSEMBLE_LOOKS = {"mean": Look("#33691e", "*", _SHORT, "★"), "vote": Look("#556b2f", "p", _DOTTED, "⬟")}
_LEAKY_LOOKS = (
    Look("#a8437f", "P", _MIXED, "✚"),
    Look("#8b3a8f", "P", _SHORT, "✚"),
    Look("#a03050", "P", _LONG, "✚"),
    Look("#b0206a", "P", _DOTTED, "✚"),
)
_PROBE_LOOKS = {
    "tower_probe": Look("#6a3fa0", "D", _SHORT, "◆"),
    "untrained_probe": Look("#7d63b0", "d", _DOTTED, "◊"),
    "acoustics_probe": Look("#4b4f9e", "8", _MIXED, "⬣"),
}
_DETECTOR_LOOKS = {
    "silero": Look("#a15c00", "^", _LONG, "▲"),
    "webrtc": Look("#4f6d7a", "v", _SHORT, "▼"),
    "energy": Look("#7d4e3f", "X", _MIXED, "✖"),
    "firered": Look("#8a6d00", "<", _DOTTED, "◀"),
    "pyannote": Look("#9c4a1a", ">", _SHORT, "▶"),
}
_FURTHER_DETECTORS = (Look("#5f5a1e", "<", _LONG, "◀"), Look("#6b5a86", ">", _LONG, "▶"), Look("#4d6b4f", "v", _LONG, "▼"))

_MODEL_COLOURS = ("#0b6e99", "#9a3412", "#5b4bb0", "#3f6212", "#9d2f6f")
_MODEL_BASES = (
    ((4, 1, 0), _LONG, "✦"),
    ((6, 1, 0), _SHORT, "✶"),
    ((8, 1, 0), _DOTTED, "✸"),
    ((5, 1, 180), _MIXED, "☆"),
    ((5, 0, 0), (0, (8, 2)), "⬠"),
)
"""Of the models of a study that has several, after its first: the colour of all their systems, and how each is drawn as it is."""

_drawn_models: ContextVar[tuple[str, ...]] = ContextVar("drawn_models", default=())

_RECIPES = ("attention", "attention_mlp", "language_model", "published")
"""Recipes with a look of their own; others share these, told apart by name."""

CONDITION_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Of the conditions of anyone's own counts, one after another (Okabe and Ito 2008)."""

CONDITION_MARKERS = "os^Dv<"

PROPOSER_COLOURS = {"edits": "#7a6a00", "opro": "#9c2f4f", "paraphrases": "#5b6470"}

ON_DARK_CELL, ON_LIGHT_CELL, NO_CELL = "#fefefe", "#010101", "#f2f2f2"
"""Numbers on the cells of a heat map, and an untested cell: they keep their colours on dark paper, as the cells do."""


def system_group(system: System) -> str:
    """The group of GROUPS that a system is of: an adapter is honest or leaky by what it trained on, others by their kind."""
    if system.kind == "adapter":
        return "leaky" if leaks(system.split) else "honest"
    return system.kind


def look_of(system: System) -> Look:
    """The look of a system, the same in every figure whatever else is drawn there, and for all seeds and honest splits of a recipe.

    Of several models (`models_in`) the first looks as one alone does; each other has a colour of its own, and its base a marker too.
    """
    models = _drawn_models.get()
    place = models.index(system.model) if system.model in models else 0
    if not place:
        return _look_of_first(system)
    place = (place - 1) % len(_MODEL_COLOURS)
    if system.kind == "base":
        marker, dashes, glyph = _MODEL_BASES[place]
        return Look(_MODEL_COLOURS[place], marker, dashes, glyph)
    return replace(_look_of_first(system), colour=_MODEL_COLOURS[place])


def _look_of_first(system: System) -> Look:
    group = system_group(system)
    if group == "base":
        return _BASE_LOOK
    if group == "encoder_probe":
        return _PROBE_LOOKS[system.name]
    if group == "ensemble":
        return _ENSEMBLE_LOOKS[str(system.combination)]
    if group == "detector":
        return _DETECTOR_LOOKS.get(system.name) or _FURTHER_DETECTORS[crc32(system.name.encode()) % len(_FURTHER_DETECTORS)]
    looks = _LEAKY_LOOKS if group == "leaky" else _HONEST_LOOKS
    return looks[_RECIPES.index(system.name) if system.name in _RECIPES else crc32(system.name.encode()) % len(looks)]


def colour_of(system: System) -> str:
    """The colour of a system."""
    return look_of(system).colour


def recipe_name(system: System) -> str:
    """The recipe of an adapter or ensemble, to print."""
    return system.name.replace("_", " ")


def system_name(system: System) -> str:
    """The name to print; whatever trained on the leaky split says so, and of several models its own stands before."""
    if system.kind == "detector":
        return DETECTORS.get(system.name, system.name)
    model = model_name(system)
    if system.kind == "base":
        return f"{model or 'base model'}, zero-shot"
    name = f"{recipe_name(system)} adapter, {'leaky' if system.is_leaky else 'honest'} split"
    if system.kind == "encoder_probe":
        name = PROBE_NAMES[system.name]
    elif system.combination is not None:
        name = f"{recipe_name(system)} adapter, {COMBINATIONS[system.combination]}"
    return f"{model}: {name}" if model else name


def model_name(system: System) -> str:
    """The name of a system's model; "" where it needs none, since there is but the unnamed one."""
    return system.model if system.model != UNNAMED_MODEL or len(_drawn_models.get()) > 1 else ""


def wrapped_name(system: System, width: int) -> str:
    """`system_name` on lines of at most `width` characters, broken at its comma first."""
    return "\n".join(textwrap.fill(part, width) for part in system_name(system).replace(", ", ",\n").split("\n"))


def in_order(system_ids: Iterable[str]) -> list[System]:
    """Systems as every table and figure lists them: base, honest adapters, their ensembles, leaky adapters, encoder probes, detectors.

    system_ids: a result table's column, in which systems may recur.
    """
    known = [*PROBE_NAMES, *DETECTORS]

    def place(system: System) -> tuple[int, int, str]:
        return GROUPS.index(system_group(system)), known.index(system.name) if system.name in known else -1, str(system)

    return sorted(map(System.parse, set(system_ids)), key=place)


def models_of(system_ids: Iterable[str]) -> tuple[str, ...]:
    """The models of some systems, the unnamed one first, then by name.

    system_ids: a result table's column, in which systems may recur.
    """
    models = {system.model for system in map(System.parse, set(system_ids))} - {""}
    return tuple(sorted(models, key=lambda model: (model != UNNAMED_MODEL, model)))


@contextmanager
def models_in(system_ids: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Inside, systems are named and drawn as in a study of these systems' models, which it gives."""
    models = models_of(system_ids)
    before = _drawn_models.set(models)
    try:
        yield models
    finally:
        _drawn_models.reset(before)


def side_by_side(systems: Sequence[System], *kinds: str) -> list[System]:
    """Those of some systems that a figure shows: all of one model's; of several models detectors, and what is of these groups of GROUPS."""
    if len(_drawn_models.get()) < 2:
        return list(systems)
    return [system for system in systems if system_group(system) in ("detector", *kinds)]


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
def figure_style(system_ids: Iterable[str] = (str(BASE),)) -> Iterator[None]:
    """Draw and save inside this, whatever the user's matplotlibrc says.

    system_ids: the systems of the study, as a result table's column has them.
    """
    with models_in(system_ids), mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


LOOKS = (
    _BASE_LOOK,
    *_HONEST_LOOKS,
    *_ENSEMBLE_LOOKS.values(),
    *_LEAKY_LOOKS,
    *_PROBE_LOOKS.values(),
    *_DETECTOR_LOOKS.values(),
    *_FURTHER_DETECTORS,
)
"""Every look that a system of one model can have."""

ON_DARK_PAPER = {
    PAPER: "#16181b",
    INK: "#e6e6e6",
    MUTED: "#a5abb3",
    GRID: "#3a3f45",
    TINT: "#202327",
    BAR: "#8b9097",
    "#0072b2": "#5cb3ea",
    "#d55e00": "#ff9350",
    "#00795a": "#45c9a0",
    "#00737f": "#4fc3d0",
    "#4a7300": "#a3cf52",
    "#2d6a4f": "#7cc7a4",
    "#33691e": "#8fce72",
    "#556b2f": "#b9c98a",
    "#a8437f": "#ee8fc6",
    "#8b3a8f": "#d993de",
    "#a03050": "#f28ba8",
    "#b0206a": "#ff86bd",
    "#6a3fa0": "#b995ee",
    "#7d63b0": "#c8b5f0",
    "#4b4f9e": "#9ea3f2",
    "#a15c00": "#f0aa4b",
    "#4f6d7a": "#9dbccb",
    "#7d4e3f": "#d0a08e",
    "#8a6d00": "#d9bb45",
    "#9c4a1a": "#eb9a68",
    "#5f5a1e": "#c3bd77",
    "#6b5a86": "#b9a6dc",
    "#4d6b4f": "#9fc2a1",
    "#0b6e99": "#58b8e6",
    "#9a3412": "#f29a72",
    "#5b4bb0": "#b1a4f5",
    "#3f6212": "#a5cc6b",
    "#9d2f6f": "#ee8fc0",
    "#7a6a00": "#d3c04a",
    "#9c2f4f": "#f08aa6",
    "#5b6470": "#adb6c2",
}
"""Every colour of the figures, and what it is where the reader's screen is dark."""

_DARK_STYLE = (
    "<style>@media (prefers-color-scheme: dark) {"
    + "".join(
        f'[style*="{paint}: {light}"] {{ {paint}: {dark} !important }}' for light, dark in ON_DARK_PAPER.items() for paint in ("fill", "stroke")
    )
    + "}</style>"
)


def svg_of(figure: Figure) -> str:
    """The figure as SVG that turns dark where its reader's screen is."""
    drawn = StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None}, facecolor=PAPER)
    return re.sub(r"(<svg[^>]*>)", lambda opening: opening[1] + _DARK_STYLE, drawn.getvalue(), count=1)


def save_figure(figure: Figure, svg: Path, png: Path) -> None:
    """Write both files atomically; the same figure gives the same bytes."""
    with atomic(svg) as temporary:
        temporary.write_text(svg_of(figure), encoding="utf-8")
    with atomic(png) as temporary:
        figure.savefig(temporary, format="png", dpi=170, metadata={"Software": None}, facecolor=PAPER)
