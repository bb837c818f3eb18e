import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from earwitness.statistics.clustered import (
    Sample,
    degrees_of_freedom,
    durkalski_p,
    estimate,
    mcnemar_p,
    naive_interval,
    reliability,
    sample_by_source,
    sign_flip_p,
)


def binary_items(rng, n_sources, n_items, logit=1.0, spread=0.8):
    """Right or wrong answers, shape (n_sources * n_items,), and the source of each."""
    chance = expit(rng.normal(logit, spread, n_sources))
    return (rng.random((n_sources, n_items)) < chance[:, None]).ravel().astype(float), np.repeat([f"s{k}" for k in range(n_sources)], n_items)


def test_sources_of_equal_size_give_the_t_interval_over_source_means():
    means = np.array([0.6, 0.7, 0.9, 0.8, 0.5])
    result = estimate([Sample(means[None] * 20, np.full(5, 20.0), "free")], [1.0])
    low, high = stats.t.interval(0.95, 4, means.mean(), stats.sem(means))
    assert result.method == "jackknife_t"
    assert result.interval(0.95, 0, 1) == pytest.approx((low, high))
    assert result.p_zero() == pytest.approx(stats.ttest_1samp(means, 0).pvalue)


def test_one_seed_follows_the_textbook_jackknife_for_sources_of_unequal_size():
    totals, counts = np.array([3.0, 18.0, 9.0, 40.0]), np.array([5.0, 20.0, 10.0, 60.0])
    result = estimate([Sample(totals[None], counts, "free")], [1.0])
    whole = totals.sum() / counts.sum()
    left_out = [np.delete(totals, k).sum() / np.delete(counts, k).sum() for k in range(4)]
    assert result.value == pytest.approx(whole)
    assert result.variance == pytest.approx(3 / 4 * np.sum((np.array(left_out) - whole) ** 2))


@pytest.mark.parametrize(("counts", "expected"), [([1, 1, 1, 1], 3), ([7, 7], 1), ([1, 1, 2], 1681 / 1153)])
def test_degrees_of_freedom_of_sources_of_unequal_size_by_hand(counts, expected):
    """1, 1, 2: w = 1/4, 1/4, 1/2 and g = 1/9, 1/9, 1, so A has the trace 41/72 and the sum of squares 1153/5184."""
    assert degrees_of_freedom(np.array(counts) / sum(counts)) == pytest.approx(expected)


def test_two_classes_are_welch_s_test():
    rng = np.random.default_rng(4)
    a, b = rng.random(7), rng.random(12)
    result = estimate([Sample(a[None], np.ones(7), "free"), Sample(b[None], np.ones(12), "free")], [1.0, -1.0])
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert result.p_zero() == pytest.approx(welch.pvalue)
    assert result.df == pytest.approx(welch.df)


def test_two_way_interval_matches_the_mean_squares_by_hand():
    y = np.array([[0.70, 0.80, 0.60, 0.90], [0.75, 0.78, 0.70, 0.95], [0.60, 0.75, 0.55, 0.80]])
    result = estimate([Sample(y * 10, np.full(4, 10.0), "free")], [1.0])
    ms_seed = 4 * np.var(y.mean(axis=1), ddof=1)
    ms_source = 3 * np.var(y.mean(axis=0), ddof=1)
    residual = y - y.mean(axis=1, keepdims=True) - y.mean(axis=0) + y.mean()
    ms_residual = np.sum(residual**2) / 6
    assert result.method == "two_way_t"
    assert result.variance == pytest.approx((ms_seed + ms_source - ms_residual) / 12)
    df = (ms_seed + ms_source - ms_residual) ** 2 / (ms_seed**2 / 2 + ms_source**2 / 3 + ms_residual**2 / 6)
    assert result.df == pytest.approx(max(df, 2))


def test_a_seed_that_trades_one_class_for_the_other_does_not_blur_balanced_accuracy():
    rng = np.random.default_rng(5)
    sources = rng.normal(0.7, 0.05, (1, 10))
    bias = np.array([[-0.2], [0.0], [0.2]])
    opposite = [Sample(sources + bias, np.ones(10)), Sample(sources - bias, np.ones(10))]
    together = [Sample(sources + bias, np.ones(10)), Sample(sources + bias, np.ones(10))]
    one_seed = estimate([Sample(sources, np.ones(10))] * 2, [0.5, 0.5])
    assert estimate(opposite, [0.5, 0.5]).variance == pytest.approx(one_seed.variance)
    assert estimate(together, [0.5, 0.5]).variance > 5 * one_seed.variance


