"""One colour and one marker per system in every figure, on light paper, on dark and in grey."""

import functools
import re
from pathlib import Path

import pytest
from draws_by_hand import drawn_by_hand
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from test_figures import FIGURES as STUDY_FIGURES
from test_figures import FIGURES_OF_MANY
from test_prompt_figures import tables as prompt_tables
from test_psychometric_figures import tables as psychometric_tables

from earwitness.report import style
from earwitness.report.draws_figure import draw_draws
from earwitness.report.prompt_figures import FIGURES as PROMPT_FIGURES
from earwitness.report.psychometric_figures import FIGURES as PSYCHOMETRIC_FIGURES
from earwitness.report.style import LOOKS, ON_DARK_PAPER, PAPER, figure_style, look_of, svg_of
from earwitness.systems import PROBES, System

MODULES = sorted(Path(style.__file__).parent.glob("*_figure*.py"))
ADAPTERS = ("attention-grouped", "attention-row_random", "attention-grouped+mean", "attention-grouped+vote")
KNOWN = ("base", *ADAPTERS, *PROBES, "silero", "webrtc", "energy", "firered", "pyannote")
DRAWN = {
    **STUDY_FIGURES,
    **FIGURES_OF_MANY,
    **{name: lambda draw=draw: draw(psychometric_tables()) for name, draw in PSYCHOMETRIC_FIGURES.items()},
    **{name: lambda draw=draw: draw(prompt_tables()) for name, draw in PROMPT_FIGURES.items()},
    "draws": lambda: draw_draws(drawn_by_hand(), {"version_3": "99"}),
}


@functools.cache
def drawn(name: str) -> Figure:
    with figure_style():
        return DRAWN[name]()


CELLS = {style.ON_DARK_CELL, style.ON_LIGHT_CELL, style.NO_CELL}


def contrast(colour: str, paper: str) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(text: str) -> float:
        channels = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(colour), luminance(paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_figure_module_is_drawn_here_and_takes_its_colours_from_the_one_that_decides():
    assert len(MODULES) >= 12
    for module in MODULES:
        own = re.findall(r'"(?:#[0-9a-fA-F]{3,8}|white|black|C\\d|tab:\\w+)"', module.read_text(encoding="utf-8"))
        assert not own, f"{module.name} chooses {own}"


def test_systems_of_one_study_differ_in_marker_so_that_grey_tells_them_apart():
    looks = [look_of(System.parse(name)) for name in KNOWN]
    assert len({look.marker for look in looks}) == len({look.colour for look in looks}) == len({look.glyph for look in looks}) == len(looks)
    honest = [look_of(System("adapter", name, "grouped")) for name in ("attention", "attention_mlp", "language_model")]
    assert len({(look.colour, look.marker) for look in honest}) == 3


@pytest.mark.parametrize("name", [*KNOWN, "fire-red-vad"])
def test_a_system_looks_the_same_for_every_seed_and_honest_split_and_in_any_company(name):
    system = System.parse(name)
    assert look_of(system) == look_of(system.of_all_seeds()) and look_of(system) in LOOKS
    if system.kind == "adapter":
        assert look_of(System("adapter", system.name, system.split, 42)) == look_of(system)
        assert look_of(System("adapter", "attention", "fold_3")) == look_of(System("adapter", "attention", "grouped"))
        assert look_of(System("adapter", "attention", "by_row_0")) == look_of(System("adapter", "attention", "row_random"))


@pytest.mark.parametrize("name", DRAWN)
def test_in_no_figure_has_a_system_anothers_colour_or_marker(name):
    figure = drawn(name)
    colours, pairs = {look.colour for look in LOOKS}, {(look.colour, look.marker) for look in LOOKS}
    markers = {look.marker for look in LOOKS}
    for axes in figure.axes:
        for line in axes.lines:
            colour = to_hex(line.get_markeredgecolor() if to_hex(line.get_markerfacecolor()) == PAPER else line.get_markerfacecolor())
            if line.get_marker() in markers and colour in colours and colour != style.INK:
                assert (colour, line.get_marker()) in pairs, f"{line.get_marker()} in {colour}"


@pytest.mark.parametrize(
    ("name", "systems"),
    [
        ("accuracy of many", ("base", "attention-grouped", "attention-row_random", "silero", "webrtc", "energy")),
        ("phases of many", ("base", "attention-grouped", "attention-row_random", "silero", "webrtc", "energy")),
        ("test sizes of many", ("base", "attention-grouped", "attention-row_random")),
        ("leakage of many", ("base", "attention-grouped", "attention-row_random")),
        ("reliability of many", ("attention-grouped", "silero", "webrtc", "energy")),
        ("experiment", ("attention-grouped", "attention-row_random", "attention_mlp-grouped", "language_model-grouped")),
        ("duration_curves", ("base", "attention-grouped", "tower_probe", "silero")),
        ("snr_curves", ("base", "attention-grouped", "tower_probe", "silero", "energy")),
        ("hearing_and_saying", ("base", "tower_probe", "untrained_probe", "acoustics_probe")),
        ("draws", ("attention-grouped", "attention-row_random")),
    ],
)
def test_every_system_is_drawn_in_its_own_look(name, systems):
    lines = [line for axes in drawn(name).axes for line in axes.lines]
    seen = {(to_hex(colour), line.get_marker()) for line in lines for colour in (line.get_markerfacecolor(), line.get_markeredgecolor())}
    for system in systems:
        look = look_of(System.parse(system))
        assert (look.colour, look.marker) in seen, system


@pytest.mark.parametrize("name", DRAWN)
def test_every_colour_of_a_figure_has_its_counterpart_on_dark_paper(name):
    with figure_style():
        svg = svg_of(drawn(name))
    assert "prefers-color-scheme: dark" in svg
    body = svg.split("</style>", 1)[1]
    maps = "conditions" in name or name == "duration_by_snr"
    used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", body)) - (CELLS if maps else set())
    assert used <= set(ON_DARK_PAPER), used - set(ON_DARK_PAPER)


def test_what_is_read_stands_out_from_light_and_from_dark_paper():
    faint = {PAPER, style.GRID, style.TINT, style.BAR, *style.LABEL_COLOURS.values()}
    for light, dark in ON_DARK_PAPER.items():
        if light not in faint:
            assert contrast(light, PAPER) >= 4.5, light
            assert contrast(dark, ON_DARK_PAPER[PAPER]) >= 4.5, dark
