import numpy as np
import pandas as pd
import pytest
from small_study import predictions, study

from earwitness.core.errors import InputError
from earwitness.evaluation.comparison import best_adapter, compare, comparison_table, declared_pairs, leakage_table
from earwitness.evaluation.scored_answers import score_systems
from earwitness.systems import BASE, System
from earwitness.tables.comparisons import COMPARISONS, LEAKAGE
from earwitness.tables.files import validate


def outcomes_of(tables, n_sources=24, per_condition=4):
    index, splits = study(n_sources, per_condition)
    found = score_systems(pd.concat([predictions(index, *table) for table in tables], ignore_index=True), index, splits)
    return {(outcomes.system_id, outcomes.test_set): outcomes for outcomes in found}


def test_the_family_is_declared_by_names_alone():
    names = [
        "base",
        "energy",
        "silero",
        "attention-grouped",
        "attention-row_random",
        "mlp-grouped",
        "mlp-grouped+mean",
        "fire-red-vad",
        "attention-row_random",
    ]
    found = declared_pairs([System.parse(name) for name in names], best=System.parse("mlp-grouped"))
    assert [(str(a), str(b)) for a, b in found] == [
        ("attention-grouped", "base"),
        ("attention-row_random", "base"),
        ("mlp-grouped", "base"),
        ("attention-grouped", "attention-row_random"),
        ("energy", "base"),
        ("fire-red-vad", "base"),
        ("silero", "base"),
        ("mlp-grouped", "energy"),
        ("mlp-grouped", "fire-red-vad"),
        ("mlp-grouped", "silero"),
    ]


def test_the_best_adapter_is_chosen_on_development_sources_not_on_test():
    index, splits = study()
    dev = index.stimulus_id.isin(splits["grouped"].query("part == 'dev'").stimulus_id).to_numpy()
    table = pd.concat(
        [
            predictions(index, "aces_test-grouped", (1, 2), lambda _: ~dev),
            predictions(index, "aces_dev-grouped", (1, 2), lambda _: dev),
            predictions(index, "leaks-row_random", (1, 2), 1.0),
        ]
    )
    assert best_adapter(table, index, splits["grouped"]) == System.parse("aces_dev-grouped")
    assert best_adapter(table[table["name"] == "leaks"], index, splits["grouped"]) is None


def test_a_clear_difference_and_a_self_comparison():
    found = outcomes_of([("base", (None,), 0.6), ("good-grouped", (1, 2, 3), 0.95), ("same-grouped", (1,), 0.6)])
    systems = list(found.values())
    pairs = [(System.parse(name), BASE) for name in ("good-grouped", "same-grouped")]
    table = validate(comparison_table(systems, pairs, 0.95, 0.03), COMPARISONS).set_index("system_a")
    good, same = table.loc["good-grouped"], table.loc["same-grouped"]
    assert good.conclusion == "different"
    assert 0.25 < good.low < good.difference < good.high < 0.45
    assert good.p_holm == pytest.approx(2 * good.p_clustered_t)
    assert np.isnan([good.p_sign_flip, good.p_durkalski]).all(), "these tests say nothing of new seeds"
    fixed = compare(found["good-grouped", "unseen"], found["base", "unseen"], 0.95, 0.03, seeds_fixed=True)
    assert fixed["p_sign_flip"] == 2.0**-23, "24 sources that all favour one system"
    assert max(fixed["p_durkalski"], good.p_mcnemar_assumes_independent_items) < 1e-3
    assert good.only_a_correct > good.only_b_correct
    assert (same.difference, same.only_a_correct, same.p_sign_flip, same.p_mcnemar_assumes_independent_items) == (0, 0, 1, 1)
    assert same.conclusion == "inconclusive", "12 sources per class that all agree do not prove a margin of 3 points"


def test_a_gain_that_only_one_training_seed_shows_is_no_difference_between_recipes():
    index, splits = study(24)
    answers = [predictions(index, "base", (None,), 0.6)]
    answers += [predictions(index, "lucky-grouped", (seed,), chance, seed) for seed, chance in ((1, 1.0), (2, 0.6), (3, 0.6))]
    found = {outcomes.system_id: outcomes for outcomes in score_systems(pd.concat(answers), index, splits) if outcomes.test_set == "unseen"}
    row = compare(found["lucky-grouped"], found["base"], 0.95, 0.03)
    assert compare(found["lucky-grouped"], found["base"], 0.95, 0.03, seeds_fixed=True)["p_sign_flip"] < 0.05, (
        "these very seeds do differ from the base on new sources"
    )
    assert row["p_clustered_t"] > 0.05
    assert row["low"] < 0 < row["high"]