def test_all_right_rests_on_one_imagined_source_by_hand():
    """Ten sources of equal size, all right: the imagined one has 1 / 11 of the class and answers the other way round, so the
    limit is 1 - t / 11 with 9 degrees of freedom; of two such classes it is 1 - t sqrt(2) / 22 with 18."""
    sample = Sample(np.full((1, 10), 50.0), np.full(10, 50.0))
    one, two = estimate([sample], [1.0]), estimate([sample, sample], [0.5, 0.5])
    assert one.interval(0.95, 0, 1) == pytest.approx((1 - stats.t.ppf(0.975, 9) / 11, 1.0))
    assert two.interval(0.95, 0, 1) == pytest.approx((1 - stats.t.ppf(0.975, 18) * math.sqrt(2) / 22, 1.0))
    none = estimate([Sample(np.zeros((1, 10)), np.full(10, 50.0))], [1.0])
    assert none.interval(0.95, 0, 1) == pytest.approx((0.0, stats.t.ppf(0.975, 9) / 11))


def test_identical_answers_rest_on_one_imagined_source_by_hand():
    """28 sources a class, no difference anywhere: the imagined one has 1 / 29 of a class and differs by a half, so the standard error
    is sqrt(2) / 4 / 29, and 3 points are 2.46 of it with 54 degrees of freedom."""
    same = Sample(np.zeros((1, 28)), np.full(28, 50.0), "difference")
    result = estimate([same, same], [0.5, 0.5])
    assert math.sqrt(result.variance) == pytest.approx(math.sqrt(2) / 4 / 29)
    assert result.p_zero() == 1
    assert result.p_equivalence(0.03) == pytest.approx(stats.t.sf(0.03 * 29 * 4 / math.sqrt(2), 54))


