"""Distributions are those of scipy.stats, to the last bit: whoever reads a table may compute it again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from earwitness.statistics import distributions

PROBABILITY = st.floats(0, 1, exclude_min=True, exclude_max=True)
DF = st.one_of(st.floats(-1, 500), st.just(float("inf")), st.just(float("nan")))
VALUE = st.floats(-60, 60)


@given(PROBABILITY, VALUE, DF)
def test_quantiles_and_tails_are_those_of_scipy(probability, value, df):
    ours = (
        distributions.normal_quantile(probability),
        distributions.normal_tail(value),
        distributions.t_quantile(probability, df),
        distributions.t_tail(value, df),
        distributions.chi_squared_tail(abs(value), 1),
    )
    theirs = (
        stats.norm.ppf(probability),
        stats.norm.sf(value),
        stats.t.ppf(probability, df),
        stats.t.sf(value, df),
        stats.chi2.sf(abs(value), 1),
    )
    np.testing.assert_array_equal(ours, theirs)


def test_many_values_at_once_are_each_ones_own():
    df = np.array([1.0, 4.5, 30.0])
    np.testing.assert_array_equal(distributions.t_quantile(0.975, df), stats.t.ppf(0.975, df))
    np.testing.assert_array_equal(distributions.t_tail(np.array([-1.0, 0.0, 2.0]), df), stats.t.sf([-1.0, 0.0, 2.0], df))


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_an_interval_of_a_share_is_wilsons(confidence):
    for total in (1, 2, 7, 160, 4000):
        for right in {0, 1, total // 3, total - 1, total}:
            theirs = stats.binomtest(right, total).proportion_ci(confidence, method="wilson")
            assert distributions.wilson_interval(right, total, confidence) == (theirs.low, theirs.high)
