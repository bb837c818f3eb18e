import importlib

import numpy as np
import pandas as pd
import pytest
from small_study import DURATIONS, SNRS, predictions, study

from earwitness.core.errors import InputError
from earwitness.evaluation.accuracy import accuracy_table, condition_table, source_table
from earwitness.evaluation.scored_answers import score_systems
from earwitness.tables.accuracy import ACCURACY, CONDITION_ACCURACY, SOURCE_ACCURACY
from earwitness.tables.files import validate, write_table
from earwitness.tables.predictions import PREDICTIONS, read_predictions


@pytest.fixture
def systems():
    index, splits = study()
    everything = [
        predictions(index, "silero"),
        predictions(index, "attention-row_random", (42, 7)),
        predictions(index, "attention-grouped", (42, 7)),
        predictions(index, "base"),
    ]
    return score_systems(pd.concat(everything, ignore_index=True), index, splits)


def test_which_system_is_tested_where(systems):
    assert [(s.system_id, s.trained_on, s.test_set, s.seeds) for s in systems] == [
        ("base", "-", "unseen", ("-",)),
        ("base", "-", "row_random", ("-",)),
        ("attention-grouped", "grouped", "unseen", ("42", "7")),
        ("attention-row_random", "row_random", "unseen", ("42", "7")),
        ("attention-row_random", "row_random", "row_random", ("42", "7")),
        ("silero", "-", "unseen", ("-",)),
    ]


def test_tables_fit_their_schemas_and_agree_with_each_other(systems):
    accuracy = validate(accuracy_table(systems, 0.95), ACCURACY)
    sources = validate(source_table(systems), SOURCE_ACCURACY)
    conditions = validate(condition_table(systems), CONDITION_ACCURACY)
    key = ["system_id", "test_set"]
    assert set(accuracy[accuracy.system_id == "attention-grouped"].seed) == {"42", "7", "all"}
    assert set(accuracy[accuracy.system_id == "base"].seed) == {"-"}

    headline = accuracy[accuracy.seed.isin(["-", "all"])]
    speech = headline[headline.metric == "speech_accuracy"].set_index(key).estimate
    by_source = sources[sources.seed.isin(["-", "all"]) & (sources.label == "SPEECH")]
    weighted = by_source.assign(right=by_source.accuracy * by_source.n_items).groupby(key)[["right", "n_items"]].sum()
    pd.testing.assert_series_equal((weighted.right / weighted.n_items).sort_index(), speech.sort_index(), check_names=False)

    unseen = conditions[conditions.test_set == "unseen"].groupby("system_id").balanced_accuracy.agg(["mean", "size"])
    balanced = headline[(headline.metric == "balanced_accuracy") & (headline.test_set == "unseen")].set_index("system_id").estimate
    assert (unseen["size"] == len(DURATIONS) * len(SNRS)).all()
    pd.testing.assert_series_equal(unseen["mean"], balanced.sort_index(), check_names=False)


def test_a_detector_of_speech_everywhere_has_balanced_accuracy_one_half_whatever_the_classes_counts():
    index, splits = study()
    fewer = index[(index.label == "SPEECH") | (index.number % 2 == 0)].reset_index(drop=True)
    always = predictions(fewer, "energy", chance=lambda table: table.label == "SPEECH")
    table = accuracy_table(score_systems(always, fewer, splits), 0.95).set_index("metric")
    assert table.estimate[["balanced_accuracy", "speech_accuracy", "nonspeech_accuracy"]].tolist() == [0.5, 1, 0]
    assert table.estimate["accuracy"] == pytest.approx(2 / 3)
    assert table.low["balanced_accuracy"] < 0.45, "no certainty from sources that all agree"


def test_counts_are_of_what_enters_the_metric(systems):
    table = accuracy_table(systems, 0.95)
    rows = table[(table.system_id == "base") & (table.test_set == "unseen")].set_index("metric")
    columns = ["n_items", "n_speech_sources", "n_nonspeech_sources", "reliability"]
    assert rows.loc["balanced_accuracy", columns].tolist() == [64, 4, 4, "descriptive_only"]
    assert rows.loc["nonspeech_accuracy", columns].tolist() == [32, 0, 4, "descriptive_only"]


def test_row_order_changes_no_table():
    index, splits = study()
    answers = pd.concat([predictions(index, "base"), predictions(index, "attention-grouped", (1, 2, 3))], ignore_index=True)
    once = accuracy_table(score_systems(answers, index, splits), 0.95)
    shuffled = {name: split.sample(frac=1, random_state=4) for name, split in splits.items()}
    again = accuracy_table(score_systems(answers.sample(frac=1, random_state=2), index.sample(frac=1, random_state=3), shuffled), 0.95)
    pd.testing.assert_frame_equal(once, again)


