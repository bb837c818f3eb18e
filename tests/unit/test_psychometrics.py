import time

import numpy as np
import pandas as pd
import pytest
from baseline_answers import baseline_index, no_split, observer
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from sklearn.isotonic import IsotonicRegression

from earwitness.core.errors import InputError
from earwitness.psychometrics.fitting import deviance, fit_curves
from earwitness.psychometrics.functions import SIGMOIDS, Curves, Family
from earwitness.psychometrics.isotonic import crossing, isotonic_fit
from earwitness.psychometrics.resampling import (
    LevelCounts,
    SourceCounts,
    balanced,
    falls,
    leave_out,
    sensitivity_and_criterion,
    unbiased,
)
from earwitness.psychometrics.study import collect_answers, curves_of, fit_study, point_table
from earwitness.psychometrics.thresholds import Settings, difference_of_thresholds, measure_threshold
from earwitness.statistics.clustered import Sample, estimate, jackknife_variance
from earwitness.tables.files import validate
from earwitness.tables.psychometrics import CONTRASTS, CURVES, POINTS, THRESHOLDS

LEVELS = np.log10([20.0, 40, 80, 160, 500, 800, 1000])
SETTINGS = Settings(Family(), target=0.75, confidence=0.95, n_bootstrap=400)


def curve(threshold_ms, scale=0.2, lapse=0.0, sigmoid="normal"):
    return Curves(Family(sigmoid), np.array([np.log10(threshold_ms)]), np.array([scale]), np.array([lapse]))


def classes(proportions, n_sources, rng, trials=15, spread=0.3):
    """Two classes whose sources differ by `spread` logits around the proportions."""
    found = []
    for _ in range(2):
        clipped = np.clip(proportions, 0.002, 0.998)
        logits = np.log(clipped / (1 - clipped)) + rng.normal(0, spread, (n_sources, 1))
        chance = 1 / (1 + np.exp(-logits))
        found.append(SourceCounts(rng.binomial(trials, chance).astype(float)[None], np.full(chance.shape, float(trials))))
    return found


def measured(proportions, n_sources=20, measure=balanced, seed=1, **options):
    rng = np.random.default_rng(seed)
    return measure_threshold(LEVELS, leave_out(classes(proportions, n_sources, rng, **options), measure), SETTINGS, rng, LEVELS)


@pytest.mark.parametrize("sigmoid", SIGMOIDS)
@pytest.mark.parametrize("lapse", [None, 0.05])
def test_many_trials_give_the_parameters_back(sigmoid, lapse):
    truth = curve(90, 0.25, 0.05, sigmoid)
    total = np.full((1, len(LEVELS)), 1e6)
    fitted = fit_curves(LEVELS, total * truth.at(LEVELS), total, Family(sigmoid, 0.5, lapse))
    assert fitted.location == pytest.approx(truth.location, abs=1e-3)
    assert fitted.scale == pytest.approx(truth.scale, rel=1e-2)
    assert fitted.lapse == pytest.approx(truth.lapse, abs=1e-3)
    assert fitted.at(fitted.threshold(0.75)) == pytest.approx(0.75)


@given(st.integers(0, 10**6), st.floats(-3, 3), st.floats(0.01, 100))
@settings(max_examples=25)
def test_units_of_the_axis_do_not_matter_and_a_batch_is_its_fits(seed, shift, stretch):
    rng = np.random.default_rng(seed)
    total = np.full((6, len(LEVELS)), 60.0)
    correct = rng.binomial(60, np.repeat(curve(rng.uniform(40, 400), rng.uniform(0.1, 0.4), 0.03).at(LEVELS), 6, axis=0)).astype(float)
    fitted = fit_curves(LEVELS, correct, total, Family())
    moved = fit_curves(shift + stretch * LEVELS, correct, total, Family())
    assert moved.threshold(0.75) == pytest.approx(shift + stretch * fitted.threshold(0.75), rel=1e-3, abs=1e-3 * stretch)
    alone = [fit_curves(LEVELS, correct[k], total[k], Family()).threshold(0.75)[0] for k in range(6)]
    assert alone == pytest.approx(fitted.threshold(0.75), abs=1e-6)


