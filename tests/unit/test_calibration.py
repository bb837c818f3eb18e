"""Calibrations find the map that made the scores, are judged fairly, and are fitted on nothing but development sources."""

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from small_study import predictions, study

import calibrate_systems as program
from earwitness.core.errors import InputError
from earwitness.core.randomness import stream
from earwitness.evaluation.calibration import (
    Calibration,
    calibration_error,
    calibration_of,
    calibration_table,
    chosen_calibration,
    class_weights,
    clustered_calibration_error,
    equal_weight_bins,
    fit_calibration,
    fits_of,
    reliability_table,
)
from earwitness.evaluation.scored_answers import Outcomes, outcomes_on
from earwitness.leakage.tuning_records import load_tuning_record
from earwitness.systems import BASE, System
from earwitness.tables.calibration import CALIBRATION, CALIBRATION_FITS
from earwitness.tables.files import read_table
from earwitness.tables.predictions import by_system


def scores(slope, intercept, n=40_000, seed=1):
    """Log-odds and labels, both classes equally frequent, for which slope x log-odds + intercept is calibrated."""
    rng = stream(seed, "scores")
    calibrated = np.concatenate([rng.normal(2, 2, n), rng.normal(-2, 2, n)])
    # Two normals of variance 4 and means +-2: the log-likelihood ratio is the value itself.
    return (calibrated - intercept) / slope, np.arange(2 * n) < n


@pytest.mark.parametrize(("slope", "intercept"), [(0.5, 0.0), (2.0, 0.0), (1.0, 0.0)])
def test_a_temperature_finds_how_far_scores_were_stretched(slope, intercept):
    assert fit_calibration("temperature", *scores(slope, intercept)).slope == pytest.approx(slope, rel=0.03)


@pytest.mark.parametrize(("slope", "intercept"), [(0.5, -1.0), (1.5, 2.0), (-1.0, 0.5)])
def test_platt_s_map_finds_stretch_and_shift_and_a_turned_sign(slope, intercept):
    found = fit_calibration("platt", *scores(slope, intercept))
    assert (found.slope, found.intercept) == pytest.approx((slope, intercept), abs=0.06)


@pytest.mark.parametrize("method", ["temperature", "platt"])
def test_a_perfect_separation_does_not_make_certainty(method):
    speech = np.arange(20) < 10
    found = fit_calibration(method, np.where(speech, 3.0, -3.0), speech)
    assert found.probability(3.0) == pytest.approx(11 / 12, abs=1e-3), "Platt's target of ten items"


def test_a_tenth_of_the_other_class_changes_no_fit():
    log_odds, speech = scores(0.7, 0.4)
    keep = speech | (np.arange(len(speech)) % 10 == 0)
    assert fit_calibration("platt", log_odds[keep], speech[keep]).intercept == pytest.approx(0.4, abs=0.1)


@given(st.floats(0.01, 50), st.floats(-5, 5), st.lists(st.floats(-20, 20), min_size=2, max_size=20))
def test_the_threshold_is_where_the_probability_is_one_half_and_order_is_kept(slope, intercept, log_odds):
    calibration = Calibration(slope, intercept)
    assert calibration.probability(calibration.threshold) == pytest.approx(0.5)
    assert (np.diff(calibration.probability(np.sort(log_odds))) >= 0).all()


def test_prevalence_is_bayes_rule():
    calibrated = Calibration().probability(np.log(4.0), prevalence=0.1)
    assert calibrated == pytest.approx(0.4 * 1 / (0.4 + 0.9)), "odds of 4 to 1 times prior odds of 1 to 9"


@settings(max_examples=30)
@given(st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]), min_size=5, max_size=60), st.integers(2, 15))
def test_equal_probabilities_share_a_bin_and_bins_rise(probabilities, bins):
    values = np.array(probabilities)
    place = equal_weight_bins(values, np.full(len(values), 1 / len(values)), bins)
    table = pd.DataFrame({"p": values, "bin": place})
    assert len(table.drop_duplicates()) == table.p.nunique()
    assert table.sort_values("p").bin.is_monotonic_increasing
    assert place.min() >= 0 and place.max() < bins


