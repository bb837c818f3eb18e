"""The ledger: every verdict follows from a table, here one written by hand."""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import prompt_examples
import pytest
import report_examples as examples
import yaml
from draws_by_hand import drawn_by_hand
from hypothesis import given
from hypothesis import strategies as st
from programs import call_program

from document_claims import pages
from earwitness.core.errors import InputError
from earwitness.evaluation.claims import PUBLISHED_MODEL, Measurement, claims_table, judge, load_claims
from earwitness.report.claims_text import claims_sentence, measured_words
from earwitness.tables.accuracy import ACCURACY
from earwitness.tables.claims import CLAIMS, HOLDS, NOT_MEASURABLE, NOT_SETTLED, REFUTED
from earwitness.tables.comparisons import LEAKAGE
from earwitness.tables.experiments import EXPERIMENT
from earwitness.tables.files import read_table, write_table
from earwitness.tables.mixed_models import MIXED_MODEL_EFFECTS
from earwitness.tables.psychometrics import CONTRASTS, POINTS, THRESHOLDS

ROOT = Path(__file__).parents[2]
PATH = ROOT / "config" / "claims.yaml"
LEDGER = load_claims(PATH)


def row(schema, **values) -> pd.DataFrame:
    """One row of a table with these values, the others empty or zero."""
    return pd.DataFrame([{name: values.get(name, np.nan if column.nullable else 0) for name, column in schema.columns.items()}])


def verdicts(published: bool = False, **tables) -> pd.DataFrame:
    named = {name.replace("__", "/"): table for name, table in tables.items()}
    return claims_table(LEDGER, named, published, 0.95).set_index("claim")


@pytest.mark.parametrize(
    ("true_where", "found", "verdict"),
    [
        ({"above": 0}, Measurement(5, 1, 9), HOLDS),
        ({"above": 0}, Measurement(5, -1, 11), NOT_SETTLED),
        ({"above": 0}, Measurement(-5, -9, -1), REFUTED),
        ({"above": 0}, Measurement(0, 0, 0), REFUTED),
        ({"below": 0}, Measurement(-5, -9, -1), HOLDS),
        ({"above": 28, "below": 44}, Measurement(35, 30, 40), HOLDS),
        ({"above": 28, "below": 44}, Measurement(35, 20, 60), NOT_SETTLED),
        ({"above": 28, "below": 44}, Measurement(65, 50, 80), REFUTED),
        ({"above": -3, "below": 3}, Measurement(0.1, -1, 1.2), HOLDS),
        ({"above": 20}, Measurement(math.inf, 18, math.inf), NOT_SETTLED),
        ({"above": 20}, Measurement(math.inf, math.inf, math.inf), HOLDS),
        ({"above": 0}, Measurement(5), NOT_SETTLED),
        ({"above": 0}, Measurement(math.nan), NOT_SETTLED),
        ({"above": 9.5, "below": 10.5}, Measurement(10, 10, 10), HOLDS),
        ({"p_below": 0.001}, Measurement(2, 1, 3, 0.0004), HOLDS),
        ({"p_below": 0.001}, Measurement(2, 1, 3, 0.004), NOT_SETTLED),
        ({"p_below": 0.001}, Measurement(2), NOT_SETTLED),
    ],
)
def test_a_verdict_follows_from_where_the_whole_interval_lies(true_where, found, verdict):
    assert judge(true_where, found) == verdict


@given(st.floats(-10, 10), st.floats(0, 10), st.floats(-10, 10), st.floats(0, 10))
def test_a_wider_interval_never_turns_a_verdict_round(value, half, bound, more):
    narrow, wide = (judge({"above": bound}, Measurement(value, value - width, value + width)) for width in (half, half + more))
    assert wide in (narrow, NOT_SETTLED)


def test_the_ledger_has_every_claim_with_what_measures_and_what_refutes_it():
    assert len(LEDGER.claims) == 49
    assert {claim.group for claim in LEDGER.claims} == set(LEDGER.groups)
    numbers = " ".join(f"{claim.statement} {claim.stated}" for claim in LEDGER.claims)
    for number in ("35 ms", "-3 dB", "+16", "+20", "p < .001", "89.1", "84.6", "96.2", "11.5", "14 words", "9 words", "2 iterations", "80 minutes"):
        assert number in numbers
    for number in ("28.1", "62.5", "90.6", "96.9", "99.0", "95.8", "79.2", "83.3", "84 MB", "168 MB", "20.7", "43.9", "37.5", "p = 1", "90 to 95"):
        assert number in numbers
    assert all(claim.target or claim.would_settle or claim.about == "arithmetic" for claim in LEDGER.claims)


