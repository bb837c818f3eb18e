import json
import re
import sys

import numpy as np
import pandas as pd
import pytest

from earwitness.psychometrics.functions import Curves, Family
from fit_counts import main

PSIGNIFIT = {
    "level": [0.0010, 0.0015, 0.0020, 0.0025, 0.0030, 0.0035, 0.0040, 0.0045, 0.0050, 0.0060, 0.0070, 0.0080, 0.0100],
    "correct": [45, 50, 44, 44, 52, 53, 62, 64, 76, 79, 88, 90, 90],
    "total": [90] * 13,
}
"""The data set of psignifit's own tests."""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the program on a table with options: what it prints, and the error that it ends with, or None."""

    def run_main(table, *options):
        path = tmp_path / "counts.csv"
        path.write_text(table if isinstance(table, str) else pd.DataFrame(table).to_csv(index=False))
        monkeypatch.setattr(sys, "argv", ["fit_counts.py", str(path), *options])
        try:
            main()
        except SystemExit as end:
            return capsys.readouterr().out, end.code
        return capsys.readouterr().out, None

    return run_main


@pytest.fixture
def fitted(run):
    """The same, of a run that must succeed, as parsed JSON."""

    def fit(table, *options):
        text, error = run(table, *options)
        assert error is None
        return json.loads(text)

    return fit


def test_psignifits_own_data_give_the_values_that_it_states(fitted):
    result = fitted(pd.DataFrame(PSIGNIFIT)[["total", "level", "correct"]], "--axis", "linear")
    assert result["status"] == "ok"
    assert result["parameters"]["midpoint"] == pytest.approx(0.0046448, rel=1e-2)
    assert result["parameters"]["width"] == pytest.approx(0.0046838, rel=1e-2)
    assert result["parameters"]["lapse_rate"] < 0.005
    assert fitted(PSIGNIFIT, "--axis", "linear", "--target", "0.9")["threshold"]["value"] == pytest.approx(0.0058394, rel=1e-2)


def test_every_option_changes_the_fit_and_the_output_file_is_the_same_json(run, fitted, tmp_path):
    plain = fitted(PSIGNIFIT)
    for options in (["--lapse-rate", "0.05"], ["--guess-rate", "0.45"], ["--axis", "linear"], ["--sigmoid", "gumbel"], ["--target", "0.8"]):
        assert fitted(PSIGNIFIT, *options)["threshold"]["value"] != plain["threshold"]["value"]
    assert fitted(PSIGNIFIT, "--lapse-rate", "0.05")["parameters"]["lapse_rate"] == 0.05
    narrow = fitted(PSIGNIFIT, "--confidence", "0.5", "--bootstrap", "200")
    assert plain["threshold"]["low"] < narrow["threshold"]["low"] < narrow["threshold"]["high"] < plain["threshold"]["high"]
    path = tmp_path / "fit.json"
    assert run(PSIGNIFIT, "--output", str(path)) == ("", None)
    assert json.loads(path.read_text()) == plain


def test_sources_that_differ_widen_the_interval(fitted):
    levels, rng = np.array([20, 40, 80, 160, 320, 640]), np.random.default_rng(4)
    rows = []
    for source in range(8):
        curve = Curves(Family(), np.array([2.0 + 0.2 * rng.normal()]), np.array([0.2]), np.array([0.01])).at(np.log10(levels))[0]
        rows += [
            {"level": level, "correct": rng.binomial(60, p), "total": 60, "source": f"s{source}"} for level, p in zip(levels, curve, strict=True)
        ]
    table = pd.DataFrame(rows)
    clustered, naive = fitted(table), fitted(table.drop(columns="source"))
    assert clustered["threshold"]["interval"] == "jackknife_t" and naive["threshold"]["interval"] == "parametric_bootstrap"
    assert clustered["threshold"]["value"] == pytest.approx(naive["threshold"]["value"])
    width = {name: np.log(each["threshold"]["high"] / each["threshold"]["low"]) for name, each in (("c", clustered), ("n", naive))}
    assert width["c"] > 2 * width["n"]


def test_a_threshold_beyond_the_levels_is_null_and_named(fitted):
    low = {"level": [1, 2, 4, 8], "correct": [100, 105, 120, 130], "total": [200] * 4}
    result = fitted(low)
    assert (result["status"], result["threshold"]["value"], result["threshold"]["high"]) == ("right_censored", None, None)
    assert result["isotonic_threshold"] is None
    assert fitted(low | {"correct": [190, 195, 190, 195]})["status"] == "left_censored"


def test_sources_called_like_missing_values_count_like_any_others(fitted):
    levels = {"level": [1, 2, 4, 8] * 4, "correct": [5, 6, 8, 10, 4, 7, 9, 9, 6, 6, 7, 10, 5, 8, 9, 10], "total": 10}
    names = [["A", "B", "C", "D"], ["NA", "None", "nan", "null"]]
    plain, missing = (fitted({**levels, "source": [name for name in four for _ in range(4)]}) for four in names)
    assert plain == missing


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("level,correct\n1,2\n", [], "no column total"),
        ("level,correct,total,age\n1,2,3,4\n", [], "unknown column age"),
        ("level,correct,total\n1,2,3\nshort,2,3\n3,3,3\n", [], "row 2 (level short): level is not a number"),
        ("level,correct,total\n1,2,3\n2,4,3\n3,3,3\n", [], "row 2 (level 2): correct is larger than total"),
        ("level,correct,total\n1,2.5,3\n2,3,3\n3,3,3\n", [], "row 1 (level 1): correct and total must be whole numbers"),
        ("level,correct,total\n1,2,3\n2,-1,3\n3,3,3\n", [], "row 2 (level 2): correct and total must be whole numbers"),
        ("level,correct,total\n-10,2,3\n0,2,3\n10,3,3\n", [], "row 1 (level -10): level must be above 0 on a log axis"),
        ("level,correct,total\n1,2,3\n2,0,0\n3,3,3\n", [], "level 2 has no trials"),
        ("level,correct,total\n1,2,3\n2,3,3\n2,3,3\n", [], "2 levels; a psychometric function needs at least 3"),
        ("level,correct,total,source\n1,2,3,a\n2,3,3,a\n3,3,3,a\n", [], "a class has a single source"),
        ("level,correct,total,source\n1,2,3,a\n2,3,3,\n3,3,3,b\n", [], "row 2: no source"),
        ("level,correct,total\n1,2,3\n2,3,3\n3,3,3\n", ["--target", "0.4"], "target 0.4 is not between the guess rate 0.5 and"),
        ("", [], "not a readable CSV table (it is empty)"),
    ],
)
def test_bad_input_ends_in_one_line_that_says_where(run, text, options, message):
    output, error = run(text, *options)
    assert output == ""
    assert error.startswith("error: ") and "\n" not in error
    assert message in error


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("level,correct,total\n", [], "no row below the header"),
        ("level,correct,total\n20,5e18,1e19\n40,6e18,1e19\n80,9e18,1e19\n", [], r"row 1 \(level 20\): total is beyond 1e\+15"),
        ("level,correct,total\n1,5,10\n-1e308,7,10\n1e308,10,10\n", ["--axis", "linear"], r"row 2 \(level -1e308\): level is beyond 1e\+15"),
    ],
)
def test_tables_that_no_fit_can_bear_end_in_one_line(run, table, options, message):
    _, error = run(table, *options)
    assert re.search(message, str(error)) and "\n" not in str(error)


def test_a_handful_of_answers_decides_nothing(fitted):
    result = fitted({"level": [20, 40, 80, 160], "correct": [0, 0, 1, 1], "total": [1, 1, 1, 1]})
    assert result["status"] == "undecided" and result["threshold"]["value"] is None


def test_two_sources_that_are_equal_are_no_certainty(fitted):
    counts = {"level": [20, 40, 80, 160] * 2, "correct": [5, 6, 9, 10] * 2, "total": [10] * 8, "source": ["a"] * 4 + ["b"] * 4}
    result = fitted(counts)
    assert result["threshold"]["low"] != result["threshold"]["high"] or result["threshold"]["value"] is None


def test_a_yes_or_no_task_has_its_point_of_subjective_equality_and_just_noticeable_difference(fitted):
    """A million trials of a normal curve around 40 dB with a standard deviation of 6 dB: the JND, half of the distance from 25 to 75 %, is
    0.6745 x 6."""
    levels = np.arange(25.0, 56.0, 5.0)
    correct = np.round(1e6 * Curves(Family("normal", 0.0, 0.0), np.array([40.0]), np.array([6.0]), np.array([0.0])).at(levels)[0])
    found = fitted(
        {"level": levels, "correct": correct, "total": [1e6] * len(levels)},
        "--axis",
        "linear",
        "--guess-rate",
        "0",
        "--lapse-rate",
        "0",
        "--target",
        "0.5",
    )["parameters"]
    assert found["midpoint"] == pytest.approx(40, abs=0.01)
    assert found["just_noticeable_difference"] == pytest.approx(0.6745 * 6, rel=1e-3)
