"""The intervals and tests in use hold their level on a small version of the benchmark, and the naive ones do not."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import inference


@pytest.mark.slow
@pytest.mark.parametrize(("n_seeds", "n_sources"), [(1, 5), (1, 20), (5, 10)])
def test_the_interval_in_use_covers_and_the_naive_one_does_not(n_seeds, n_sources):
    covered = inference.coverage(n_seeds, n_sources, 150, inference.Population())
    assert covered["by source and seed (in use)"] >= 0.9
    assert covered["naive (independent items)"] < 0.75


@pytest.mark.slow
@pytest.mark.parametrize("n_sources", [5, 20])
def test_the_test_in_use_holds_its_level_and_mcnemar_does_not(n_sources):
    wrong = inference.type_one_error(n_sources, 150, inference.Population())
    assert wrong["t by source (in use)"] <= 0.09
    assert wrong["McNemar (independent items)"] > 0.15