def test_without_a_table_nothing_is_settled_but_arithmetic_and_what_would_measure_it_is_said():
    table = verdicts()
    assert set(table.verdict[table.about == "model"]) == {NOT_MEASURABLE}
    assert set(table.verdict[table.about == "method"]) == {NOT_SETTLED}
    assert table.would_settle["masking_helps"].startswith("not measured in this run: finetuning.experiments.ablations.enabled: true")
    arithmetic = table[table.about == "arithmetic"]
    assert arithmetic.value.round(2).to_dict() == {
        "initial_words": 14, "best_words": 10, "attention_parameters": 20.71, "mlp_parameters": 43.91, "attention_megabytes": 82.84,
        "mlp_megabytes": 175.64,
    }  # fmt: skip
    assert arithmetic.verdict.to_dict() == {
        "initial_words": HOLDS, "best_words": REFUTED, "attention_parameters": HOLDS, "mlp_parameters": HOLDS, "attention_megabytes": HOLDS,
        "mlp_megabytes": REFUTED,
    }  # fmt: skip


def test_a_number_of_the_published_model_is_judged_on_that_model_alone():
    thresholds = row(THRESHOLDS, system_id="base", design="grid", axis="duration", measure="balanced_accuracy", threshold=36, low=31, high=41)
    assert verdicts(False, thresholds=thresholds).loc["dt75", ["value", "verdict"]].tolist() == [36, NOT_MEASURABLE]
    assert verdicts(True, thresholds=thresholds).loc["dt75", ["value", "verdict"]].tolist() == [36, HOLDS]
    assert PUBLISHED_MODEL in verdicts(False, thresholds=thresholds).would_settle["dt75"]


def fall(value, low, high):
    given = {"question": "duration", "system_a": "base", "axis": "snr", "measure": "balanced_accuracy", "held_duration_a": 200}
    return row(CONTRASTS, **given, held_duration_b=1000, value=value, low=low, high=high, p=0.01)


@pytest.mark.parametrize(
    ("contrast", "verdict"),
    [((6, 3, 9), HOLDS), ((-7, -10, -4), REFUTED), ((2, -1, 5), NOT_SETTLED), ((np.nan, np.nan, np.nan), NOT_SETTLED)],
)
def test_that_longer_sounds_bear_more_noise_is_judged_by_the_paired_contrast(contrast, verdict):
    found = verdicts(threshold_contrasts=fall(*contrast)).loc["snr75_falls"]
    assert found.verdict == verdict and found.source == "threshold_contrasts"


def experiment(**against) -> pd.DataFrame:
    rows = [("attention", np.nan, np.nan, np.nan)] + [(name, *values) for name, values in against.items()]
    names = ("recipe", "against_first", "against_first_low", "against_first_high")
    fixed = {"split": "grouped", "test_set": "unseen", "seed": "all", "balanced_accuracy": 0.9}
    return pd.concat([row(EXPERIMENT, **dict(zip(names, values, strict=True)), **fixed) for values in rows])


def test_what_a_recipe_lacks_is_what_the_first_gains_with_its_interval_turned_round():
    table = verdicts(experiments__ablations=experiment(all_text=(-0.08, -0.12, -0.04), rms=(0.01, -0.02, 0.04), focal=(-0.05, -0.09, -0.01)))
    assert table.loc["masking_helps", ["value", "low", "high"]].tolist() == pytest.approx([8, 4, 12])
    assert table.verdict["masking_helps"] == HOLDS
    assert table.verdict["peak_helps"] == NOT_SETTLED and table.would_settle["peak_helps"] == "more test sources"
    assert table.verdict["focal_loss_helps"] == REFUTED and table.would_settle["focal_loss_helps"] == ""


@pytest.mark.parametrize(
    ("interval", "equal", "better"),
    [((0.0, -0.01, 0.01), HOLDS, NOT_SETTLED), ((0.0, -0.1, 0.1), NOT_SETTLED, NOT_SETTLED), ((-0.08, -0.1, -0.05), REFUTED, HOLDS)],
)
def test_that_two_recipes_are_equal_needs_an_interval_within_the_margin(interval, equal, better):
    table = verdicts(experiments__ablations=experiment(attention_mlp=interval))
    assert (table.verdict["recipes_are_equal"], table.verdict["attention_beats_mlp"]) == (equal, better)


