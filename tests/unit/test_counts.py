import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from earwitness.psychometrics.fitting import RangePrior, fit_curves, fit_curves_sharing_lapse
from earwitness.psychometrics.functions import Curves, Family
from earwitness.psychometrics.thresholds import bootstrap_limits
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


@pytest.mark.parametrize("option", ["--output", "--plot"])
def test_counts_are_not_overwritten(run, tmp_path, option):
    (tmp_path / "link.svg").symlink_to("counts.csv")
    said, error = run(PSIGNIFIT, option, str(tmp_path / "link.svg"))
    assert said == "" and "link.svg: is read, and would be overwritten; name another file to be written" in error
    assert (tmp_path / "counts.csv").read_text().startswith("level,correct,total\n")


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
        ("level,correct,total,condition\n1,2,3,a\n2,3,3,a\n3,3,3,a\n1,2,3,b\n2,2,3,b\n", [], "2 levels of condition b"),
        ("level,correct,total,condition\n1,2,3,a\n2,3,3,a\n3,3,3,a\n", ["--reference", "b"], "--reference b: no such condition; give one of a"),
        ("level,correct,total\n1,2,3\n2,3,3\n3,3,3\n", ["--mixed"], "--mixed: needs a column `source` with at least 2 sources"),
        (
            "level,correct,total,source\n1,2,3,a\n2,3,3,b\n3,3,3,a\n",
            ["--mixed", "--guess-rate", "free"],
            "--mixed: needs the sigmoid normal or logistic",
        ),
        (
            "level,correct,total,source,condition\n1,2,3,a,x\n2,3,3,b,x\n3,3,3,a,x\n1,2,3,a,y\n2,3,3,a,y\n3,3,3,a,y\n",
            ["--mixed"],
            "--mixed: condition y has 1 source, and needs at least 2",
        ),
        ("level;correct;total\n1;50%;3\n2;3;3\n3;3;3\n", [], "counts, no shares or percentages"),
        ("level,correct,total\n1 ms,2,3\n2,3,3\n3,3,3\n", [], "give it without unit"),
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
    assert (result["status"], result["threshold"]["value"]) == ("undecided", None), "an interval of no width would say that all is known"


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


PSIGNIFIT_WIDTHS = {
    "normal": ("norm", [0.0046632, 0.32584, 0.55719, 1.1526, 1.9809]),
    "logistic": ("logistic", [0.0048306, 0.63676, 1.9409, 1.4823, 2.7407]),
    "gumbel": ("gumbel", [0.0055949, 0.37379, 0.87644, 1.304, 1.2623]),
}
"""Widths that psignifit 4.3 gives, as 2AFC, for its own data set and the four of `psignifit_data`."""

LEVELS = np.log10([20, 40, 80, 160, 320, 640, 1000.0])


def psignifit_data():
    """Per sigmoid: psignifit's own data, and four of 7 levels with 90 trials each, from steep to shallow."""
    rng = np.random.default_rng(1)
    own = tuple(np.array(PSIGNIFIT[name]) for name in ("level", "correct", "total"))
    for sigmoid in PSIGNIFIT_WIDTHS:
        truths = [Curves(Family(sigmoid), np.array([2.0]), np.array([scale]), np.array([0.02])) for scale in (0.1, 0.2, 0.3, 0.4)]
        yield sigmoid, [own, *((LEVELS, rng.binomial(90, truth.at(LEVELS)[0]), np.full(7, 90)) for truth in truths)]


def test_widths_of_every_sigmoid_are_psignifits_within_one_percent():
    for sigmoid, sets in psignifit_data():
        ours = [fit_curves(x, k[None], n[None], Family(sigmoid), RangePrior()).width[0] for x, k, n in sets]
        assert ours == pytest.approx(PSIGNIFIT_WIDTHS[sigmoid][1], rel=0.01), sigmoid


@pytest.mark.slow
def test_psignifit_still_gives_those_widths():
    psignifit = pytest.importorskip("psignifit", reason="psignifit, the oracle, is not installed")
    for sigmoid, sets in psignifit_data():
        name, widths = PSIGNIFIT_WIDTHS[sigmoid]
        found = [psignifit.psignifit(np.column_stack(each), experiment_type="2AFC", sigmoid=name).parameter_estimate["width"] for each in sets]
        assert found == pytest.approx(widths, rel=1e-3)


def counted(curve, levels, total, **columns):
    return pd.DataFrame({"level": levels, "correct": np.round(total * curve.at(levels)[0]), "total": total, **columns})


YES_NO = ["--axis", "linear", "--guess-rate", "0", "--lapse-rate", "0", "--target", "0.5", "--bootstrap", "200"]