def test_no_curve_nearby_fits_better():
    rng = np.random.default_rng(2)
    total = np.full((1, len(LEVELS)), 200.0)
    correct = rng.binomial(200, curve(100, 0.25, 0.03).at(LEVELS)).astype(float)
    fitted = fit_curves(LEVELS, correct, total, Family(lapse_rate=0.03))
    best = deviance(LEVELS, correct, total, fitted)[0]
    for shift, stretch in ((0.02, 1), (-0.02, 1), (0, 1.1), (0, 0.9)):
        other = Curves(fitted.family, fitted.location + shift, fitted.scale * stretch, fitted.lapse)
        assert deviance(LEVELS, correct, total, other)[0] > best


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=2, max_size=9))
def test_isotonic_regression_is_that_of_scikit_learn(counts):
    total = np.array([[k + n for k, n in counts]], dtype=float)
    correct = np.array([[k for k, _ in counts]], dtype=float)
    expected = IsotonicRegression().fit_transform(np.arange(len(counts)), (correct / total)[0], sample_weight=total[0])
    assert isotonic_fit(correct, total)[0] == pytest.approx(expected)


def test_the_isotonic_crossing_interpolates_and_never_leaves_the_range():
    proportions = np.array([[0.5, 0.7, 0.8], [0.8, 0.8, 0.9], [0.5, 0.5, 0.6], [0.5, 0.75, 0.75]])
    assert crossing(np.array([0.0, 1.0, 2.0]), proportions, 0.75) == pytest.approx([1.5, -np.inf, np.inf, 1.0])


HARD = {
    "ok": curve(60).at(LEVELS)[0],
    "lapses": curve(60, lapse=0.12).at(LEVELS)[0],
    "chance": np.full(len(LEVELS), 0.5),
    "ceiling": np.full(len(LEVELS), 0.97),
    "threshold at 3 s": curve(3000, 0.5).at(LEVELS)[0],
    "inverted U": np.array([0.5, 0.65, 0.85, 0.9, 0.75, 0.6, 0.5]),
    "levels off at 65 %": 0.5 + 0.3 * (curve(60).at(LEVELS)[0] - 0.5),
}


@pytest.mark.parametrize("n_sources", [8, 25])
@pytest.mark.parametrize(
    ("case", "status"),
    [
        ("ok", "ok"),
        ("lapses", "ok"),
        ("chance", "flat"),
        ("ceiling", "left_censored"),
        ("threshold at 3 s", "right_censored"),
        ("inverted U", "non_monotone"),
        ("levels off at 65 %", "never"),
    ],
)
def test_hard_cases_get_their_status_before_any_number(case, status, n_sources):
    result = measured(HARD[case], n_sources, trials=60)
    assert result.status == status
    if status == "ok":
        assert result.low < result.value < result.high
        assert 10**result.value == pytest.approx(10 ** curve(60, lapse=0.12 * (case == "lapses")).threshold(0.75)[0], rel=0.2)
    elif status.endswith("censored"):
        assert np.isinf(result.value)
    else:
        assert np.isnan([result.value, result.low, result.high]).all()


@given(st.integers(0, 10**6), st.floats(10, 4000), st.integers(2, 24))
@settings(max_examples=15)
def test_nothing_outside_the_tested_range_is_ever_printed(seed, threshold_ms, n_sources):
    result = measured(curve(threshold_ms, 0.3).at(LEVELS)[0], n_sources, seed=seed)
    for end in (result.value, result.low, result.high, result.isotonic):
        assert not np.isfinite(end) or LEVELS[0] <= end <= LEVELS[-1]


@pytest.mark.parametrize("n_sources", [1, 8])
def test_the_level_that_performance_falls_after_is_among_thousands(n_sources):
    """A staircase has as many levels as trials."""
    correct = np.repeat([0.5, 0.9, 0.2], 400) * 60

    def counts(correct):
        total = np.full((n_sources, len(correct)), 60.0)
        if n_sources == 1:
            return LevelCounts(correct[None], total, None)
        return leave_out([SourceCounts(np.tile(correct, (1, n_sources, 1)), total)] * 2, balanced)

    assert falls(counts(correct), 0.95)
    assert not falls(counts(np.sort(correct)), 0.95)