def test_two_seeds_that_differ_refute_that_there_is_no_variance():
    seeds = pd.concat([experiment().assign(seed=seed, balanced_accuracy=value) for seed, value in (("1", 0.9), ("2", 0.91), ("all", 0.905))])
    found = verdicts(experiments__main=seeds).loc["seeds_agree"]
    assert found.value == pytest.approx(1) and found.verdict == REFUTED
    same = verdicts(experiments__main=seeds.assign(balanced_accuracy=0.9)).loc["seeds_agree"]
    assert same.verdict == HOLDS


def test_leakage_is_read_of_draws_where_there_are_any_and_of_the_leaky_arm_otherwise():
    arm = examples.leakage(low=-0.02)
    table = verdicts(leakage=arm)
    assert table.loc["leakage_buys", ["value", "source", "verdict"]].tolist() == [pytest.approx(8), "leakage", NOT_SETTLED]
    table = verdicts(leakage=arm, draws__redrawn=drawn_by_hand())
    assert table.loc["leakage_buys", ["value", "source"]].tolist() == [25, "draws/redrawn"]


@pytest.mark.parametrize(("p_wald", "verdict"), [(0.0005, HOLDS), (0.036, NOT_SETTLED)])
def test_an_interaction_is_judged_by_the_test_that_belongs_to_its_interval(p_wald, verdict):
    values = {"estimate": 1.09, "low": 0.07, "high": 2.1, "p_wald": p_wald}
    effects = row(MIXED_MODEL_EFFECTS, system_id="base", stimuli="noisy", term="label:logdur:snr", **values)
    assert verdicts(mixed_model_effects=effects).verdict["duration_by_noise"] == verdict


def test_the_grid_is_the_mean_of_its_conditions_with_an_interval_as_wide_as_theirs():
    conditions = [(0.9, 0.86, 0.92), (0.88, 0.84, 0.94)]
    names = ("balanced_accuracy", "low", "high")
    points = pd.concat([row(POINTS, system_id="base", design="grid", **dict(zip(names, values, strict=True))) for values in conditions])
    found = verdicts(True, points=points).loc["zero_shot_accuracy"]
    assert found[["value", "low", "high"]].tolist() == pytest.approx([89, 85, 93]) and found.verdict == HOLDS
    alone = verdicts(True, points=points.assign(low=np.nan)).loc["zero_shot_accuracy"]
    assert alone.value == pytest.approx(89) and alone.verdict == NOT_SETTLED, "what has no interval settles nothing"


def test_accuracies_of_questions_have_intervals_of_their_own_beside_that_of_the_gain():
    table = verdicts(True, prompts=prompt_examples.gains())
    assert table.loc["initial_question", ["value", "low", "high", "verdict"]].tolist() == [77, 70, 84, NOT_SETTLED]
    assert table.loc["best_question", ["value", "low", "high", "verdict"]].tolist() == [pytest.approx(78.2), 71, 85, REFUTED]
    assert table.loc["question_gains", ["value", "low", "high", "verdict"]].tolist() == [pytest.approx(1.2), -1, pytest.approx(3.4), NOT_SETTLED]


def history(*searches) -> pd.DataFrame:
    rows = [
        ("base", "edits", str(number), text, tokens, gain, iteration, chosen)
        for number, search in enumerate(searches)
        for text, tokens, gain, iteration, chosen in search
    ]
    return pd.DataFrame(rows, columns=["system_id", "proposer", "search_seed", "question", "n_tokens", "gain", "iteration", "chosen"])


def test_searches_count_once_each_and_agree_or_do_not():
    """Rank correlations -1, -1 and -0.5: mean -5/6, standard error 1/6, t(2) = 4.303."""
    searches = [
        [("Is it speech or not?", 3, 0.2, 1, True), ("You must answer.", 5, 0.1, 2, False), ("Say.", 9, 0.0, 1, False)],
        [("Speech or other?", 2, 0.3, 2, True), ("Hm?", 4, 0.2, 0, False), ("Well, well?", 8, 0.1, 0, False)],
        [("A or B?", 2, 0.2, 1, False), ("Well?", 4, 0.3, 3, True), ("Hear, hear?", 8, 0.1, 0, False)],
    ]
    table = verdicts(history=history(*searches))
    found = table.loc["shorter_is_better"]
    assert (found.value, found.low) == (pytest.approx(-5 / 6), pytest.approx(-5 / 6 - 4.3027 / 6, abs=1e-4))
    assert found.verdict == HOLDS and table.loc["two_iterations", ["value", "low", "high"]].tolist() == [2, 1, 3]
    assert table.verdict["two_iterations"] == NOT_SETTLED
    assert table.value["choice_helps"] == pytest.approx(100 * (0.15 + 0.15 + 0.0) / 3)
    assert table.loc["orders_hurt", ["value", "verdict"]].tolist() == [pytest.approx(0), NOT_SETTLED], "one search has no spread"