@pytest.mark.parametrize(("accuracy", "below", "above"), [(0.5, 0.25, 0.25), (0.6, 0.25, 0.25), (0.8, 0.6, 0.25), (0.2, 0.25, 0.6), (1.0, 1.0, 0.25)])
def test_the_imagined_source_answers_the_other_way_round(accuracy, below, above):
    result = estimate([Sample(np.full((3, 10), accuracy * 50), np.full(10, 50.0))], [1.0])
    assert (math.sqrt(result.below), math.sqrt(result.above)) == pytest.approx((below / 11, above / 11))
    assert result.method == "two_way_t"


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(1, 3), st.sampled_from([0.0, 0.02, 0.5, 1.0]), st.sampled_from(["share", "difference"])
)
def test_one_answer_more_or_less_moves_no_limit_far(seed, n_sources, n_seeds, chance, scale):
    """Continuity: one of at least 40 answers of one source moves the mean by about 1 / 40 n, and each limit by a few times t as much."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(40, 60, n_sources).astype(float)
    totals = rng.binomial(counts.astype(int), chance, (n_seeds, n_sources)).astype(float)
    if scale == "difference":
        totals -= rng.binomial(counts.astype(int), chance, (n_seeds, n_sources))
    other = totals.copy()
    other[0, 0] += 1 if other[0, 0] < counts[0] else -1
    before, after = (estimate([Sample(x, counts, scale)], [1.0]) for x in (totals, other))
    widest = max(stats.t.ppf(0.975, result.df) for result in (before, after))
    limits = np.array([result.interval(0.95, -math.inf, math.inf) for result in (before, after)])
    assert np.abs(limits[1] - limits[0]).max() < 3 * widest / (n_sources * 40)
    assert np.ptp(limits[0]) > 0.25 / (n_sources + 1)


def test_one_wrong_answer_changes_no_verdict_of_equivalence():
    """28 sources of 50 items a class: identical answers, and one that differs."""
    counts = np.full(28, 50.0)
    same, one = (Sample(np.eye(1, 28) * wrong, counts, "difference") for wrong in (0.0, 1.0))
    p = [estimate([first, same], [0.5, 0.5]).p_equivalence(0.03) for first in (same, one)]
    assert p[0] < p[1] < 1.1 * p[0] < 0.05


def test_free_outcomes_that_all_agree_have_no_interval():
    result = estimate([Sample(np.full((1, 10), 7.0), np.full(10, 5.0), "free")], [1.0])
    assert (result.value, result.method) == (pytest.approx(1.4), "none")


def test_a_single_source_has_no_interval():
    result = estimate([Sample(np.array([[3.0]]), np.array([5.0])), Sample(np.array([[3.0, 4.0]]), np.array([5.0, 5.0]))], [0.5, 0.5])
    assert result.method == "none"
    assert result.value == pytest.approx((3 / 5 + 7 / 10) / 2)
    assert all(math.isnan(x) for x in (*result.interval(0.95, 0, 1), result.p_zero(), result.p_equivalence(0.03)))


@pytest.mark.parametrize(("sources", "verdict"), [((10, 30), "ok"), ((9, 30), "few_sources"), ((6, 6), "few_sources"), ((30, 5), "descriptive_only")])
def test_reliability_is_that_of_the_poorer_class(sources, verdict):
    assert reliability(min(sources)) == verdict


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 3))
def test_order_and_names_of_sources_change_nothing(seed, n_sources, n_seeds):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(n_sources, 60))
    sources = np.concatenate([np.arange(n_sources), rng.integers(0, n_sources, n - n_sources)]).astype(str)
    outcomes = rng.integers(0, 2, (n_seeds, n))
    order, names = rng.permutation(n), dict(zip(map(str, range(n_sources)), rng.permutation(n_sources).astype(str), strict=True))
    renamed = np.array([names[source] for source in sources])
    a = estimate([sample_by_source(outcomes, sources)], [1.0])
    b = estimate([sample_by_source(outcomes[:, order], renamed[order])], [1.0])
    assert (b.value, b.variance, b.df) == pytest.approx((a.value, a.variance, a.df))
    assert b.method == a.method


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 15))
def test_repeating_every_item_shrinks_only_the_naive_interval(seed, n_sources):
    outcomes, sources = binary_items(np.random.default_rng(seed), n_sources, 8)
    once, twice = sample_by_source(outcomes, sources), sample_by_source(np.tile(outcomes, 2), np.tile(sources, 2))
    assert estimate([twice], [1.0]).interval(0.95, 0, 1) == pytest.approx(estimate([once], [1.0]).interval(0.95, 0, 1))
    widths = [high - low for low, high in (naive_interval([sample], [1.0], 0.95) for sample in (once, twice))]
    assert widths[1] < 0.85 * widths[0]


def test_naive_interval_of_one_class_is_wilson_s():
    low, high = naive_interval([Sample(np.array([[5.0, 3.0]]), np.array([5.0, 5.0]))], [1.0], 0.95)
    assert (low, high) == pytest.approx(tuple(stats.binomtest(8, 10).proportion_ci(0.95, method="wilson")))


@pytest.mark.parametrize("n", [6, 10])
def test_smallest_sign_flip_p(n):
    assert sign_flip_p(np.full(n, 0.1)) == 2.0 ** (1 - n)


def test_drawn_sign_patterns_never_give_a_p_of_zero():
    """Forty equal contributions: 2 of 2^40 patterns are as extreme, and none of those is drawn."""
    assert sign_flip_p(np.ones(40)) == 1 / 100_001


@settings(max_examples=40)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=11))
def test_sign_flip_counts_every_pattern(values):
    x = np.array(values, dtype=float)
    patterns = 2 * ((np.arange(2 ** len(x))[:, None] >> np.arange(len(x))) & 1) - 1
    assert sign_flip_p(x / 10) == pytest.approx(np.mean(np.abs(patterns @ x) >= abs(x.sum())))
    assert sign_flip_p(-x / 10) == sign_flip_p(x / 10)


def test_drawn_and_counted_sign_patterns_agree(monkeypatch):
    x = np.random.default_rng(6).normal(0.25, 1, 30)
    counted = sign_flip_p(x)
    monkeypatch.setattr("earwitness.statistics.clustered.EXACT_SIGN_FLIP_SOURCES", 10)
    drawn = sign_flip_p(x)
    assert drawn == pytest.approx(counted, abs=0.006)
    assert sign_flip_p(-x[::-1]) == drawn


def test_durkalski_with_one_item_per_source_is_mcnemar_s():
    only_a, only_b, both = 12, 4, 30
    d = np.array([1.0] * only_a + [-1.0] * only_b + [0.0] * both)
    assert durkalski_p(d) == pytest.approx(stats.chi2.sf((only_a - only_b) ** 2 / (only_a + only_b), 1))


def test_durkalski_by_hand():
    items, only_a, only_b = np.array([4, 5, 2, 8]), np.array([2, 1, 0, 4]), np.array([0, 1, 1, 0])
    d = (only_a - only_b) / items
    assert d.tolist() == [0.5, 0.0, -0.5, 0.5]
    assert durkalski_p(d) == pytest.approx(stats.chi2.sf(0.25 / 0.75, 1))


def test_durkalski_cannot_be_significant_with_three_sources():
    assert durkalski_p([0.5, 0.5, 0.5]) > 0.05


def test_mcnemar_on_the_published_thyroid_counts():
    """21 patients, discordant 1 and 7 (Obuchowski 1998): chi-squared 4.5, p 0.034; the exact p of 9 / 128 is stricter."""
    assert stats.chi2.sf((1 - 7) ** 2 / (1 + 7), 1) == pytest.approx(0.034, abs=5e-4)
    assert mcnemar_p(1, 7) == pytest.approx(2 * (1 + 8) / 2**8)
    assert mcnemar_p(7, 1) == mcnemar_p(1, 7)


def test_tests_that_see_no_difference_at_all_say_p_1():
    assert (mcnemar_p(0, 0), durkalski_p([0.0, 0.0]), sign_flip_p([0.0, 0.0])) == (1.0, 1.0, 1.0)


def test_equivalence_agrees_with_the_90_percent_interval():
    result = estimate([Sample(np.array([[0.01, 0.02, -0.01, 0.0, 0.015, 0.005]]), np.ones(6), "difference")], [1.0])
    low, high = result.interval(0.90, -1, 1)
    edge = max(-low, high)
    assert result.p_equivalence(edge + 1e-6) < 0.05 < result.p_equivalence(edge - 1e-6)


def clustered_coverage(n_sources, replicates, seed):
    """Share of clustered and of naive 95 % intervals of balanced accuracy that hold the true value."""
    rng = np.random.default_rng(seed)
    truth = expit(rng.normal(1.0, 0.7, 1_000_000)).mean()
    hits = np.zeros(2)
    for _ in range(replicates):
        chance = expit(rng.normal(1.0, 0.7, (2, n_sources)))
        samples = [Sample(rng.binomial(50, row)[None].astype(float), np.full(n_sources, 50.0)) for row in chance]
        intervals = estimate(samples, [0.5, 0.5]).interval(0.95, 0, 1), naive_interval(samples, [0.5, 0.5], 0.95)
        hits += [low <= truth <= high for low, high in intervals]
    return hits / replicates


def type_one_errors(n_sources, replicates, seed):
    """How often the clustered t, the sign-flip test and McNemar reject a true null of no mean difference."""
    rng = np.random.default_rng(seed)
    rejected = np.zeros(3)
    for _ in range(replicates):
        common = rng.normal(1, 0.7, (2, n_sources, 1))
        a, b = (rng.random((2, n_sources, 100)) < expit(common + rng.normal(0, 0.35, (2, n_sources, 1))) for _ in range(2))
        samples = [Sample((x.astype(float) - y).sum(axis=1)[None], np.full(n_sources, 100.0), "difference") for x, y in zip(a, b, strict=True)]
        parts = np.concatenate([0.5 * sample.totals[0] / sample.counts.sum() for sample in samples])
        mcnemar = mcnemar_p(int((a & ~b).sum()), int((b & ~a).sum()))
        rejected += [estimate(samples, [0.5, 0.5]).p_zero() < 0.05, sign_flip_p(parts) < 0.05, mcnemar < 0.05]
    return rejected / replicates


def two_way_coverage(n_seeds, n_sources, seed_spread, replicates, seed):
    """Share of 95 % intervals over seeds and sources that hold the accuracy of a new seed on a new source."""
    rng = np.random.default_rng(seed)
    truth = expit(rng.normal(1.2, math.hypot(seed_spread, 0.5), 1_000_000)).mean()
    hits = 0
    for _ in range(replicates):
        chance = expit(1.2 + rng.normal(0, seed_spread, (n_seeds, 1)) + rng.normal(0, 0.5, (1, n_sources)))
        sample = Sample(rng.binomial(50, chance).astype(float), np.full(n_sources, 50.0))
        low, high = estimate([sample], [1.0]).interval(0.95, 0, 1)
        hits += low <= truth <= high
    return hits / replicates


def test_clustered_interval_covers_where_the_naive_one_does_not():
    clustered, naive = clustered_coverage(10, 300, seed=7)
    assert clustered >= 0.93
    assert naive < 0.75


def test_clustered_tests_hold_their_level_where_mcnemar_does_not():
    clustered, flipped, mcnemar = type_one_errors(8, 200, seed=8)
    assert max(clustered, flipped) <= 0.10
    assert mcnemar > 0.15


def test_two_way_interval_covers_with_few_seeds():
    assert two_way_coverage(3, 14, 0.3, 300, seed=9) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("n_sources", [3, 6, 10, 20])
def test_coverage_of_the_clustered_interval(n_sources):
    clustered, naive = clustered_coverage(n_sources, 3000, seed=10)
    assert clustered >= 0.93
    assert naive < 0.75


@pytest.mark.slow
@pytest.mark.parametrize("n_sources", [6, 10, 20])
def test_type_one_error_of_the_clustered_tests(n_sources):
    clustered, flipped, mcnemar = type_one_errors(n_sources, 1500, seed=11)
    assert clustered <= 0.06
    assert 0.03 <= flipped <= 0.07
    assert mcnemar > 0.2


@pytest.mark.slow
@pytest.mark.parametrize(("n_seeds", "n_sources", "seed_spread"), [(5, 20, 0.15), (5, 20, 0.4), (3, 50, 0.3), (3, 14, 0.0)])
def test_coverage_of_the_two_way_interval(n_seeds, n_sources, seed_spread):
    assert two_way_coverage(n_seeds, n_sources, seed_spread, 2000, seed=12) >= 0.93