def test_the_interval_is_named_and_answers_of_one_source_are_not_independent():
    few, many = measured(HARD["ok"], 8, spread=1.0), measured(HARD["ok"], 25, spread=1.0)
    assert few.interval == many.interval == "jackknife_t"
    rng = np.random.default_rng(1)
    sources = classes(HARD["ok"], 8, rng, spread=1.0)
    correct, total = sum(group.correct[0].sum(axis=0) for group in sources), sum(group.total.sum(axis=0) for group in sources)
    naive = measure_threshold(LEVELS, LevelCounts(correct[None], total[None], None), SETTINGS, rng, LEVELS)
    assert naive.interval == "parametric_bootstrap"
    assert few.high - few.low > 1.5 * (naive.high - naive.low)


def test_the_jackknife_of_a_mean_is_the_one_used_for_accuracies():
    rng = np.random.default_rng(5)
    totals, counts = [rng.binomial(20, 0.8, n).astype(float) for n in (7, 12)], [np.full(n, 20.0) for n in (7, 12)]
    left_out = [(k.sum() - k) / (n.sum() - n) / 2 for k, n in zip(totals, counts, strict=True)]
    variance, df = jackknife_variance(left_out)
    expected = estimate([Sample(k[None], n, "free") for k, n in zip(totals, counts, strict=True)], [0.5, 0.5])
    assert (variance, df) == pytest.approx((expected.variance, expected.df))


def test_a_jackknife_over_sources_and_seeds_is_the_two_way_layout():
    """A mean over sources of equal size: the thresholds' jackknife must be what `estimate` makes of mean squares."""
    rng = np.random.default_rng(6)
    groups = [SourceCounts(rng.binomial(40, 0.5 + 0.2 * rng.random((3, 1, 1)), (3, n, 1)).astype(float), np.full((n, 1), 40.0)) for n in (9, 14)]
    counts = leave_out(groups, balanced)
    variance, df = counts.left_out.of(lambda x: x[..., 0, 0] / x[..., 1, 0]).variance()
    expected = estimate([Sample(group.correct[..., 0], group.total[:, 0], "free") for group in groups], [0.5, 0.5])
    assert (float(variance), float(df)) == pytest.approx((expected.variance, expected.df), rel=0.03)


def test_seeds_that_differ_widen_the_threshold_and_say_so():
    rng = np.random.default_rng(7)
    shifts = np.array([-0.3, 0.0, 0.3])
    chance = np.array([curve(10 ** (1.8 + shift)).at(LEVELS)[0] for shift in shifts])
    alike = [SourceCounts(np.repeat(rng.binomial(15, chance[1], (1, 20, 7)), 3, axis=0).astype(float), np.full((20, 7), 15.0)) for _ in range(2)]
    apart = [SourceCounts(rng.binomial(15, chance[:, None], (3, 20, 7)).astype(float), np.full((20, 7), 15.0)) for _ in range(2)]
    same, different = (measure_threshold(LEVELS, leave_out(groups, balanced), SETTINGS, rng, LEVELS) for groups in (alike, apart))
    assert same.interval == different.interval == "two_way_t"
    variance, df = different.thresholds.variance()
    assert np.sqrt(variance) == pytest.approx(0.3 / np.sqrt(3), rel=0.25), "the standard error over three seeds"
    assert df == pytest.approx(2, abs=0.5)
    assert np.sqrt(same.thresholds.variance()[0]) < 0.05


def test_equal_sources_still_have_an_interval():
    """No source differs, so the interval is that of independent answers."""
    correct = np.repeat(np.array([[[20.0, 21, 26, 33, 39, 40, 40]]]), 6, axis=1)
    groups = [SourceCounts(correct, np.full((6, 7), 40.0))]
    result = measure_threshold(LEVELS, leave_out(groups, lambda k, n: (k[0], n[0])), SETTINGS, np.random.default_rng(1), LEVELS)
    assert result.thresholds.variance()[0] == pytest.approx(0, abs=1e-9)
    assert (result.high - result.low) / 2 == pytest.approx(2.571 * np.sqrt(result.least_variance), rel=1e-3), "t with 5 degrees of freedom"
    assert result.high - result.low > 0.05