def test_a_majority_of_seeds_answers_and_log_odds_break_ties():
    index, splits = study()
    rights = [True, True, False, True]
    answers = pd.concat([predictions(index, "a-grouped", (k,), lambda table, r=r: [r] * len(table)) for k, r in enumerate(rights)])
    for used, majority in (((0, 1, 2), True), ((2,), False)):
        (outcomes,) = score_systems(answers[answers.seed.isin(used)], index, splits)
        assert (outcomes.majority == majority).all()
    tie = answers[answers.seed.isin([1, 2])].copy()
    tie.loc[tie.seed == 2, "log_odds"] *= 3
    (outcomes,) = score_systems(tie, index, splits)
    assert not outcomes.majority.any(), "the surer seed, which is wrong, decides"


def test_missing_and_repeated_answers_are_refused_by_name():
    index, splits = study()
    answers = predictions(index, "base")
    with pytest.raises(InputError, match=r"system base, test set unseen: 1 of 64 answers are missing"):
        score_systems(answers.drop(answers.index[answers.stimulus_id == "SPEECH7-200-0-0"]), index, splits)
    with pytest.raises(InputError, match=r"answered more than once"):
        score_systems(pd.concat([answers, answers.tail(1)]), index, splits)
    with pytest.raises(InputError, match=r"system base, test set unseen: 64 of 64 answers are missing"):
        score_systems(answers[~answers.stimulus_id.isin(splits["grouped"].query("part == 'test'").stimulus_id)], index, splits)


def test_a_test_set_without_a_class_is_refused():
    index, splits = study()
    grouped = splits["grouped"]
    grouped.loc[grouped.label == "SPEECH", "part"] = "train"
    with pytest.raises(InputError, match="no SPEECH stimulus"):
        score_systems(predictions(index, "base"), index, splits)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda rows: rows.iloc[:0], r"mine\.parquet: holds no answers; give a row for each stimulus"),
        (
            lambda rows: rows.assign(answer=rows.answer.map({"SPEECH": "NONSPEECH", "NONSPEECH": "SPEECH"})),
            r"mine\.parquet: silero: says SPEECH at log-odds of -1 and NONSPEECH at 1; log-odds are SPEECH minus NONSPEECH",
        ),
        (
            lambda rows: rows.assign(log_odds=rows.log_odds.map({1.0: 0.9, -1.0: 0.1})),
            r"silero: all log-odds are between 0 and 1, as",
        ),
        (lambda rows: rows.assign(log_odds=rows.log_odds * np.inf), r"mine\.parquet: table predictions: Column 'log_odds' .*in_range.*inf"),
    ],
)
def test_answers_from_elsewhere_that_contradict_themselves_are_refused(tmp_path, changed, message):
    index, _ = study()
    changed(predictions(index, "silero")).to_parquet(tmp_path / "mine.parquet")
    with pytest.raises(InputError, match=message):
        read_predictions([tmp_path / "mine.parquet"])


def test_answers_of_a_threshold_of_their_own_are_read(tmp_path):
    """A detector may say SPEECH from 2 nats on, or always."""
    index, _ = study()
    rows = predictions(index, "silero")
    high = rows.assign(log_odds=rows.log_odds + 2.0)
    always = rows.assign(name="energy", log_odds=0.5, answer="SPEECH")
    for number, table in enumerate((high, always)):
        write_table(tmp_path / f"{number}.parquet", table, PREDICTIONS)
    assert len(read_predictions([tmp_path / f"{number}.parquet" for number in range(2)])) == 2 * len(index)


def test_an_answer_about_no_stimulus_is_refused():
    index, splits = study()
    rows = predictions(index, "silero")
    other = pd.concat([rows, rows.iloc[[0]].assign(stimulus_id="of another run")])
    with pytest.raises(InputError, match="system silero: answers about of another run, which is no stimulus here"):
        score_systems(other, index, splits)


@pytest.mark.parametrize("level", ["95", "0", "nan"])
def test_a_confidence_that_is_none_is_refused(monkeypatch, level):
    tables = [word for name in ("index", "splits", "split-names", "accuracy", "sources", "conditions") for word in (f"--{name}", name)]
    monkeypatch.setattr("sys.argv", ["measure_accuracy", "mine.parquet", *tables, "--confidence", level])
    with pytest.raises(SystemExit, match=r"error: config: statistics\.confidence = "):
        importlib.import_module("measure_accuracy").main()