def test_the_calibration_error_by_hand():
    speech = np.array([True, False, True, True, False, False])
    p = np.array([0.8, 0.8, 0.8, 0.2, 0.2, 0.2])
    weights = np.full(6, 1 / 6)
    assert calibration_error(p, speech, weights, bins=2) == pytest.approx(0.5 * abs(0.8 - 2 / 3) + 0.5 * abs(0.2 - 1 / 3))


def clustered_scores(random, stretch=1.0, shared=0.3, n_sources=28, each=25):
    """Outcomes whose log-odds are calibrated where stretch is 1 (two normals 4 apart with variance 4); shared: of the noise, by source."""
    sources = np.repeat([f"{label}{k}" for label in ("SPEECH", "NONSPEECH") for k in range(n_sources)], each)
    speech = np.arange(len(sources)) < n_sources * each
    noise = np.sqrt(shared) * np.repeat(random.normal(size=2 * n_sources), each) + np.sqrt(1 - shared) * random.normal(size=len(sources))
    log_odds = stretch * (np.where(speech, 2.0, -2.0) + 2 * noise)
    items = pd.DataFrame({"source_id": sources, "label": np.where(speech, "SPEECH", "NONSPEECH")})
    right = (log_odds > 0) == speech
    return Outcomes(BASE, "unseen", ("-",), items, right[None], log_odds[None], right)


def test_the_floor_of_independent_items_is_the_known_one():
    """Every item a source: the error of a calibrated system is its floor, on average, and the corrected error is a fraction of it."""
    found = [
        clustered_calibration_error(expit(o.log_odds), o, 0.95, stream(3, "floor", k))
        for k in range(12)
        for o in [clustered_scores(stream(2, "scores", k), shared=0.0, n_sources=400, each=1)]
    ]
    assert np.mean([error.measured for error in found]) == pytest.approx(np.mean([error.floor for error in found]), rel=0.12)


def test_the_interval_of_a_calibrated_system_holds_0_and_that_of_another_does_not():
    for stretch, expected in ((1.0, 0), (3.0, 40)):
        above = 0
        for k in range(40):
            outcomes = clustered_scores(stream(4, "stretch", stretch, k), stretch)
            error = clustered_calibration_error(expit(outcomes.log_odds), outcomes, 0.95, stream(5, k))
            assert 0 <= error.low <= error.corrected <= error.high <= 1 and error.corrected <= error.measured
            above += error.low > 0
        assert abs(above - expected) <= 5


def test_sources_that_scatter_raise_the_floor():
    floors = [
        clustered_calibration_error(expit(o.log_odds), o, 0.95, stream(7, "floor")).floor
        for o in (clustered_scores(stream(6, "shared"), shared=shared) for shared in (0.0, 0.6))
    ]
    assert floors[1] > 1.5 * floors[0]


def test_one_class_alone_is_refused():
    with pytest.raises(InputError, match="no NONSPEECH stimulus"):
        class_weights(np.ones(3, dtype=bool))


def answers(index, system, stretch, seeds=(None,), shift=0.0):
    """Log-odds with noise per source (the mirror image in the other class) and stimulus, stretched by `stretch` and shifted."""
    tables = []
    for number in seeds:
        table = predictions(index, system, (number,))
        sign = np.where(index.label == "SPEECH", 1.0, -1.0)
        of_source = index.number.map({name: stream(5, system, number, name).normal() for name in index.number.unique()}).to_numpy()
        noise = of_source + stream(6, system, number).normal(0, 1, len(index))
        table["log_odds"] = stretch * sign * (1.5 + noise) + shift
        table["answer"] = np.where(table.log_odds > 0, "SPEECH", "NONSPEECH")
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def judged():
    index, splits = study(40, 3)
    split = splits["grouped"].assign(part=np.where(index.number >= 20, "test", np.where(index.number >= 8, "dev", "train")))
    table = pd.concat([answers(index, "base", 6.0), answers(index, "x-grouped", 5.0, (1, 2, 3)), answers(index, "silero", 1.0, shift=4.0)])
    by_part = [
        [outcomes_on(rows, index, split, part, name) for _, rows in by_system(table)] for part, name in (("dev", "development"), ("test", "unseen"))
    ]
    fits = fits_of(by_part[0])
    return index, split, table, fits, calibration_table(by_part[1], fits, 0.95, seed=1), reliability_table(by_part[1], fits, 0.95)