def test_the_difference_of_two_thresholds_cancels_what_sources_share():
    """Sources' thresholds have a standard deviation of 0.3 decades, the same for both systems, of which one needs 0.2 decades more."""
    rng = np.random.default_rng(9)
    shifts = [rng.normal(0, 0.3, (24, 1)) for _ in range(2)]

    def system(extra):
        chance = [0.5 + 0.5 * ndtr((LEVELS - 1.9 - extra - shift) / 0.2) for shift in shifts]
        return measure_threshold(
            LEVELS,
            leave_out([SourceCounts(rng.binomial(60, p)[None].astype(float), np.full(p.shape, 60.0)) for p in chance], balanced),
            SETTINGS,
            rng,
            LEVELS,
        )

    a, b = system(0.2), system(0.0)
    result = difference_of_thresholds(a, b)
    low, high = result.interval(0.95, -9, 9)
    assert low < 0.2 < high and result.p_zero() < 1e-6
    assert high - low < 0.6 * (b.high - b.low)
    back = difference_of_thresholds(b, a)
    assert (back.value, back.variance, back.df) == pytest.approx((-result.value, result.variance, result.df))
    assert not difference_of_thresholds(a, measured(HARD["ceiling"], 24)).known


@pytest.mark.parametrize("criterion", [-0.5, 0.0, 0.5])
def test_bias_moves_the_threshold_of_accuracy_but_not_that_of_d_prime(criterion):
    """d' = 1.5 log10(t / 20): 1.349 at 159 ms whatever the criterion; 75 % balanced accuracy at 159 ms, or at 208 ms with |c| = 0.5."""
    levels = np.log10(np.geomspace(20, 1000, 30))
    half = 0.75 * (levels - np.log10(20))
    n = np.full((1, len(levels)), 1e7)
    hits, alarms = n * ndtr(half - criterion), n * ndtr(-half - criterion)
    found = {}
    for measure in (balanced, unbiased):
        found[measure.__name__] = 10 ** crossing(levels, isotonic_fit(*measure([hits, n - alarms], [n, n])), 0.75)[0]
    assert found["unbiased"] == pytest.approx(159, abs=1)
    assert found["balanced"] == pytest.approx(208 if criterion else 159, abs=1)
    d_prime, c = sensitivity_and_criterion(hits, n, alarms, n)
    assert d_prime[0] == pytest.approx(2 * half, abs=1e-4) and c[0] == pytest.approx(criterion, abs=1e-4)


def test_a_threshold_with_its_interval_takes_less_than_a_second():
    rng = np.random.default_rng(1)
    sources = classes(HARD["ok"], 35, rng, trials=1)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        measure_threshold(LEVELS, leave_out(sources, balanced), SETTINGS, rng, LEVELS)
        times.append(time.perf_counter() - start)
    assert min(times) < 1


def test_psignifit_finds_the_same_thresholds():
    psignifit = pytest.importorskip("psignifit", reason="psignifit, the oracle, is not installed")
    rng = np.random.default_rng(8)
    for threshold, lapse in ((60, 0.0), (200, 0.05)):
        correct = rng.binomial(240, curve(threshold, 0.25, lapse).at(LEVELS)[0])
        data = np.column_stack([LEVELS, correct, np.full(len(LEVELS), 240)])
        oracle = psignifit.psignifit(data, experiment_type="2AFC", sigmoid="norm")
        ours = fit_curves(LEVELS, correct, np.full(len(LEVELS), 240), Family())
        assert 10 ** ours.threshold(0.75)[0] == pytest.approx(10 ** oracle.threshold(0.75, return_ci=False), rel=0.03)
        assert 10 ** ours.midpoint[0] == pytest.approx(10 ** oracle.parameter_estimate["threshold"], rel=0.03)


