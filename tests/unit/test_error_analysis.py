import pandas as pd
import pytest
from scored_by_hand import INDEX, scored

from earwitness.evaluation.error_analysis import error_rate_table, error_table

X = scored("x-grouped", "01101101", "01011100")
"""Wrong by both seeds: a1, c1. By one: a3, a4, d1."""


def test_what_is_wrong_is_listed_by_class_then_by_how_many_seeds_then_by_confidence():
    table = error_table([X], INDEX)
    # Mean log-odds: a1 -1; a3 (3 - 3) / 2; a4 (-4 + 4) / 2; c1 (7 + 7) / 2; d1 (-8 + 8) / 2.
    assert list(zip(table.stimulus_id, table.n_wrong, table.log_odds, strict=True)) == [
        ("a1", 2, -1), ("a3", 1, 0), ("a4", 1, 0), ("c1", 2, 7), ("d1", 1, 0),
    ]  # fmt: skip
    assert set(table.n_seeds) == {2} and set(table.system_id) == {"x-grouped"}
    assert dict(zip(table.stimulus_id, table.category, strict=True))["d1"] == "rain"


def test_the_surer_of_two_errors_comes_first():
    table = error_table([scored("base", "00111111")], INDEX)
    assert table.stimulus_id.tolist() == ["a2", "a1"], "a2 has log-odds of -2, a1 of -1"


def test_rates_are_means_over_items_and_seeds_by_class_and_factor():
    rates = error_rate_table([X], INDEX, 0.95).set_index(["label", "factor", "value"])
    expected = {
        ("SPEECH", "all", "all"): 4 / 12, ("SPEECH", "category", "talk"): 4 / 12,
        ("SPEECH", "duration_ms", "200"): 2 / 6, ("SPEECH", "duration_ms", "400"): 2 / 6,
        ("SPEECH", "snr_db", "0"): 3 / 6, ("SPEECH", "snr_db", "10"): 1 / 6,
        ("NONSPEECH", "all", "all"): 3 / 4, ("NONSPEECH", "category", "dog"): 1, ("NONSPEECH", "category", "rain"): 1 / 2,
        ("NONSPEECH", "duration_ms", "200"): 1, ("NONSPEECH", "duration_ms", "400"): 1 / 2,
        ("NONSPEECH", "snr_db", "0"): 1, ("NONSPEECH", "snr_db", "10"): 1 / 2,
    }  # fmt: skip
    assert rates.error_rate.to_dict() == pytest.approx(expected)
    dog, everything = rates.loc["NONSPEECH", "category", "dog"], rates.loc["NONSPEECH", "all", "all"]
    assert (dog.n_items, dog.n_sources) == (1, 1) and pd.isna(dog.low), "one source says nothing of others"
    assert (everything.n_items, everything.n_sources) == (2, 2) and everything.low < 3 / 4