def test_agreement_of_scores_and_generation_has_wilsons_interval_of_the_worst_order():
    table = verdicts(generation=examples.generation())
    found = table.loc["scores_contradict_generation"]
    worst = examples.generation().sort_values("agreement").iloc[0]
    assert found.value == 100 * worst.agreement and found.low < found.value < 100 and found.verdict == REFUTED


def test_the_other_readers_find_what_their_tables_say():
    accuracy = pd.concat(
        [row(ACCURACY, system_id=system, test_set="unseen", seed="all", metric=metric, estimate=value)
         for system, values in {"attention-grouped": (0.9, 0.8), "attention_mlp-grouped": (0.95, 0.7)}.items()
         for metric, value in zip(("speech_accuracy", "nonspeech_accuracy"), values, strict=True)]
    )  # fmt: skip
    table = verdicts(
        True,
        accuracy=accuracy,
        ensembles=examples.ensembles(),
        learning_curves__learning_curve=examples.learning_curve(),
        test_sizes=examples.test_sizes(),
    )
    assert table.value["attention_is_balanced"] == pytest.approx(15) and table.verdict["attention_is_balanced"] == NOT_SETTLED
    assert table.value["more_items_resolve"] == pytest.approx(0.09 / 0.15) and table.verdict["more_items_resolve"] == HOLDS
    assert table.value["fifty_speakers"] == pytest.approx(100 * (0.8 + 0.02 * np.log2(50)))
    assert table.verdict["fifty_speakers"] == NOT_SETTLED
    assert not np.isnan(table.value["voting_helps"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reed": 1}, "claims.dt75: Additional properties are not allowed"),
        ({"group": "nothing"}, "claims.dt75.group = nothing: no such group"),
        ({"read": [{"reader": "guess"}]}, "claims.dt75.read: no reader guess"),
        ({"about": "life"}, "claims.dt75.about: 'life' is not one of"),
    ],
)
def test_a_ledger_with_a_fault_is_refused_by_claim(tmp_path, change, words):
    content = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    content["claims"]["dt75"] |= change
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(words)):
        load_claims(tmp_path / "claims.yaml")


def test_the_pages_of_the_claims_are_current():
    there = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "claims").iterdir()}
    assert there == pages(LEDGER), "run `python workflow_scripts/document_claims.py`"


def test_the_program_reads_tables_by_name_and_writes_one_row_per_claim(tmp_path):
    write_table(tmp_path / "leakage.csv", examples.leakage(), LEAKAGE)
    options = ["--model", "base", "--repository", "data/models/tiny/base", "--confidence", 0.95, "--tables", "leakage.csv", "--names"]
    command = ["judge_claims", PATH, "claims.csv", *options]
    done = call_program(*command, "leakage", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    table = read_table(tmp_path / "claims.csv", CLAIMS).set_index("claim")
    assert len(table) == 49 and table.verdict["leakage_buys"] == HOLDS and table.verdict["dt75"] == NOT_MEASURABLE
    refused = call_program(*command, "leekage", folder=tmp_path)
    assert refused.returncode != 0 and "no claim is read from a table leekage" in refused.stderr


def test_words_say_value_unit_interval_and_p():
    rows = [(65, 21, 201, np.nan, "ms"), (np.inf, 18, np.inf, np.nan, "dB"), (10, 10, 10, np.nan, "words"), (2, 1, 3, 0.0004, "")]
    rows = [*rows, (*[np.nan] * 4, "%"), (3.29, -7.48, 14.07, 0.4, "d′"), (8.5, -58.8, 38.0, np.nan, "points")]
    table = pd.DataFrame(rows, columns=["value", "low", "high", "p", "unit"]).assign(source=[*[""] * 5, "mixed_model_effects", "leakage"])
    words = [measured_words(found).replace("\N{NO-BREAK SPACE}", " ") for found in table.itertuples()]
    assert words == [
        "65 ms [21, 201]",
        "above the tested range [18.0, above the tested range]",
        "10 words",
        "2.00 [1.00, 3.00], p < 0.001",
        "–",
        "too uncertain to say",
        "8.5 points, too uncertain to say more",
    ]
    assert claims_sentence(verdicts().reset_index()).startswith("Of 49 claims of the published study, this run finds that 4 hold and 2 do not")