def test_systems_of_several_seeds_are_compared_only_where_these_pair():
    found = outcomes_of([("base", (None,), 0.7), ("a-grouped", (1, 2, 3), 0.75, 5), ("b-grouped", (1, 2), 0.8, 6)])
    with pytest.raises(InputError, match="a-grouped has 3 seeds and b-grouped 2; train both with the same seeds"):
        compare(found["a-grouped", "unseen"], found["b-grouped", "unseen"], 0.95, 0.03)


def test_swapping_the_systems_turns_the_sign_and_keeps_every_p():
    found = outcomes_of([("base", (None,), 0.7), ("x-grouped", (1, 2, 3), 0.75, 5)])
    a, b = found["x-grouped", "unseen"], found["base", "unseen"]
    one, other = compare(a, b, 0.95, 0.03), compare(b, a, 0.95, 0.03)
    assert (one["difference"], one["low"], one["high"]) == pytest.approx((-other["difference"], -other["high"], -other["low"]))
    assert (one["only_a_correct"], one["only_b_correct"]) == (other["only_b_correct"], other["only_a_correct"])
    for name in [name for name in one if name.startswith("p_")]:
        assert one[name] == pytest.approx(other[name], nan_ok=True)


def test_systems_that_differ_by_little_everywhere_are_equivalent():
    """Right on nine tenths of every source, each on items of its own: no difference beyond noise, and much evidence."""
    index, splits = study(60, 25)
    answers = pd.concat([predictions(index, name, (None,), 0.9, seed) for seed, name in enumerate(["base", "silero"])])
    table = comparison_table(score_systems(answers, index, splits), [(System("detector", "silero"), BASE)], 0.95, 0.03)
    assert table.conclusion.tolist() == ["equivalent"]
    assert table.p_tost[0] < 0.05 < table.p_clustered_t[0]


def test_below_six_sources_in_a_class_there_is_no_clustered_p():
    found = outcomes_of([("base", (None,), 0.1), ("silero", (None,), 0.95)], n_sources=10, per_condition=10)
    table = validate(comparison_table(list(found.values()), [(System("detector", "silero"), BASE)], 0.95, 0.03), COMPARISONS)
    assert table.conclusion.tolist() == ["descriptive_only"]
    assert table[["p_clustered_t", "p_sign_flip", "p_durkalski", "p_tost", "p_holm"]].isna().all(axis=None)
    assert table.low[0] < table.difference[0] < table.high[0]
    assert table.p_mcnemar_assumes_independent_items[0] < 0.001


def test_a_majority_vote_stands_for_several_seeds_in_mcnemar_s_counts():
    def wrong_on(n):
        return lambda index: (index.number != n).to_numpy()

    index, splits = study(12, 2)
    answers = [predictions(index, "base", (None,), lambda table: np.zeros(len(table), bool))]
    answers += [predictions(index, "x-grouped", (seed,), wrong_on(source)) for seed, source in ((1, 6), (2, 7), (3, 6))]
    found = {outcomes.system_id: outcomes for outcomes in score_systems(pd.concat(answers), index, splits) if outcomes.test_set == "unseen"}
    row = compare(found["x-grouped"], found["base"], 0.95, 0.03)
    assert row["n_items"] == 96
    assert row["only_a_correct"] == 80, "source 6 of each class is lost by two seeds of three, source 7 by one"
    assert row["difference"] == pytest.approx(1 - 3 / 18)


def test_leakage_is_what_the_leaky_adapter_loses_on_unseen_sources():
    index, splits = study(24, 4)
    own = index.stimulus_id.isin(splits["row_random"].stimulus_id).to_numpy()

    def memory(table):
        return own | (table.number % 2 == 0).to_numpy()

    answers = pd.concat([predictions(index, "base", (None,), 0.7), predictions(index, "x-row_random", (1, 2), memory)])
    table = validate(leakage_table(score_systems(answers, index, splits), 0.95), LEAKAGE)
    assert table.seed.value_counts().to_dict() == {"1": 3, "2": 3, "all": 3}
    assert (table.own_test == 1).all()
    assert (table.unseen_sources == 0.5).all()
    assert (table.inflation == 0.5).all()
    assert (table.low < 0.5).all()
    assert table.base_own_test.between(0.5, 0.9).all()
    assert table.base_unseen_sources.between(0.5, 0.9).all()


def test_without_a_leaky_arm_the_table_of_leakage_is_empty_but_whole():
    index, splits = study()
    table = leakage_table(score_systems(predictions(index, "base"), index, splits), 0.95)
    assert validate(table, LEAKAGE).empty