INDEX = baseline_index(12, 12)


def fitted(answers, n_bootstrap=100):
    thresholds, curves, contrasts = fit_study(answers, "normal", 0.75, 0.95, n_bootstrap, seed=1)
    validate(contrasts, CONTRASTS)
    return validate(thresholds, THRESHOLDS), validate(curves, CURVES)


def test_every_system_gets_its_curves_and_known_thresholds_are_found():
    index = baseline_index(40, 40)
    answers = collect_answers(observer(index, "base", threshold_ms=100, threshold_db=0, lapse=0.0), index, no_split())
    points = validate(point_table(answers, 0.95), POINTS)
    assert len(points) == 20 + 24
    assert (points.n_speech == 40).all() and (points.low <= points.balanced_accuracy).all()
    thresholds, curves = fitted(answers)
    assert len(thresholds) == 2 * (1 + 1 + 4)
    one = thresholds.set_index(["axis", "design", "held_duration_ms", "measure"]).sort_index()
    for measure in ("balanced_accuracy", "d_prime"):
        duration = thresholds[(thresholds.axis == "duration") & (thresholds.measure == measure)].iloc[0]
        assert duration.threshold == pytest.approx(100, rel=0.2) and duration.low < duration.threshold < duration.high
        snr = one.loc[("snr", "factorial", 1000, measure)]
        assert abs(snr.threshold) < 2 and snr.low < snr.threshold < snr.high
    assert set(curves.measure) == {"balanced_accuracy", "d_prime"}
    assert curves[curves.measure == "d_prime"].fitted.max() > 2


def test_seeds_that_answer_alike_are_no_more_evidence_than_one():
    single = observer(INDEX, "attention-grouped", seeds=(1,))
    twice = pd.concat([single, single.assign(seed=pd.array([2] * len(single), dtype="Int64"))])
    one, two = (fitted(collect_answers(answers, INDEX, no_split()))[0] for answers in (single, twice))
    columns = ["threshold", "low", "high"]
    accuracy = one.measure == "balanced_accuracy"
    assert two[accuracy][columns].to_numpy(float) == pytest.approx(one[accuracy][columns].to_numpy(float), rel=1e-6, nan_ok=True)


def test_a_detector_that_always_says_no_has_no_sensitivity_and_an_interval():
    """Whatever the sizes of the classes: 12 speech sources, 4 others."""
    index = INDEX[(INDEX.label == "SPEECH") | INDEX.source_id.isin([f"NONSPEECH{k}" for k in range(4)])]
    never = observer(index, "base").assign(answer="NONSPEECH")
    points = point_table(collect_answers(never, index, no_split()), 0.95)
    assert points.d_prime.abs().max() < 1e-12
    assert (points.d_prime_low < -0.3).all() and (points.d_prime_high > 0.3).all()
    assert (points.criterion_low < points.criterion_high - 0.3).all()


def test_no_interval_of_a_point_has_a_width_of_zero():
    for chance in (("SPEECH", "NONSPEECH"), ("SPEECH", "SPEECH"), ("NONSPEECH", "SPEECH")):
        said = INDEX.set_index("stimulus_id").label.map(dict(zip(("SPEECH", "NONSPEECH"), chance, strict=True)))
        answers = observer(INDEX, "base")
        points = point_table(collect_answers(answers.assign(answer=answers.stimulus_id.map(said)), INDEX, no_split()), 0.95)
        for low, high in (("low", "high"), ("d_prime_low", "d_prime_high"), ("criterion_low", "criterion_high")):
            assert (points[high] - points[low] > 0.01).all()


def test_contrasts_find_what_differs_and_are_corrected_within_their_question():
    index = baseline_index(24, 24)
    answers = [observer(index, "base", threshold_ms=200, threshold_db=5), observer(index, "energy", threshold_ms=60, threshold_db=-3)]
    _, _, contrasts = fit_study(collect_answers(pd.concat(answers), index, no_split()), "normal", 0.75, 0.95, 100, seed=1)
    table = validate(contrasts, CONTRASTS)
    ratio = table[(table.contrast == "ratio") & (table.measure == "balanced_accuracy")].iloc[0]
    assert (ratio.system_a, ratio.system_b, ratio.question) == ("energy", "base", "system")
    assert ratio.low < 60 / 200 < ratio.high < 1 and ratio.p < 0.01
    family = table[(table.question == "system") & table.p_holm.notna()]
    assert (family.p_holm >= family.p).all() and (table.p_holm[table.measure == "d_prime"].isna()).all()
    assert set(table.held_duration_b[table.question == "duration"]) == {1000}


