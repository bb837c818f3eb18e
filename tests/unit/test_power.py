"""What would settle a comparison, against published and simulated reference numbers."""

import math

import numpy as np
import pytest
from report_examples import comparisons, power
from scipy import stats
from statsmodels.stats.power import TTestPower

from earwitness.core.randomness import stream
from earwitness.evaluation.power import Design, detectable_difference, power_of_difference, power_of_equivalence, times_sources
from earwitness.report.comparison_text import conclusion_sentences
from earwitness.statistics.clustered import Components, Sample, estimate, variance_components


@pytest.mark.parametrize("n", [5, 10, 30])
@pytest.mark.parametrize("effect", [0.2, 0.5, 1.0])
def test_the_power_of_a_t_test_is_statsmodels(n, effect):
    ours = power_of_difference(effect, 1 / math.sqrt(n), n - 1, 0.05)
    assert ours == pytest.approx(TTestPower().power(effect, n, 0.05), abs=1e-4)


def test_the_smallest_detectable_difference_with_few_speakers():
    """Reference: differences between speakers of standard deviation 4, 6, 8 points, 5 and 3 speakers, power 80 %."""
    for sd, five in ((4, 6.7), (6, 10.1), (8, 13.5)):
        assert detectable_difference(sd / math.sqrt(5), 4, 0.05, 0.8) == pytest.approx(five, abs=0.1)
    assert detectable_difference(4 / math.sqrt(3), 2, 0.05, 0.8) == pytest.approx(13.1, abs=0.1)


def test_the_number_of_speakers_for_three_points():
    """Reference: standard deviation sqrt(0.06^2 + 0.12 / 60) between speakers: 51 of them find 3 points with 80 %, 68 with 90 %."""
    sd = math.sqrt(0.06**2 + 0.12 / 60)
    design = Design(Components(0.0, (sd**2,), (0.0,), (1.0,), (0.0,), (1.0,), (1.0,)), 1, (20.0,))
    for chance, speakers in ((0.8, 51), (0.9, 68)):
        times = times_sources(design, lambda error, df: power_of_difference(0.03, error, df, 0.05), chance)
        assert 20 * times == pytest.approx(speakers, abs=1.5)


def test_equivalence_needs_a_simulated_number_of_tests_to_pass():
    error, df = 0.008, 19
    rng = stream(1, "tost")
    means = rng.normal(0, error, 20_000)
    errors = error * np.sqrt(rng.chisquare(df, 20_000) / df)
    passed = (np.abs(means) + stats.t.ppf(0.95, df) * errors < 0.03).mean()
    assert power_of_equivalence(0.03, error, df, 0.05) == pytest.approx(passed, abs=0.02)
    assert power_of_equivalence(0.03, 0.1, df, 0.05) == 0


def test_seeds_that_differ_cannot_be_outnumbered_by_sources():
    components = Components(0.05**2, (0.1**2, 0.1**2), (0.0, 0.0), (0.5, 0.5), (0.5, 0.5), (1.0, 1.0), (1.0, 1.0))
    hopeless = Design(components, 3, (28.0, 28.0))
    assert times_sources(hopeless, lambda error, df: power_of_difference(0.01, error, df, 0.05), 0.8) == math.inf


def test_components_give_back_the_estimate_s_own_variance():
    rng = stream(2, "components")
    seeds = 0.7 + rng.normal(0, 0.03, (4, 1))
    samples = [Sample(20 * (seeds + rng.normal(0, 0.1, (1, n)) + rng.normal(0, 0.05, (4, n))), np.full(n, 20.0)) for n in (12, 17)]
    components = variance_components(samples, [0.5, 0.5])
    found = estimate(samples, [0.5, 0.5])
    assert components is not None
    assert components.of_mean(4, [12, 17]) == pytest.approx((found.variance, found.df), rel=1e-6)


def test_components_are_found_where_they_were_put():
    rng = stream(3, "truth")
    found = []
    for _ in range(60):
        shared = rng.normal(0, 0.04, (5, 1))
        samples = [Sample(0.7 + shared + rng.normal(0, sd, (1, 40)) + rng.normal(0, 0.06, (5, 40)), np.ones(40)) for sd in (0.1, 0.2)]
        found.append(variance_components(samples, [0.5, 0.5]))
    assert np.mean([c.seed for c in found]) == pytest.approx(0.04**2, rel=0.25)
    assert np.mean([c.sources for c in found], axis=0) == pytest.approx([0.1**2, 0.2**2], rel=0.15)
    assert np.mean([c.residuals for c in found]) == pytest.approx(0.06**2, rel=0.1)


def test_sentences_say_what_would_settle_it_only_where_nothing_is_settled():
    statistics = {"confidence": 0.95, "equivalence_margin": 0.03, "power": 0.8}
    settled = conclusion_sentences(comparisons(), power(), statistics)[0]
    assert settled.endswith("different (+10.0 points [+4.0,\N{NO-BREAK SPACE}+16.0]).")
    words = conclusion_sentences(comparisons("inconclusive"), power(), statistics)[0]
    assert "a true difference of 9.0 points or more" in words and "31 + 31 sources" in words and "43 + 43 sources" in words
    assert "power after the fact" in words
    never = power().assign(times_sources_for_observed=np.inf)
    assert "more seeds than these" in conclusion_sentences(comparisons("inconclusive"), never, statistics)[0]
    neither = never.assign(times_sources_for_equivalence=np.inf)
    assert conclusion_sentences(comparisons("inconclusive"), neither, statistics)[0].count("more seeds than these") == 1
    few = power().assign(standard_error=np.nan)
    assert "nothing is concluded" in conclusion_sentences(comparisons("descriptive_only"), few, statistics)[0]
