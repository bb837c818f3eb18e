from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from earwitness.statistics.multiple_tests import holm


def test_holms_correction_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert len(holm([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_correction_is_that_of_statsmodels(p_values):
    # statsmodels collects garbage each time, which takes half a second where other tests have loaded torch.
    with patch("gc.collect"):
        theirs = multipletests(p_values, method="holm")[1]
    np.testing.assert_array_equal(holm(p_values), theirs)
