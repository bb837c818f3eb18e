import numpy as np
import pandas as pd
import pytest

from earwitness.report.style import figure_style
from earwitness.report.test_sizes_figure import draw_test_sizes
from earwitness.tables.experiments import TEST_SIZES

ROWS = [
    ("x-grouped", 100, 8, 1, 0.97, 0.97, 0.97, 0.05, 0.20, 0.04, 0.06, 1.0),
    ("x-grouped", 20, 8, 50, 0.90, 0.70, 0.99, 0.15, 0.10, 0.12, 0.30, 0.4),
    ("base", 100, 8, 1, 0.77, 0.77, 0.77, 0.06, np.nan, np.nan, np.nan, np.nan),
    ("base", 20, 8, 50, 0.80, 0.60, 0.95, 0.20, np.nan, np.nan, np.nan, np.nan),
]


@pytest.fixture(scope="module")
def panels():
    with figure_style():
        return draw_test_sizes(pd.DataFrame(ROWS, columns=list(TEST_SIZES.columns))).axes


def drawn(axes, wanted):
    """Per size of test set and system, from left to right, what lines of one kind show."""
    lines = sorted((line for line in axes.lines if wanted(line) and len(line.get_xdata()) < 3), key=lambda line: line.get_xdata()[0])
    return [line.get_ydata() for line in lines]


def test_the_left_panel_shows_estimates_usual_intervals_and_where_drawn_test_sets_lie(panels):
    left = panels[0]
    points = drawn(left, lambda line: line.get_marker() not in ("None", None))
    assert np.concatenate(points).tolist() == pytest.approx([80, 90, 77, 97]), "small before large, the base before the adapter"
    usual = drawn(left, lambda line: line.get_linewidth() == 4)
    np.testing.assert_allclose(usual, [[60, 100], [75, 100], [71, 83], [92, 100]], err_msg="cut at 100 %")
    spread = drawn(left, lambda line: line.get_linewidth() == 0.9)
    np.testing.assert_allclose(spread, [[60, 95], [70, 99]], err_msg="one draw has no spread")
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["20", "100"]


def test_the_right_panel_shows_gains_and_the_smallest_gain_that_would_be_found(panels):
    right = panels[1]
    np.testing.assert_allclose(drawn(right, lambda line: line.get_linewidth() == 4), [[-2, 22], [16, 24]])
    np.testing.assert_allclose(drawn(right, lambda line: line.get_marker() == "_"), [[30], [6]])
    np.testing.assert_allclose(drawn(right, lambda line: line.get_marker() == "s"), [[10], [20]])
