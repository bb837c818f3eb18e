import numpy as np
import pandas as pd
import pytest

from earwitness.report.reliability_figure import draw_reliability
from earwitness.report.style import figure_style
from earwitness.tables.calibration import CALIBRATION, CALIBRATION_FITS, RELIABILITY

BINS = {
    "none": [(1, 0.9, 0.6, 0.5, 0.7), (0, 0.1, 0.3, 0.2, 0.4)],
    "temperature": [(0, 0.3, 0.25, 0.2, 0.3), (1, 0.7, 0.75, 0.7, 0.8)],
    "platt": [(0, 0.2, 0.15, 0.1, 0.2), (1, 0.6, 0.55, 0.5, 0.6)],
}
CHOSEN = {"1": "temperature", "2": "platt", "3": "temperature"}
ECE = {"none": 0.24, "temperature": 0.05, "platt": 0.06}


@pytest.fixture(scope="module")
def panel():
    bins = [["x-grouped", method, *row, 10, 4] for method, rows in BINS.items() for row in rows]
    fits = [["x-grouped", seed, method, method == chosen] for seed, chosen in CHOSEN.items() for method in ("temperature", "platt")]
    errors = [["x-grouped", seed, method, ece if seed == "all" else 0.9, 0.02] for method, ece in ECE.items() for seed in ("1", "2", "3", "all")]
    with figure_style():
        [axes] = draw_reliability(
            pd.DataFrame(bins, columns=list(RELIABILITY.columns)),
            pd.DataFrame(errors, columns=["system_id", "seed", "method", "ece", "ece_floor"]).reindex(columns=list(CALIBRATION.columns)),
            pd.DataFrame(fits, columns=["system_id", "seed", "method", "chosen"]).reindex(columns=list(CALIBRATION_FITS.columns)),
        ).axes
    return axes


def test_the_shares_of_speech_rise_beside_the_probabilities_before_and_after_the_chosen_calibration(panel):
    diagonal, before, after = panel.lines
    np.testing.assert_allclose(diagonal.get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_allclose(before.get_xydata(), [[0.1, 0.3], [0.9, 0.6]], atol=0.01)
    np.testing.assert_allclose(after.get_xydata(), [[0.3, 0.25], [0.7, 0.75]], atol=0.01, err_msg="temperature, which two of three seeds chose")
    ends = [segment[:, 1].tolist() for lines in panel.collections for segment in lines.get_segments()]
    assert ends == [[0.2, 0.4], [0.5, 0.7], [0.2, 0.3], [0.7, 0.8]]


def test_the_errors_are_those_of_all_seeds_together(panel):
    assert [text.get_text() for text in panel.texts] == ["ECE 0.240 (floor 0.020)\ntemperature: 0.050 (0.020)"]
