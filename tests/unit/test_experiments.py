"""Experiments: what folds, recipes, training sources and sizes of test sets say."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from small_study import predictions, study

from earwitness.core.errors import InputError
from earwitness.evaluation.experiments import arms_of, efficiency_table, experiment_table
from earwitness.evaluation.learning_curve import learning_curves, line_weights
from earwitness.evaluation.scored_answers import score_systems
from earwitness.evaluation.test_set_size import draw_items, size_table
from earwitness.splits.study import split_into_fold, split_with_fewer_sources
from earwitness.systems import System
from earwitness.tables.experiments import EFFICIENCY, EXPERIMENT, LEARNING_CURVE, TEST_SIZES
from earwitness.tables.files import validate

FOLDS = 4


def folded(index):
    return {f"fold_{k}": split_into_fold(index, FOLDS, k, 0.1, 1) for k in range(FOLDS)}


def arms(index, splits, *systems, base=0.7):
    return arms_of(pd.concat([predictions(index, "base", chance=base, seed=9), *systems]), index, splits)


def right_on(split, part):
    chosen = set(split.stimulus_id[split.part == part])
    return lambda index: index.stimulus_id.isin(chosen)


def test_the_cross_validated_system_answers_each_source_by_the_adapter_that_did_not_hear_it():
    """Adapters that are right on what they did not hear and wrong on all else: together they are right on everything."""
    index, splits = study()
    folds = folded(index)
    systems = [predictions(index, f"attention-{name}", (1, 2), right_on(split, "test")) for name, split in folds.items()]
    table = validate(experiment_table(arms(index, splits | folds, *systems), 0.95), EXPERIMENT)
    together = table[table.test_set == "every_source"]
    assert set(together.seed) == {"1", "2", "all"} and set(together.split) == {"folds"}
    assert (together.balanced_accuracy == 1).all()
    assert (together.n_items == len(index)).all()
    assert (together.n_speech_sources == 8).all()
    assert (together.train_speech_sources == 8 - 2 - 1).all()
    heard = [predictions(index, f"attention-{name}", (1,), right_on(split, "train")) for name, split in folds.items()]
    wrong = experiment_table(arms(index, splits | folds, *heard), 0.95)
    assert (wrong.balanced_accuracy == 0).all(), "what was heard in training counts nowhere"


def test_the_interval_over_all_folds_is_narrower_than_that_of_one():
    index, splits = study(n_sources=16)
    folds = folded(index)
    noisy = [predictions(index, f"attention-{name}", (1,), seed=k) for k, name in enumerate(folds)]
    table = experiment_table(arms(index, splits | folds, *noisy), 0.95).set_index("split")
    width = table.high - table.low
    assert width["folds"] < min(width[name] for name in folds)


def test_a_missing_fold_is_refused():
    index, splits = study()
    folds = folded(index)
    systems = [predictions(index, f"attention-{name}", (1,)) for name in list(folds)[1:]]
    with pytest.raises(InputError, match=r"system attention-folds, test set every_source: \d+ of \d+ answers are missing"):
        arms(index, splits | folds, *systems)


def test_a_split_that_was_not_given_is_named():
    index, splits = study()
    with pytest.raises(InputError, match="no split called fold_0 among grouped, row_random; attention-fold_0 needs it"):
        arms(index, splits, predictions(index, "attention-fold_0", (1,)))


def test_gains_are_over_the_base_and_over_the_first_recipe_with_the_same_seeds():
    index, splits = study()
    good, poor = predictions(index, "a-grouped", (1, 2, 3), 0.9), predictions(index, "b-grouped", (2,), 0.6, 2)
    same = good[good.seed < 3].assign(name="c")
    found = arms(index, splits, good, poor, same)
    table = experiment_table(found, 0.95).set_index(["recipe", "seed"])
    base = table.balanced_accuracy - table.gain
    assert base.max() - base.min() < 1e-9
    assert table.loc["a"].against_first.isna().all()
    expected = table.balanced_accuracy["b", "2"] - table.balanced_accuracy["a", "2"]
    assert table.against_first["b", "2"] == pytest.approx(expected)
    assert table.loc["c"].against_first.abs().max() == 0
    assert table.against_first_low["c", "1"] <= 0 <= table.against_first_high["c", "1"]


def test_the_leaky_split_stands_on_both_test_sets():
    index, splits = study()
    table = experiment_table(arms(index, splits, predictions(index, "a-row_random", (1,))), 0.95)
    assert table.test_set.tolist() == ["unseen", "row_random"]


def curve_study(slope, seeds=(1, 2), n_sources=60):
    """Adapters of 3 to 24 training sources whose log-odds of a right answer rise by `slope` per doubling."""
    index, splits = study(n_sources=n_sources)
    sizes = (3, 6, 12, 24)
    smaller = {f"train_{n}": split_with_fewer_sources(splits["grouped"], n, 1) for n in sizes}
    systems = []
    for n in sizes:
        rate = expit(0.5 + slope * np.log2(n))
        systems.append(predictions(index, f"a-train_{n}", seeds, rate, seed=n))
    return learning_curves(arms(index, splits | smaller, *systems), 0.95)


def test_a_line_in_log_odds_is_found_and_extrapolated():
    curve = validate(curve_study(0.3), LEARNING_CURVE)
    assert curve[curve.kind == "measured"].training_speakers.tolist() == [3, 6, 12, 24]
    beyond = curve[curve.kind == "extrapolated"].set_index("training_speakers")
    assert beyond.index.tolist() == [50, 100, 200]
    for speakers, row in beyond.iterrows():
        assert row.low < expit(0.5 + 0.3 * np.log2(speakers)) < row.high
        assert row.balanced_accuracy == pytest.approx(expit(0.5 + 0.3 * np.log2(speakers)), abs=0.04)


def test_further_out_is_less_known():
    curve = curve_study(0.0, seeds=(1,))
    log_odds = np.log(curve[["low", "high"]] / (1 - curve[["low", "high"]]))
    width = (log_odds.high - log_odds.low)[curve.kind == "extrapolated"].to_numpy()
    assert (np.diff(width) > 0).all()


def test_a_curve_that_may_level_off_is_not_lifted_beyond_the_last_point():
    curve = curve_study(0.4).query("kind != 'measured'").set_index("training_speakers")
    assert (curve.low[[50, 100, 200]] <= curve.low[24]).all()
    assert (curve.balanced_accuracy[[50, 100, 200]] > curve.balanced_accuracy[24]).all()


def test_two_sizes_make_no_curve():
    index, splits = study(n_sources=20)
    smaller = {"train_3": split_with_fewer_sources(splits["grouped"], 3, 1)}
    found = arms(index, splits | smaller, predictions(index, "a-train_3", (1,)), predictions(index, "a-grouped", (1,)))
    assert learning_curves(found, 0.95).empty


def test_an_adapter_of_the_leaky_split_is_no_point_of_the_curve():
    index, splits = study(n_sources=20)
    smaller = {"train_3": split_with_fewer_sources(splits["grouped"], 3, 1)}
    names = ("a-train_3", "a-grouped", "a-row_random")
    found = arms(index, splits | smaller, *(predictions(index, name, (1,)) for name in names))
    assert len({arm.training for arm in found}) == 3
    assert learning_curves(found, 0.95).empty


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=6, unique_by=lambda x: round(x, 1)), st.floats(-3, 3), st.floats(-3, 3))
def test_the_weights_continue_every_exact_line(x, slope, intercept):
    places, at = np.array(x), np.array([-7.0, 0.0, 9.0])
    np.testing.assert_allclose(line_weights(places, at) @ (slope * places + intercept), slope * at + intercept, atol=1e-6)


@given(st.integers(4, 40), st.integers(0, 5))
@settings(max_examples=20)
def test_drawn_test_sets_are_balanced_nested_and_spread_over_sources(half, draw):
    items = study(n_sources=6, per_condition=3)[0]
    small, large = draw_items(items, 2 * half, 1, draw), draw_items(items, 2 * half + 8, 1, draw)
    assert items[small].label.value_counts().to_dict() == {"SPEECH": half, "NONSPEECH": half}
    assert not (small & ~large).any()
    per_source = items[small].groupby("label").source_id.value_counts()
    assert per_source.max() - max(per_source.min(), half // 6) <= 1
    assert items[small].groupby("label").source_id.nunique().eq(min(half, 6)).all()


def test_more_items_resolve_more_and_a_size_that_is_not_there_is_left_out():
    index, splits = study(n_sources=24, per_condition=4)
    answers = pd.concat([predictions(index, "base", chance=0.7, seed=3), predictions(index, "a-grouped", (1,), 0.85), predictions(index, "silero")])
    table = validate(size_table(score_systems(answers, index, splits), [32, 96, 10**6], 20, 0.95, 0.8, 1), TEST_SIZES)
    whole = int((splits["grouped"].part == "test").sum())
    assert sorted(table.n_items.unique()) == [32, 96, whole]
    assert set(table.system_id) == {"base", "a-grouped"}
    adapter = table[table.system_id == "a-grouped"].sort_values("n_items")
    for column in ("half_width", "gain_half_width", "minimum_detectable_gain"):
        assert adapter[column].is_monotonic_decreasing
    assert (adapter.highest - adapter.lowest).is_monotonic_decreasing
    assert adapter.share_of_draws_that_show_a_gain.is_monotonic_increasing


def test_the_spread_over_draws_is_that_of_their_balanced_accuracies():
    index, splits = study(n_sources=24, per_condition=4)
    answers = predictions(index, "base", chance=0.7, seed=3)
    table = size_table(score_systems(answers, index, splits), [32], 40, 0.95, 0.8, 1)
    [outcomes] = score_systems(answers, index, splits)[:1]
    drawn = [draw_items(outcomes.items, 32, 1, draw) for draw in range(40)]
    speech = (outcomes.items.label == "SPEECH").to_numpy()
    right = outcomes.correct[0]
    values = [(right[mask & speech].mean() + right[mask & ~speech].mean()) / 2 for mask in drawn]
    row = table[table.n_items == 32].iloc[0]
    assert (row.lowest, row.highest) == pytest.approx((np.percentile(values, 2.5), np.percentile(values, 97.5)))


def test_costs_stand_beside_the_accuracy_on_sources_never_heard():
    index, splits = study()
    table = experiment_table(arms(index, splits, predictions(index, "a-row_random", (1,))), 0.95)
    cost = {"trainable_parameters": 5, "adapter_bytes": 9, "load_s": 1.0, "wall_s": 2.0, "processor_s": 1.9, "samples": 8}
    cost |= {"ms_per_sample": None, "peak_memory_bytes": 7, "device": "CPU"}
    found = validate(efficiency_table({System("adapter", "a", "row_random", 1): cost}, table), EFFICIENCY)
    assert found.balanced_accuracy.tolist() == table.balanced_accuracy[table.test_set == "unseen"].tolist()
    with pytest.raises(InputError, match="a-row_random-seed-2: no adapter of this experiment"):
        efficiency_table({System("adapter", "a", "row_random", 2): cost}, table)
