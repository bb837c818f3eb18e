import pandas as pd
import pytest

from earwitness.report.experiment_figure import arm_name, draw_experiment
from earwitness.report.style import figure_style, look_of
from earwitness.systems import System
from earwitness.tables.experiments import EXPERIMENT, LEARNING_CURVE

ROWS = [
    ("a", "grouped", "unseen", "1", 0.80, 0.70, 0.90, 0.10),
    ("a", "grouped", "unseen", "2", 0.90, 0.85, 0.95, 0.20),
    ("a", "grouped", "unseen", "all", 0.85, 0.75, 0.95, 0.15),
    ("a", "row_random", "row_random", "1", 0.95, 0.90, 1.00, 0.25),
]
NO_CURVES = pd.DataFrame(columns=list(LEARNING_CURVE.columns))


def experiment():
    table = pd.DataFrame(ROWS, columns=["recipe", "split", "test_set", "seed", "balanced_accuracy", "low", "high", "gain"])
    return table.assign(n_speech_sources=7, n_nonspeech_sources=8, reliability="few_sources").reindex(columns=list(EXPERIMENT.columns))


def marks(axes, marker):
    return [(line.get_xdata().tolist(), line.get_ydata().tolist(), line.get_color()) for line in axes.lines if line.get_marker() == marker]


def test_every_arm_has_its_estimate_its_interval_its_seeds_and_the_base():
    with figure_style():
        [axes] = draw_experiment(experiment(), NO_CURVES).axes
    for place, (name, x) in enumerate({"a-grouped": 85, "a-row_random": 95}.items()):
        look = look_of(System.parse(name))
        assert marks(axes, look.marker) == [([x], [place], look.colour)], "all seeds stand for an arm"
    assert [x for x, _, _ in marks(axes, "o")] == [[pytest.approx(70)], [pytest.approx(70)]], "accuracy less gain is the base's"
    [(seeds, _, _)] = marks(axes, "|")
    assert seeds == [80, 90], "a lone seed has no mark of its own"
    bars = [line.get_xdata() for line in axes.lines if line.get_linewidth() == 4]
    assert [list(bar) for bar in bars] == [[75, 95], [90, 100]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a: honest split", "a: leaky split, its own rows"]
    assert [text.get_text() for text in axes.texts] == ["85.0 [75.0, 95.0]", "7 + 8 sources (few)", "95.0 [90.0, 100.0]", "7 + 8 sources (few)"]


def test_a_learning_curve_is_solid_where_it_was_trained_and_dashed_beyond():
    rows = [
        ("a", "measured", 4, 0.60, 0.50, 0.75), ("a", "measured", 8, 0.70, 0.65, 0.80),
        ("a", "fitted", 4, 0.61, 0.55, 0.65), ("a", "fitted", 8, 0.69, 0.6, 0.75), ("a", "extrapolated", 50, 0.85, 0.7, 0.95),
    ]  # fmt: skip
    with figure_style():
        axes = draw_experiment(experiment(), pd.DataFrame(rows, columns=list(LEARNING_CURVE.columns))).axes[1]
    lines = {line.get_linestyle(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines if line.get_linestyle() in ("-", "--")}
    assert lines["-"] == ([4, 8], [pytest.approx(61), pytest.approx(69)])
    assert lines["--"] == ([8, 50], [pytest.approx(69), pytest.approx(85)])
    [bars] = [container for container in axes.containers if container.has_yerr]
    assert [sorted(segment[:, 1].round(6)) for segment in bars.lines[2][0].get_segments()] == [[50, 75], [65, 80]]


@pytest.mark.parametrize(
    ("split", "test_set", "name"),
    [
        ("fold_0", "fold_0", "rank 4: fold 1, its own sources"),
        ("train_12", "unseen", "rank 4: 12 training sources per class"),
        ("folds", "every_source", "rank 4: all folds, every source once"),
        ("row_random", "unseen", "rank 4: leaky split"),
    ],
)
def test_an_arm_is_called_by_what_it_trained_on(split, test_set, name):
    assert arm_name("rank_4", split, test_set) == name