def test_a_free_guess_rate_is_found_where_the_lowest_levels_show_it(fitted):
    """A listener who says yes in 15 % of the trials without a tone: the guess rate is 0.15, and the midpoint stays where it is."""
    levels = np.arange(0.0, 41.0, 5.0)
    truth = Curves(Family("normal", 0.15, 0.03), np.array([20.0]), np.array([4.0]), np.array([0.03]))
    free = fitted(counted(truth, levels, 100_000), *YES_NO[:2], "--guess-rate", "free", "--target", "0.5", "--bootstrap", "100")
    assert free["parameters"]["guess_rate"] == pytest.approx(0.15, abs=0.003)
    assert free["parameters"]["guess_rate_fitted"]
    assert free["point_of_subjective_equality"]["value"] == pytest.approx(20, abs=0.1)
    held = fitted(counted(truth, levels, 100_000), *YES_NO)
    assert abs(held["parameters"]["midpoint"] - 20) > 0.5, "held at 0, the same answers move the midpoint"


def test_conditions_share_a_lapse_rate_that_only_one_of_them_shows(fitted):
    """Only the easy condition reaches its ceiling; alone, the hard one cannot tell a lapse rate from a shallow slope."""
    levels = np.array([20, 40, 80, 160, 320, 640.0])
    curves = [Curves(Family(), np.array([place]), np.array([0.2]), np.array([0.06])) for place in (1.7, 2.4)]
    table = pd.concat([counted(curve, np.log10(levels), 400, condition=name).assign(level=levels) for name, curve in zip("ab", curves, strict=True)])
    shared = fitted(table, "--lapse-rate", "shared", "--bootstrap", "100")
    assert shared["shared_lapse_rate"] == pytest.approx(0.06, abs=0.01)
    rates = {name: curve["parameters"]["lapse_rate"] for name, curve in shared["curves"].items()}
    assert set(rates.values()) == {shared["shared_lapse_rate"]}
    [comparison] = shared["comparisons"]
    assert comparison["threshold"]["value"] == pytest.approx(10**0.7, rel=0.03)
    assert comparison["threshold"]["low"] < 10**0.7 < comparison["threshold"]["high"]


def hard_and_easy(total=60, n=6, lapse=0.08):
    """Subjects with one lapse rate; the hard condition does not reach its ceiling."""
    rng, rows, levels = np.random.default_rng(8), [], np.arange(-15.0, 16.0, 5.0)
    for number in range(n):
        own = rng.normal(0, 2)
        for name, place in (("easy", -5.0), ("hard", 9.0)):
            curve = Curves(Family("normal", 0.0, lapse), np.array([own + place]), np.array([6.0]), np.array([lapse]))
            right = rng.binomial(total, curve.at(levels)[0])
            rows.append(pd.DataFrame({"level": levels, "correct": right, "total": total, "source": f"s{number}", "condition": name}))
    return pd.concat(rows)


FREE_YES_NO = ["--axis", "linear", "--guess-rate", "0", "--target", "0.5", "--bootstrap", "200"]


def test_curves_that_share_a_lapse_rate_are_where_a_general_optimiser_ends():
    """The same penalised likelihood, written down again and given to Nelder and Mead."""
    table = hard_and_easy().groupby(["condition", "level"])[["correct", "total"]].sum()
    counts = [table.loc[name].to_numpy(float).T for name in ("easy", "hard")]
    levels = np.arange(-15.0, 16.0, 5.0)
    correct, total = ([each[place][None] for each in counts] for place in (0, 1))
    [easy, hard] = fit_curves_sharing_lapse([levels] * 2, correct, total, Family("normal", 0.0, None), RangePrior())

    def loss(at):
        lapse = 1 / (1 + np.exp(-at[0]))
        value = -9 * np.log1p(-lapse)
        for (k, n), place, scale in zip(counts, at[1::2], np.exp(at[2::2]), strict=True):
            p = (1 - lapse) * stats.norm.cdf((levels - place) / scale)
            value -= (k * np.log(p) + (n - k) * np.log1p(-p)).sum()
        return value

    best = optimize.minimize(loss, [-3, -5, 1.8, 9, 1.8], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9, "maxiter": 4000}).x
    assert easy.lapse[0] == hard.lapse[0] == pytest.approx(1 / (1 + np.exp(-best[0])), abs=1e-4)
    found = [easy.location[0], np.log(easy.scale[0]), hard.location[0], np.log(hard.scale[0])]
    assert found == pytest.approx(best[1:], abs=0.005)


