from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import psychometric_examples as examples
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from earwitness.core.errors import InputError
from earwitness.evaluation.claims import load_claims
from earwitness.plan.figure_names import BASELINE_FIGURES
from earwitness.report.psychometric_figures import FIGURES, PsychometricTables
from earwitness.report.style import figure_style, save_figure
from earwitness.report.threshold_text import base_sentence, interval_words, threshold_rows, threshold_words
from earwitness.systems import PROBES, System

PUBLISHED = load_claims(Path(__file__).parents[2] / "config" / "claims.yaml").published
LONG_NAMES = {"base": "attention_and_mlp_of_a_long_name_1-grouped", "silero": "attention_and_mlp_of_a_long_name_2-grouped"}


def tables(renamed=None):
    points, curves, thresholds = examples.study()
    if renamed:
        more = [
            pd.concat([table, table[table.system_id.isin(renamed)].replace({"system_id": renamed})], ignore_index=True)
            for table in (points, curves, thresholds)
        ]
        points, curves, thresholds = more
    return PsychometricTables(points, curves, thresholds, PUBLISHED)


def drawn(name, given):
    with figure_style():
        figure = FIGURES[name](given)
        figure.draw_without_rendering()
    return figure


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_the_page_and_the_program_know_the_same_figures():
    assert tuple(FIGURES) == BASELINE_FIGURES


@pytest.mark.parametrize("name", [name if name == "duration_curves" else pytest.param(name, marks=pytest.mark.slow) for name in FIGURES])
def test_the_same_tables_give_the_same_bytes(tmp_path, name):
    for copy in ("a", "b"):
        with figure_style():
            save_figure(FIGURES[name](tables()), tmp_path / f"{copy}.svg", tmp_path / f"{copy}.png")
    for suffix in (".svg", ".png"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    ElementTree.parse(tmp_path / "a.svg")


@pytest.mark.parametrize("name", FIGURES)
def test_every_system_and_unit_is_named_also_with_long_names_and_nothing_leaves_the_figure(name):
    figure = drawn(name, tables(LONG_NAMES))
    text = " ".join(texts(figure).split())
    heard = ("base model, zero-shot", "readout of the ear", "readout of an untrained ear", "readout of level and bandwidth")
    overlaid = ("base model, zero-shot", "attention adapter, honest split", "readout of the ear", "Silero VAD", "energy detector", "long name 2")
    for label in heard if name == "hearing_and_saying" else overlaid:
        assert label in text
    assert ("untrained ear" in text) == (name in ("hearing_and_saying", "duration_by_snr"))
    assert "(%)" in text or "d′" in text
    for other in figure.findobj(Text):
        if other.get_text() and other.get_visible():
            box = other.get_window_extent()
            assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1, other.get_text()


def test_systems_differ_in_more_than_colour():
    looks = list(tables(LONG_NAMES).looks.values())
    assert len({look.colour for look in looks}) == len(looks)
    assert len({(look.marker, str(look.dashes)) for look in looks}) == len(looks)


def test_published_values_are_marked_and_called_published():
    assert "published: 35 ms" in texts(drawn("duration_curves", tables()))
    snr = texts(drawn("snr_curves", tables()))
    assert "published: −3 dB" in snr and "published: 16 dB" in snr and "published: > 20 dB" in snr
    assert "89.1 %" in texts(drawn("bands_and_rooms", tables()))


def test_a_curve_without_threshold_is_not_drawn_but_its_points_are():
    given = tables()
    flat = given.thresholds[(given.thresholds.system_id == "energy") & (given.thresholds.axis == "duration")]
    assert set(flat.status) <= {"flat", "undecided"}
    assert given.curves[(given.curves.system_id == "energy") & (given.curves.axis == "duration")].empty
    top = drawn("duration_curves", given).axes[0]
    markers = {line.get_marker() for line in top.get_lines()}
    assert given.overlaid.looks[System("detector", "energy")].marker in markers


@pytest.mark.parametrize(("name", "message"), [("duration_curves", "no duration axis"), ("snr_curves", "no stratified set")])
def test_a_table_without_the_axis_is_refused(name, message):
    given = tables()
    reference = given.points[given.points.axis == "reference"]
    with pytest.raises(InputError, match=message):
        FIGURES[name](PsychometricTables(reference, given.curves, given.thresholds, PUBLISHED))


def row(**changes):
    values = {"axis": "duration", "status": "ok", "threshold": 57.3, "low": 49.0, "high": 65.2, "lowest_level": 20.0, "highest_level": 1000.0}
    return next(pd.DataFrame([values | changes]).itertuples())


@pytest.mark.parametrize(
    ("changes", "value", "interval"),
    [
        ({}, "57 ms", "[49, 65]"),
        ({"high": np.inf}, "57 ms", "[49, > 1000]"),
        ({"status": "right_censored", "threshold": np.inf, "low": 700.0, "high": np.inf}, "> 1000 ms", "[700, > 1000]"),
        ({"status": "left_censored", "threshold": -np.inf, "low": -np.inf, "high": 31.0}, "< 20 ms", "[< 20, 31]"),
        ({"status": "never", "threshold": np.nan, "low": np.nan, "high": np.nan}, "never: levels off below the target", ""),
        ({"status": "flat", "threshold": np.nan, "low": np.nan, "high": np.nan}, "none: does not rise", ""),
        ({"status": "undecided", "threshold": np.nan, "low": np.nan, "high": np.nan}, "undecided: too few answers", ""),
        ({"axis": "snr", "threshold": -2.25, "low": -4.5, "high": 0.0}, "−2.2 dB", "[−4.5, 0]"),
    ],
)
def test_thresholds_read_as_numbers_limits_or_reasons(changes, value, interval):
    plain = [text.replace("\N{NO-BREAK SPACE}", " ") for text in (threshold_words(row(**changes)), interval_words(row(**changes)))]
    assert plain == [value, interval]


def test_a_curve_without_a_threshold_is_named_apart_from_those_that_have_one():
    def shown(curve, value, interval):
        return {"system_id": "base", "curve": curve, "measures": [{"value": value, "interval": interval}]}

    rows = [
        shown("duration, no noise", "45 ms", "[20, 90]"),
        shown("SNR at 80 ms", "undecided: too few answers", ""),
        shown("SNR at 1000 ms, grid", "1", ""),
    ]
    assert base_sentence(rows) == (
        "The base gets there at 45 ms [20, 90] (duration, no noise). The base has no threshold at 80 ms (undecided: too few answers)."
    )
    assert base_sentence(rows[1:]) == "The base has no threshold at 80 ms (undecided: too few answers)."


def test_the_pages_table_has_a_row_per_system_and_curve():
    rows = threshold_rows(tables().thresholds)
    assert len(rows) == len(examples.OBSERVERS) * 6
    shown = ["base", "attention-grouped", *PROBES, "silero", "energy"]
    assert [each["system_id"] for each in rows[::6]] == shown
    assert all(len(each["measures"]) == 2 for each in rows)