def test_calibration_on_development_sources_mends_overconfidence_on_unseen_ones(judged):
    *_, measures, _ = judged
    assert set(measures.seed[measures.system_id == "x-grouped"]) == {"1", "2", "3", "all"}
    base = measures[measures.system_id == "base"].set_index("method")
    assert base.nll["temperature"] < 0.5 * base.nll["none"]
    assert base.ece["temperature"] < 0.7 * base.ece["none"]
    assert base.balanced_accuracy["temperature"] == base.balanced_accuracy["none"], "a temperature moves no answer"
    assert (measures.nll_low < measures.nll).all() and (measures.nll < measures.nll_high).all()
    shifted = measures[measures.system_id == "silero"].set_index("method")
    assert shifted.balanced_accuracy["platt"] > shifted.balanced_accuracy["none"] + 0.1


def test_the_intercept_is_chosen_only_where_it_earns_its_place(judged):
    *_, fits, _, _ = judged
    assert chosen_calibration(fits, System("detector", "silero"))[0] == "platt"
    assert chosen_calibration(fits, BASE)[0] == "temperature"
    assert calibration_of(fits, BASE, "none") == Calibration()
    with pytest.raises(InputError, match="no platt calibration of x-grouped-seed-9"):
        calibration_of(fits, System("adapter", "x", "grouped", 9), "platt")


def test_scores_that_say_the_opposite_are_handed_over_as_knowing_nothing(judged):
    index, split, *_ = judged
    turned = answers(index, "base", -1.0)
    method, calibration = chosen_calibration(fits_of([outcomes_on(turned, index, split, "dev", "development")]), BASE)
    assert method == "temperature" and not calibration.informative
    assert np.allclose(calibration.probability([-3.0, 0.0, 3.0]), 0.5, atol=0.01)


def test_reliability_bins_hold_every_item_once_per_seed_and_their_share(judged):
    _, split, *_, reliability = judged
    counts = reliability.groupby(["system_id", "method"]).n_items.sum()
    tested = (split.part == "test").sum()
    assert set(counts) == {tested, 3 * tested}
    inside = reliability.dropna(subset=["low", "high"])
    assert ((inside.low <= inside.speech_share + 1e-9) & (inside.speech_share <= inside.high + 1e-9)).all()
    base = reliability[(reliability.system_id == "base") & (reliability.method == "none")].set_index("bin")
    assert base.probability[0] < 0.01 and base.speech_share[0] > base.probability[0], "overconfident"


def test_the_program_tells_the_audit_what_it_fitted_on(tmp_path, monkeypatch, judged):
    index, split, table, *_ = judged
    table[table["name"] != "x"].to_parquet(tmp_path / "answers.parquet")
    full = index.drop(columns="number").assign(
        recording_id="r", category="c", noise_id="white", design="factorial", axis="duration_x_snr", band="clean", room="none", normalisation="peak",
        achieved_snr_db=0.0, achieved_level_dbfs=-1.0, segment_start_s=0.0, segment_end_s=1.0,
    )  # fmt: skip
    full.to_parquet(tmp_path / "index.parquet")
    split.to_csv(tmp_path / "grouped.csv", index=False)
    records = [str(tmp_path / f"{name}.tuning.json") for name in ("base", "silero")]
    command = ["calibrate_systems", "answers.parquet", "--index", "index.parquet", "--split", "grouped.csv", "--fits", "fits.csv"]
    command += ["--calibration", "calibration.csv", "--reliability", "reliability.csv", "--confidence", "0.95", "--seed", "1"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [*command, "--tuning", *records, "--systems", "base", "silero"])
    program.main()
    record = load_tuning_record(tmp_path / "base.tuning.json")
    assert record["system"] == "calibration-of-base" and set(record["kinds"]) == {"calibration", "temperature", "threshold"}
    assert set(record["sources"]) == set(split.source_id[split.part == "dev"])
    fits = read_table(tmp_path / "fits.csv", CALIBRATION_FITS)
    assert record["value"]["platt"]["slope"] == pytest.approx(fits.slope[fits.method == "platt"].iloc[0])
    assert len(read_table(tmp_path / "calibration.csv", CALIBRATION)) == 6
    monkeypatch.setattr(sys, "argv", [*command, "--tuning", records[0], "--systems", "base"])
    with pytest.raises(SystemExit, match="name exactly base, silero"):
        program.main()