def test_intervals_carry_the_uncertainty_of_a_shared_lapse_rate(fitted):
    """The jackknife by hand: the whole fit, lapse rate included, again without each subject."""
    table = hard_and_easy()
    whole = fitted(table, *FREE_YES_NO, "--lapse-rate", "shared")
    hard = whole["curves"]["hard"]["point_of_subjective_equality"]
    alone = [fitted(table[table.source != name], *FREE_YES_NO, "--lapse-rate", "shared") for name in sorted(set(table.source))]
    places = np.array([one["curves"]["hard"]["point_of_subjective_equality"]["value"] for one in alone])
    by_hand = np.sqrt(5 / 6 * ((places - places.mean()) ** 2).sum())
    assert (hard["high"] - hard["low"]) / 2 == pytest.approx(stats.t.ppf(0.975, 5) * by_hand, rel=0.02)


def test_the_bias_of_the_draws_moves_an_interval_the_other_way_once():
    draws = np.random.default_rng(3).normal([0.3, 5.0], [1.0, 0.1], (4000, 2))
    low, high = bootstrap_limits(np.array([0.0, 0.0]), draws, 0.95)
    assert (low[0], high[0]) == pytest.approx((-0.3 - 1.96, -0.3 + 1.96), abs=0.1)
    assert low[1] < 0 < high[1], "draws that failed do not carry it away"


def test_drawn_data_sets_have_shared_lapse_rates_of_their_own(fitted):
    one = hard_and_easy(n=1).drop(columns="source")
    shared = fitted(one, *FREE_YES_NO, "--lapse-rate", "shared")
    known = fitted(one, *FREE_YES_NO, "--lapse-rate", str(shared["shared_lapse_rate"]))
    ends = [each["curves"]["easy"]["just_noticeable_difference"] for each in (shared, known)]
    assert ends[0]["value"] == pytest.approx(ends[1]["value"], rel=0.01)
    assert ends[0]["high"] - ends[0]["low"] > 1.15 * (ends[1]["high"] - ends[1]["low"])


def test_subjects_of_one_condition_move_the_other_through_the_shared_lapse_rate(fitted):
    table = hard_and_easy()
    others = table.assign(source=table.source + table.condition)
    result = fitted(others, *FREE_YES_NO, "--lapse-rate", "shared")
    [comparison] = result["comparisons"]
    assert comparison["sources"] == "others" and result["curves"]["hard"]["n_sources"] == 6
    assert comparison["threshold"]["low"] < 14 < comparison["threshold"]["high"]


def test_a_mixed_model_fits_the_lapse_rate(fitted):
    table = hard_and_easy()
    free = fitted(table, *FREE_YES_NO, "--mixed")["mixed_model"]
    assert free["status"] == "ok" and free["lapse_rate_fitted"] and free["lapse_rate"] == pytest.approx(0.08, abs=0.02)
    hard = free["conditions"]["hard"]["just_noticeable_difference"]
    assert hard["value"] == pytest.approx(0.6745 * 6, abs=0.6)
    none = fitted(table, *FREE_YES_NO, "--lapse-rate", "0", "--mixed")["mixed_model"]
    assert none["conditions"]["easy"]["just_noticeable_difference"]["value"] > 1.3 * free["conditions"]["easy"]["just_noticeable_difference"]["value"]


def test_a_mixed_model_of_answers_that_are_all_alike_gives_no_numbers(fitted):
    table = {"level": [1, 2, 4, 8] * 2, "correct": 20, "total": 20, "source": ["a"] * 4 + ["b"] * 4}
    assert fitted(table, "--mixed")["mixed_model"]["status"] == "not_converged"


def test_an_interval_is_refused_whose_ends_the_draws_do_not_show(run, capsys):
    assert run(PSIGNIFIT, "--bootstrap", "100", "--confidence", "0.98")[1] is None
    assert run(PSIGNIFIT, "--bootstrap", "100", "--confidence", "0.999")[1] == 2


def test_a_mixed_midpoint_outside_the_tested_levels_is_no_number(fitted):
    table = hard_and_easy(lapse=0.0).query("level < 5")
    result = fitted(table, *FREE_YES_NO[:4], "--lapse-rate", "0", *FREE_YES_NO[4:], "--mixed")["mixed_model"]
    assert result["status"] == "ok"
    assert result["conditions"]["hard"]["point_of_subjective_equality"] == {"value": None, "low": None, "high": None}
    assert result["conditions"]["easy"]["point_of_subjective_equality"]["value"] == pytest.approx(-5, abs=3)
    assert result["comparisons"][0]["point_of_subjective_equality"]["value"] is None