def test_sources_that_anything_trained_or_tuned_on_are_left_out():
    split = INDEX[["stimulus_id", "clip_id", "source_id", "label"]].assign(part="test")
    split.loc[split.source_id == "SPEECH0", "part"] = "dev"
    split.loc[split.source_id == "NONSPEECH1", "part"] = "train"
    (answers,) = collect_answers(observer(INDEX, "base"), INDEX, split)
    assert not {"SPEECH0", "NONSPEECH1"} & set(answers.counts.source_id)
    assert answers.counts.source_id.nunique() == 22


def test_answers_that_are_missing_or_double_are_refused():
    answers = observer(INDEX, "base")
    for wrong in (answers.iloc[1:], pd.concat([answers, answers.iloc[:1]])):
        with pytest.raises(InputError, match="system base: some baseline stimuli have no answer or several"):
            collect_answers(wrong, INDEX, no_split())


def test_a_single_source_is_described_without_an_interval():
    index = INDEX[(INDEX.label == "SPEECH") | (INDEX.source_id == "NONSPEECH0")]
    thresholds, curves = fitted(collect_answers(observer(index, "base"), index, no_split()))
    assert set(thresholds.interval) == {"none"} and set(thresholds.reliability) == {"descriptive_only"}
    assert thresholds[["low", "high"]].isna().all(axis=None) and curves[["low", "high"]].isna().all(axis=None)
    assert np.isfinite(thresholds.threshold[thresholds.status == "ok"]).all() and (thresholds.status == "ok").any()


def test_a_missing_class_and_an_empty_level_end_in_one_clear_line():
    speech = INDEX[INDEX.label == "SPEECH"]
    with pytest.raises(InputError, match="no NONSPEECH stimulus"):
        collect_answers(observer(speech, "base"), speech, no_split())
    index = INDEX[(INDEX.label == "SPEECH") | ~((INDEX.axis == "duration") & (INDEX.duration_ms == 40))]
    answers = collect_answers(observer(index, "base"), index, no_split())
    with pytest.raises(InputError, match="base, duration curve: level 40 has no NONSPEECH stimulus"):
        list(curves_of(answers[0]))
    with pytest.raises(InputError, match="no NONSPEECH stimulus"):
        point_table(answers, 0.95)


@pytest.mark.slow
@pytest.mark.parametrize("n_sources", [5, 10, 20])
def test_intervals_hold_the_truth_as_often_as_they_say_and_thresholds_are_not_biased(n_sources):
    """Speakers' thresholds vary by 0.15 decades; the average over them is again a normal curve, with a known threshold."""
    scale, between, lapse, median = 0.2, 0.15, 0.02, 70
    truth = curve(median, float(np.hypot(scale, between)), lapse).threshold(0.75)[0]
    held, values = [], []
    for study in range(300):
        rng = np.random.default_rng([n_sources, study])
        groups = []
        for _ in range(2):
            each = Curves(
                Family(),
                rng.normal(np.log10(median), between, n_sources),
                np.full(n_sources, scale),
                np.full(n_sources, lapse),
            ).at(LEVELS)
            trials = 300 // n_sources
            groups.append(SourceCounts(rng.binomial(trials, each).astype(float)[None], np.full(each.shape, float(trials))))
        result = measure_threshold(LEVELS, leave_out(groups, balanced), SETTINGS, rng, LEVELS)
        held.append(result.low <= truth <= result.high)
        values.append(result.value)
    assert 0.90 <= np.mean(held) <= 0.98
    assert abs(np.mean(values) - truth) < 3 * np.std(values) / np.sqrt(len(values)) + 0.003
