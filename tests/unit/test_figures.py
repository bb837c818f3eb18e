import struct
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import report_examples as examples
from matplotlib.figure import Figure
from matplotlib.text import Text

from earwitness.core.errors import InputError
from earwitness.evaluation.claims import load_claims
from earwitness.report.accuracy_figure import draw_accuracy
from earwitness.report.conditions_figure import draw_conditions
from earwitness.report.efficiency_figure import draw_efficiency
from earwitness.report.experiment_figure import draw_experiment
from earwitness.report.leakage_figure import draw_leakage, published_drops
from earwitness.report.phases_figure import draw_phases
from earwitness.report.reliability_figure import draw_reliability
from earwitness.report.style import LABEL_MARKERS, colour_of, figure_style, headline, in_order, save_figure, system_name
from earwitness.report.test_sizes_figure import draw_test_sizes
from earwitness.report.training_figure import draw_training, read_histories
from earwitness.systems import System

PUBLISHED = load_claims(Path(__file__).parents[2] / "config" / "claims.yaml").published
FEW = ("base", "attention-row_random", "silero")
MANY = (
    "base",
    *[f"attention_and_mlp_of_a_long_name_{k}-{split}" for k in range(4) for split in ("grouped", "row_random")],
    "silero",
    "webrtc",
    "energy",
)


def recipes_of(systems):
    """As many recipes as systems, with names as long."""
    return [name.replace("-", "_") for name in systems]


def accuracy_figure(systems=examples.SYSTEMS, **options):
    return draw_accuracy(examples.accuracy(systems, **options), examples.sources(systems))


def leakage_figure(systems=examples.SYSTEMS, **options):
    return draw_leakage(examples.leakage(systems), examples.accuracy(systems, **options), examples.sources(systems), PUBLISHED)


def phases_figure(systems=examples.SYSTEMS, **options):
    return draw_phases(examples.phases(systems), examples.accuracy(systems, **options), examples.sources(systems))


def reliability_figure(systems=examples.SYSTEMS):
    return draw_reliability(examples.reliability(systems), examples.calibration(systems), examples.calibration_fits(systems))


FIGURES: dict[str, Callable[[], Figure]] = {
    "accuracy": lambda: accuracy_figure(FEW),
    "conditions": lambda: draw_conditions(examples.conditions(FEW)),
    "leakage": lambda: leakage_figure(FEW),
    "phases": lambda: phases_figure(("base", "attention-grouped", "attention-grouped+mean", "attention-row_random", "silero")),
    "reliability": lambda: reliability_figure(FEW),
    "training": lambda: draw_training(examples.histories()),
    "test_sizes": lambda: draw_test_sizes(examples.test_sizes()),
    "experiment": lambda: draw_experiment(examples.experiment(), examples.learning_curve()),
    "efficiency": lambda: draw_efficiency(examples.efficiency()),
}
FIGURES_OF_MANY: dict[str, Callable[[], Figure]] = {
    "accuracy of many": lambda: accuracy_figure(examples.SYSTEMS),
    "leakage of many": lambda: leakage_figure(examples.SYSTEMS, sources=3),
    "phases of many": lambda: phases_figure(examples.SYSTEMS, sources=3),
    "reliability of many": lambda: reliability_figure(examples.SYSTEMS),
    "test sizes of many": lambda: draw_test_sizes(examples.test_sizes(examples.SYSTEMS[:3])),
}


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("name", [name if name in ("accuracy", "training") else pytest.param(name, marks=pytest.mark.slow) for name in FIGURES])
def test_the_same_tables_give_the_same_bytes_and_a_png_of_150_dpi_or_more(tmp_path, name):
    for copy in ("a", "b"):
        with figure_style():
            figure = FIGURES[name]()
            save_figure(figure, tmp_path / f"{copy}.svg", tmp_path / f"{copy}.png")
    for suffix in (".svg", ".png"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    ElementTree.parse(tmp_path / "a.svg")
    png = (tmp_path / "a.png").read_bytes()
    assert struct.unpack(">I", png[16:20])[0] >= 150 * figure.get_figwidth()
    assert b"Software" not in png and b"<dc:date>" not in (tmp_path / "a.svg").read_bytes()


@pytest.mark.parametrize("systems", [pytest.param(("base",), marks=pytest.mark.slow, id="one"), pytest.param(MANY, id="twelve")])
@pytest.mark.parametrize(
    "draw",
    [
        accuracy_figure,
        leakage_figure,
        lambda systems: draw_conditions(examples.conditions(systems)),
        lambda systems: draw_test_sizes(examples.test_sizes([name for name in systems if name == "base" or "-" in name])),
        lambda systems: draw_experiment(examples.experiment(recipes_of(systems)), examples.learning_curve(recipes_of(systems)[:5])),
        lambda systems: draw_efficiency(examples.efficiency(recipes_of(systems))),
        phases_figure,
        reliability_figure,
    ],
    ids=["accuracy", "leakage", "conditions", "test_sizes", "experiment", "efficiency", "phases", "reliability"],
)
def test_nothing_leaves_the_figure(draw, systems):
    with figure_style():
        figure = draw(systems)
        figure.draw_without_rendering()
        drawn = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert drawn.x0 >= -0.01 and drawn.y0 >= -0.01 and drawn.x1 <= width + 0.01 and drawn.y1 <= height + 0.01


def test_accuracy_without_intervals_shows_estimates_and_no_nan():
    with figure_style():
        words = texts(accuracy_figure(intervals=False, sources=4))
    assert "80.0" in words and "descriptive only" in words and "nan" not in words.lower() and "[" not in words


def test_accuracy_labels_the_naive_interval_and_the_leaky_adapter():
    with figure_style():
        figure = accuracy_figure()
        words = texts(figure) + "".join(text.get_text() for text in figure.legends[0].get_texts())
    assert "assumes independent items" in words and "leaky split" in words


def test_accuracy_needs_rows_on_unseen_sources():
    table = examples.accuracy()
    with pytest.raises(InputError, match="unseen"):
        draw_accuracy(table[table.test_set != "unseen"], examples.sources())


def test_conditions_show_every_cell_on_one_scale_and_leave_untested_ones_empty():
    table = examples.conditions(("base", "silero"))
    table = table[~((table.system_id == "silero") & (table.duration_ms == 200))]
    with figure_style():
        figure = draw_conditions(table)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len({(image.norm.vmin, image.norm.vmax) for image in images}) == 1
    shown = [[text.get_text() for text in axes.texts] for axes in figure.axes if axes.images]
    assert len(shown[0]) == 9 and len(shown[1]) == 6 and "95" in shown[0]


def test_leakage_shows_the_published_drop_in_a_panel_of_its_own():
    with figure_style():
        figure = leakage_figure()
    ours, published = figure.axes
    assert "not comparable" in " ".join(published.get_title("left").split())
    assert {"99.0", "79.2", "95.8", "83.3"} <= {text.get_text() for text in published.texts}
    assert any(text.get_text().startswith("+8.0 points") for text in ours.texts)
    assert sum("leaky arm" in label.get_text() for label in ours.get_yticklabels()) == 3


def test_leakage_without_a_leaky_arm_says_so():
    with figure_style():
        assert "No leaky arm" in texts(leakage_figure(("base", "attention-grouped")))


def test_published_drops_are_read_from_the_ledger():
    assert published_drops(PUBLISHED) == {"attention only": (99.0, 79.2), "attention and MLP": (95.8, 83.3)}


def test_training_draws_every_seed_and_their_mean_for_every_arm():
    with figure_style():
        figure = draw_training(examples.histories())
    loss_axes = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in loss_axes] == ["attention adapter,\nhonest split", "attention adapter,\nleaky split"]
    for axes in loss_axes:
        thin = [line for line in axes.lines if line.get_linewidth() < 1]
        bold = [line for line in axes.lines if line.get_linewidth() > 2]
        assert len(thin) == len(examples.SEEDS) and len(bold) == 1
        np.testing.assert_allclose(bold[0].get_ydata(), np.mean([line.get_ydata() for line in thin], axis=0))