@pytest.mark.parametrize("sign", ["\N{MINUS SIGN}", "\N{EN DASH}"])
def test_a_minus_sign_of_a_text_processor_is_a_minus(fitted, sign):
    levels = np.arange(-15.0, 16.0, 5.0)
    table = counted(Curves(Family("normal", 0.0, 0.0), np.array([0.0]), np.array([6.0]), np.zeros(1)), levels, 40)
    assert fitted(table.assign(level=[f"{level:g}".replace("-", sign) for level in levels]), *YES_NO) == fitted(table, *YES_NO)


def subjects(shift, n=8, condition_sd=0.0):
    """Subjects who answer two conditions whose midpoints differ by `shift` dB, themselves by 5 dB (standard deviation)."""
    rng = np.random.default_rng(2)
    levels = np.arange(-15.0, 16.0, 5.0)
    rows = []
    for number in range(n):
        own = rng.normal(0, 5)
        for name, place in (("noise", shift), ("quiet", 0.0)):
            curve = Curves(Family("normal", 0.0, 0.0), np.array([own + place + rng.normal(0, condition_sd)]), np.array([6.0]), np.array([0.0]))
            rows.append(
                pd.DataFrame(
                    {"level": levels, "correct": rng.binomial(40, curve.at(levels)[0]), "total": 40, "source": f"s{number}", "condition": name}
                )
            )
    return pd.concat(rows)


def test_two_conditions_of_the_same_subjects_are_compared_within_subjects(fitted):
    table = subjects(3.0)
    [paired] = fitted(table, *YES_NO, "--reference", "quiet")["comparisons"]
    others = table.assign(source=table.source + table.condition)
    [unpaired] = fitted(others, *YES_NO, "--reference", "quiet")["comparisons"]
    assert (paired["condition"], paired["sources"], unpaired["sources"]) == ("noise", "the same in both", "others")
    low, high = paired["threshold"]["low"], paired["threshold"]["high"]
    assert low < 3 < high and paired["threshold"]["p"] < 0.01
    assert unpaired["threshold"]["high"] - unpaired["threshold"]["low"] > 2 * (high - low)
    assert paired["threshold"]["p_holm"] == paired["threshold"]["p"], "one comparison needs no correction"
    ratio = paired["just_noticeable_difference"]
    assert ratio["contrast"] == "ratio" and ratio["low"] < 1 < ratio["high"]
    reverse = fitted(table, *YES_NO, "--reference", "noise")["comparisons"][0]["threshold"]
    assert reverse["value"] == pytest.approx(-paired["threshold"]["value"])


def test_few_subjects_have_no_p_and_one_subject_has_his_own_interval(fitted):
    few = fitted(subjects(3.0, n=3), *YES_NO)["comparisons"][0]["threshold"]
    assert few["p"] is None and few["value"] is not None
    one = subjects(3.0, n=2).query("source == 's0'")
    alone = fitted(one, *YES_NO)
    nameless = fitted(one.drop(columns="source"), *YES_NO)
    assert alone["curves"]["noise"]["threshold"] == nameless["curves"]["noise"]["threshold"]
    assert alone["curves"]["noise"]["n_sources"] == 1


def test_a_mixed_model_of_subjects_finds_midpoint_and_just_noticeable_difference(fitted):
    result = fitted(subjects(3.0), *YES_NO, "--reference", "quiet", "--mixed")["mixed_model"]
    assert result["status"] == "ok" and result["n_sources"] == 8
    quiet = result["conditions"]["quiet"]
    assert quiet["just_noticeable_difference"]["low"] < 0.6745 * 6 < quiet["just_noticeable_difference"]["high"]
    [comparison] = result["comparisons"]
    shift = comparison["point_of_subjective_equality"]
    assert shift["low"] < 3 < shift["high"] and shift["p"] < 0.01


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_picture_is_drawn_whose_bytes_repeat(run, tmp_path, kind):
    table = subjects(3.0, n=3).drop(columns="source")
    names = [tmp_path / f"{number}.{kind}" for number in (1, 2)]
    for name in names:
        run(table, *YES_NO, "--plot", str(name))
    first, second = (name.read_bytes() for name in names)
    assert first == second
    if kind == "svg":
        assert ElementTree.fromstring(first).tag.endswith("svg")
    else:
        assert first.startswith(b"\x89PNG")


def test_files_that_cannot_be_written_are_told_before_the_fit(run, tmp_path):
    table = {"level": [1, 2, 3], "correct": [1, 2, 3], "total": 3}
    for options, message in {
        ("--output", str(tmp_path / "x.svg"), "--plot", str(tmp_path / "x.svg")): "x.svg: is to be written twice",
        ("--output", str(tmp_path)): "is a folder; name a file",
        ("--output", os.devnull): f"{os.devnull}: is a pipe, a socket or a device",
    }.items():
        assert message in str(run(table, *options)[1])
    assert run(table, "--bootstrap", "100.5")[1] == 2
