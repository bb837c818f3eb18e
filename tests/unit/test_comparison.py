import importlib

import numpy as np
import pandas as pd
import pytest
from small_study import predictions, study

from earwitness.core.errors import InputError
from earwitness.evaluation.comparison import Contrast, best_on_development, compare, comparison_table, declared_contrasts, difference, leakage_table
from earwitness.evaluation.scored_answers import score_systems
from earwitness.systems import BASE, System
from earwitness.tables.comparisons import COMPARISONS, LEAKAGE
from earwitness.tables.files import validate


def outcomes_of(tables, n_sources=24, per_condition=4):
    index, splits = study(n_sources, per_condition)
    found = score_systems(pd.concat([predictions(index, *table) for table in tables], ignore_index=True), index, splits)
    return {(outcomes.system_id, outcomes.test_set): outcomes for outcomes in found}


def exploratory(*names):
    return [Contrast(System.parse(name), BASE, "fine_tuning", False) for name in names]


def test_every_question_has_one_primary_contrast_that_is_declared_before_any_test_result():
    three = ("1", "2", "3")
    seeds = {"base": ("-",), "energy": ("-",), "silero": ("-",), "tower_probe": ("-",), "untrained_probe": ("-",), "mlp-grouped+mean": ("-",)}
    seeds |= {"attention-grouped": three, "attention-row_random": three, "mlp-grouped": three, "rank_4-grouped": ("1",)}
    found = declared_contrasts({System.parse(name): of for name, of in seeds.items()}, System.parse("mlp-grouped"), System.parse("silero"))
    assert [(str(one.a), str(one.b), one.question, one.primary) for one in found] == [
        ("attention-grouped", "base", "fine_tuning", False),
        ("mlp-grouped", "base", "fine_tuning", True),
        ("rank_4-grouped", "base", "fine_tuning", False),
        ("attention-grouped", "attention-row_random", "leakage", False),
        ("attention-row_random", "base", "leakage", False),
        ("attention-grouped", "mlp-grouped", "recipes", False),
        ("mlp-grouped", "energy", "detectors", False),
        ("mlp-grouped", "silero", "detectors", True),
        ("energy", "base", "detectors", False),
        ("silero", "base", "detectors", False),
        ("tower_probe", "untrained_probe", "hearing", True),
        ("tower_probe", "base", "saying", True),
    ]


def test_without_an_adapter_the_base_is_what_detectors_are_compared_with():
    found = declared_contrasts({BASE: ("-",), System.parse("silero"): ("-",)}, None, System.parse("silero"))
    assert [(str(one.a), str(one.b), one.primary) for one in found] == [("silero", "base", True)]


def test_an_interval_excludes_nothing_exactly_where_its_verdict_is_different():
    """Eight systems of which some are a little better than the base, so that Holm's steps fall on both sides of the level."""
    tables = [("base", (None,), 0.7)] + [(f"{name}-grouped", (1,), 0.7 + 0.02 * k, k) for k, name in enumerate("abcdefgh")]
    found = outcomes_of(tables)
    names = [f"{name}-grouped" for name in "abcdefgh"]
    contrasts = [*exploratory(*names[:-1]), Contrast(System.parse(names[-1]), BASE, "fine_tuning", True)]
    table = validate(comparison_table(list(found.values()), contrasts, 0.95, 0.03), COMPARISONS)
    excluded = (table.low > 0) | (table.high < 0)
    assert (excluded == (table.conclusion == "different")).all()
    assert 0 < excluded[:-1].sum() < 7, "the example is to have both"
    plain = (table.p_clustered_t < 0.05)[:-1]
    assert (plain & ~excluded[:-1]).any(), "and one that only the correction leaves unsettled"
    primary = table.iloc[-1]
    assert primary.interval_confidence == 0.95 and primary.p_holm == primary.p_clustered_t
    assert (primary.low, primary.high) == difference(found["h-grouped", "unseen"], found["base", "unseen"]).interval(0.95, -1, 1)
    smallest = table[:-1].p_clustered_t.astype(float).idxmin()
    assert table.interval_confidence[smallest] == pytest.approx(1 - 0.05 / 7), "the smallest of seven is tested at a seventh of the level"


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
    assert best_on_development("adapter", table, index, splits["grouped"]) == System.parse("aces_dev-grouped")
    assert best_on_development("adapter", table[table["name"] == "leaks"], index, splits["grouped"]) is None


def test_a_clear_difference_and_a_self_comparison():
    found = outcomes_of([("base", (None,), 0.6), ("good-grouped", (1, 2, 3), 0.95), ("same-grouped", (1,), 0.6)])
    systems = list(found.values())
    table = validate(comparison_table(systems, exploratory("good-grouped", "same-grouped"), 0.95, 0.03), COMPARISONS).set_index("system_a")
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
    table = comparison_table(score_systems(answers, index, splits), exploratory("silero"), 0.95, 0.03)
    assert table.conclusion.tolist() == ["equivalent"]
    assert table.p_tost[0] < 0.05 < table.p_clustered_t[0]


def test_below_six_sources_in_a_class_there_is_no_clustered_p():
    found = outcomes_of([("base", (None,), 0.1), ("silero", (None,), 0.95)], n_sources=10, per_condition=10)
    table = validate(comparison_table(list(found.values()), exploratory("silero"), 0.95, 0.03), COMPARISONS)
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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"power": 80}', r"config: statistics\.power = 80: must be less than 1"),
        ('{"equivalence_margin": -0.03}', r"config: statistics\.equivalence_margin = -0\.03: must be more than 0"),
        ('{"confidence": "0.95"}', r'config: statistics\.confidence = "0\.95": must be of type number'),
        ('{"margin": 0.03}', r"config: unknown key statistics\.margin = 0\.03"),
    ],
)
def test_settings_given_by_hand_are_those_of_the_configuration(monkeypatch, settings, message):
    """A power of 80 was looked for for ever."""
    files = ["--index", "i", "--splits", "s", "--split-names", "grouped"]
    tables = [word for name in ("comparisons", "leakage", "ensembles", "power", "variance") for word in (f"--{name}", name)]
    monkeypatch.setattr("sys.argv", ["compare_systems", "mine.parquet", *files, *tables, "--settings", settings])
    with pytest.raises(SystemExit, match=message):
        importlib.import_module("compare_systems").main()