def test_histories_carry_the_adapter_that_they_were_given_with(tmp_path):
    path, system = tmp_path / "history.csv", System("adapter", "attention", "row_random", 42)
    path.write_text("step,loss,learning_rate,accuracy\n1,0.7,0.001,0.5\n")
    history = read_histories({system: path})
    assert history.loc[0, ["system_id", "seed", "loss"]].tolist() == ["attention-row_random", 42, 0.7]
    path.write_text("step,learning_rate\n1,0.001\n")
    with pytest.raises(InputError, match="no column loss"):
        read_histories({system: path})


def test_all_seeds_stand_for_an_adapter_and_a_lone_seed_for_itself():
    table = pd.DataFrame({"system_id": ["a-grouped", "a-grouped", "b-grouped", "base"], "seed": ["42", "all", "7", "-"]})
    assert dict(headline(table)[["system_id", "seed"]].itertuples(index=False)) == {"a-grouped": "all", "b-grouped": "7", "base": "-"}


def test_systems_are_listed_base_honest_ensembles_leaky_detectors_and_the_leaky_arm_is_named():
    names = ["base", "z-grouped", "z-grouped+mean", "b-row_random", "silero", "energy"]
    systems = in_order([*reversed(names), "base"])
    assert list(map(str, systems)) == names
    assert [system_name(system) for system in systems[1:4]] == ["z adapter, honest split", "z adapter, mean of seeds", "b adapter, leaky split"]
    assert system_name(System.parse("fire-red-vad")) == "fire-red-vad", "a detector that the library does not know keeps its own name"


@pytest.mark.parametrize("figure", [phases_figure, leakage_figure])
def test_too_few_sources_are_shown_as_dots_without_an_interval(figure):
    with figure_style():
        few, enough = figure(sources=3, intervals=True), figure(sources=14)

    def dots_and_bars(drawn: Figure) -> tuple[int, int]:
        lines = [line for axes in drawn.axes for line in axes.lines]
        purple = colour_of(System.parse("attention-row_random"))
        return sum(line.get_marker() in LABEL_MARKERS.values() for line in lines), sum(
            line.get_linewidth() >= 4 and line.get_color() == purple for line in lines
        )

    assert dots_and_bars(few)[0] > dots_and_bars(enough)[0] == 0
    assert dots_and_bars(few)[1] < dots_and_bars(enough)[1]


def test_the_leaky_arm_stands_in_the_first_figure_with_what_it_was_tested_on():
    with figure_style():
        words = texts(phases_figure(("base", "attention-grouped", "attention-row_random", "silero"), sources=3))
    assert "3 speakers and 3 sounds that it trained on" in words and "Silero VAD" in words and "base model, searched question" in words
