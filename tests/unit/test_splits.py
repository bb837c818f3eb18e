import json
import re

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from programs import call_program

from earwitness.core.errors import InputError
from earwitness.splits.study import split_by_row, split_by_source, split_into_fold, split_with_fewer_sources, with_origins
from earwitness.tables.columns import LABELS
from earwitness.tables.files import read_table, validate, write_table
from earwitness.tables.splits import SPLIT

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=15)
STUDY = {"speech_sources": 3, "sound_sources": 10, "stimuli": 160, "test_fraction": 0.2}


def stimuli_table(rows_of_sources: dict[str, list[int]]) -> pd.DataFrame:
    rows = [
        (f"{label}{source}@0@{row}", f"{label}{source}@0", f"r-{label}{source}", f"{label}{source}", label, 1000)
        for label, counts in rows_of_sources.items()
        for source, count in enumerate(counts)
        for row in range(count)
    ]
    return pd.DataFrame(rows, columns=["stimulus_id", "clip_id", "recording_id", "source_id", "label", "duration_ms"])


@st.composite
def stimuli_tables(draw: st.DrawFn) -> pd.DataFrame:
    return stimuli_table({label: draw(st.lists(st.integers(1, 4), min_size=3, max_size=20)) for label in LABELS})


@st.composite
def fractions(draw: st.DrawFn) -> tuple[float, float]:
    dev = draw(st.floats(0.01, 0.98))
    test = draw(st.floats(0.01, 0.98))
    assume(dev + test < 0.99)
    return dev, test


@given(stimuli_tables(), fractions(), seeds)
@few
def test_a_source_is_in_one_part_and_every_part_has_both_classes(stimuli, shares, seed):
    split = validate(split_by_source(stimuli, *shares, seed), SPLIT)
    assert sorted(split.stimulus_id) == sorted(stimuli.stimulus_id)
    assert split.groupby("source_id").part.nunique().eq(1).all()
    assert split.groupby("part").label.nunique().to_dict() == {"train": 2, "dev": 2, "test": 2}


@given(stimuli_tables(), fractions(), seeds)
@few
def test_shares_of_sources_are_met_within_one_source_unless_a_part_would_be_empty(stimuli, shares, seed):
    split = split_by_source(stimuli, *shares, seed)
    for _, rows in split.groupby("label"):
        total = rows.source_id.nunique()
        found = rows.groupby("part").source_id.nunique()
        for part, share in (("test", shares[1]), ("dev", shares[0])):
            assert abs(found[part] - share * total) <= 1 or found[part] == 1 or found.train == 1


@given(stimuli_tables(), fractions(), seeds, st.randoms(use_true_random=False))
@few
def test_the_order_of_rows_plays_no_role(stimuli, shares, seed, random):
    order = list(range(len(stimuli)))
    random.shuffle(order)
    pd.testing.assert_frame_equal(split_by_source(stimuli, *shares, seed), split_by_source(stimuli.iloc[order], *shares, seed))


@given(stimuli_tables(), fractions(), seeds)
@few
def test_a_new_source_moves_at_most_three_others_and_none_of_the_other_class(stimuli, shares, seed):
    new = pd.DataFrame([("new@0@0", "new@0", "r-new", "new", "SPEECH", 1000)], columns=stimuli.columns)
    before = split_by_source(stimuli, *shares, seed).groupby(["label", "source_id"]).part.first()
    after = split_by_source(pd.concat([new, stimuli]), *shares, seed).groupby(["label", "source_id"]).part.first().loc[before.index]
    moved = before[before != after]
    assert len(moved) <= 3
    assert "NONSPEECH" not in moved.index.get_level_values("label")


def test_another_seed_gives_another_split():
    stimuli = stimuli_table({label: [1] * 20 for label in LABELS})
    assert not split_by_source(stimuli, 0.15, 0.35, 1).equals(split_by_source(stimuli, 0.15, 0.35, 2))


def test_too_few_sources_are_refused_with_class_count_and_remedy():
    with pytest.raises(InputError, match=r"class SPEECH has 2 sources; .*add recordings of SPEECH"):
        split_by_source(stimuli_table({"SPEECH": [5, 5], "NONSPEECH": [5] * 5}), 0.15, 0.35, 1)


def test_one_class_alone_is_refused():
    with pytest.raises(InputError, match="has SPEECH; every part needs both classes"):
        split_by_source(stimuli_table({"SPEECH": [5] * 5}), 0.15, 0.35, 1)


@given(stimuli_tables(), fractions(), seeds, st.data())
@few
def test_sources_of_both_classes_and_of_one_recording_go_whole_to_one_part(stimuli, shares, seed, data):
    tied = data.draw(
        st.lists(st.tuples(st.sampled_from(sorted(set(stimuli.source_id))), st.sampled_from(sorted(set(stimuli.source_id)))), max_size=3)
    )
    for first, second in tied:
        stimuli.loc[stimuli.source_id == first, "recording_id"] = stimuli.recording_id[stimuli.source_id == second].iloc[0]
    both, other = data.draw(st.lists(st.sampled_from(sorted(set(stimuli.source_id))), min_size=2, max_size=2))
    stimuli.loc[stimuli.source_id == both, "source_id"] = other
    try:
        split = split_by_source(stimuli, *shares, seed)
    except InputError as error:
        assert re.search(r"class \w+ has 2 sources; train, dev|cannot have enough sources of (NON)?SPEECH", str(error))
        return
    in_part = split.merge(stimuli[["stimulus_id", "recording_id"]], on="stimulus_id")
    assert in_part.groupby("source_id").part.nunique().eq(1).all() and in_part.groupby("recording_id").part.nunique().eq(1).all()
    assert split.groupby("part").label.nunique().to_dict() == {"train": 2, "dev": 2, "test": 2}


def test_a_recording_moves_its_speakers_alone():
    stimuli = stimuli_table({label: [2] * 40 for label in LABELS})
    before = split_by_source(stimuli, 0.2, 0.3, 1).groupby("source_id").part.first()
    pair = [before.index[before.eq(part) & before.index.str.startswith("SPEECH")][0] for part in ("train", "test")]
    stimuli.loc[stimuli.source_id.isin(pair), "recording_id"] = "panel"
    after = split_by_source(stimuli, 0.2, 0.3, 1).groupby("source_id").part.first()
    assert after[pair[0]] == after[pair[1]]
    assert set(before.index[before != after]) < set(pair)


def test_sources_that_cannot_be_told_apart_are_refused_with_what_ties_them():
    stimuli = stimuli_table({"SPEECH": [2] * 6, "NONSPEECH": [2] * 6})
    stimuli.loc[stimuli.source_id.isin([f"SPEECH{k}" for k in range(5)]), "recording_id"] = "panel"
    with pytest.raises(InputError, match=r"there are 6 in 2 components .* SPEECH0 and 4 others, held together by recording panel; add recordings"):
        split_by_source(stimuli, 0.2, 0.3, 1)


def test_folds_keep_a_recording_whole_and_test_it_once():
    stimuli = stimuli_table({label: [2] * 12 for label in LABELS})
    stimuli.loc[stimuli.source_id.isin(["SPEECH0", "SPEECH5", "NONSPEECH3"]), "recording_id"] = "panel"
    splits = [split_into_fold(stimuli, 4, fold, 0.1, 1) for fold in range(4)]
    parts = [split.merge(stimuli[["stimulus_id", "recording_id"]], on="stimulus_id") for split in splits]
    assert all(part.groupby("recording_id").part.nunique().eq(1).all() for part in parts)
    tested = [name for split in splits for name in split.source_id[split.part == "test"].unique()]
    assert sorted(tested) == sorted(stimuli.source_id.unique())


@st.composite
def grouped_splits(draw: st.DrawFn) -> pd.DataFrame:
    speech = draw(st.lists(st.integers(30, 60), min_size=8, max_size=15))
    sounds = draw(st.lists(st.integers(8, 30), min_size=22, max_size=30))
    return split_by_source(stimuli_table({"SPEECH": speech, "NONSPEECH": sounds}), 0.15, 0.35, draw(seeds))


@given(grouped_splits(), seeds)
@few
def test_the_leaky_split_has_the_studys_size_and_shares_its_sources_which_all_come_from_the_train_part(grouped, seed):
    split = validate(split_by_row(grouped, **STUDY, seed=seed), SPLIT)
    train_sources = set(grouped.source_id[grouped.part == "train"])
    assert set(split.source_id) <= train_sources
    assert split.groupby("label").source_id.nunique().to_dict() == {"SPEECH": 3, "NONSPEECH": 10}
    assert split.groupby(["part", "label"]).size().to_dict() == {(part, label): n for part, n in (("train", 64), ("test", 16)) for label in LABELS}
    shared = split.groupby(["label", "source_id"]).part.nunique().eq(2).groupby("label").sum()
    assert shared.SPEECH >= 1 and shared.NONSPEECH >= 1


@given(grouped_splits(), seeds, st.randoms(use_true_random=False))
@few
def test_the_leaky_split_does_not_depend_on_the_order_of_rows(grouped, seed, random):
    order = list(range(len(grouped)))
    random.shuffle(order)
    pd.testing.assert_frame_equal(split_by_row(grouped, **STUDY, seed=seed), split_by_row(grouped.iloc[order], **STUDY, seed=seed))


def test_the_leaky_split_prefers_sources_with_enough_rows():
    stimuli = stimuli_table({"SPEECH": [10] * 10 + [40] * 10, "NONSPEECH": [20] * 40})
    for seed in range(20):
        grouped = split_by_source(stimuli, 0.1, 0.1, seed)
        split = split_by_row(grouped, **STUDY, seed=seed)
        assert split[split.label == "SPEECH"].groupby("source_id").size().max() <= 27


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"speech_sources": 9}, "has 8 SPEECH sources, splits.row_random.speech_sources asks for 9; lower it to 8 or less"),
        ({"sound_sources": 17}, "has 16 NONSPEECH sources, splits.row_random.sound_sources asks for 17"),
        ({"stimuli": 163}, r"the 3 SPEECH sources .* have 81, splits.row_random.stimuli = 163 needs 82 of them; lower it to 162 or less"),
        ({"stimuli": 18}, "splits.row_random.stimuli = 18 gives class NONSPEECH 9 stimuli, fewer than its 10 sources; raise it to at least 20"),
    ],
)
def test_a_leaky_split_that_cannot_be_drawn_is_refused_with_key_count_and_remedy(changes, complaint):
    grouped = split_by_source(stimuli_table({"SPEECH": [27] * 16, "NONSPEECH": [20] * 32}), 0.15, 0.35, 1)
    with pytest.raises(InputError, match=complaint):
        split_by_row(grouped, **{**STUDY, **changes}, seed=1)


def test_the_programs_write_sorted_split_tables_and_one_line_errors(tmp_path):
    grouped = split_by_source(stimuli_table({"SPEECH": [40] * 12, "NONSPEECH": [20] * 30}), 0.15, 0.35, 1)
    write_table(tmp_path / "grouped.csv", grouped, SPLIT)
    command = ["split_row_random", "grouped.csv", "leaky.csv", "--seed", 1, "--settings"]
    assert call_program(*command, json.dumps(STUDY), folder=tmp_path).returncode == 0
    leaky = read_table(tmp_path / "leaky.csv", SPLIT)
    assert leaky.stimulus_id.is_monotonic_increasing
    pd.testing.assert_frame_equal(leaky, split_by_row(grouped, **STUDY, seed=1))
    (tmp_path / "leaky.csv").unlink()
    failed = call_program(*command, json.dumps({**STUDY, "speech_sources": 30}), folder=tmp_path)
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1 and failed.stderr.startswith("error: ")
    assert not (tmp_path / "leaky.csv").exists()


@given(stimuli_tables(), st.integers(3, 6), st.floats(0.01, 0.6), seeds)
@few
def test_the_folds_test_every_source_once_and_train_on_none_that_they_test(stimuli, folds, dev_fraction, seed):
    assume(stimuli.groupby("label").source_id.nunique().min() >= folds)
    splits = [validate(split_into_fold(stimuli, folds, fold, dev_fraction, seed), SPLIT) for fold in range(folds)]
    tested = [source for split in splits for source in split.source_id[split.part == "test"].unique()]
    assert sorted(tested) == sorted(stimuli.source_id.unique())
    for split in splits:
        assert sorted(split.stimulus_id) == sorted(stimuli.stimulus_id)
        assert split.groupby("source_id").part.nunique().eq(1).all()
        assert split.groupby("part").label.nunique().to_dict() == {"train": 2, "dev": 2, "test": 2}
        sizes = split[split.part == "test"].groupby("label").source_id.nunique()
        assert all(abs(sizes[label] - total / folds) < 1 for label, total in split.groupby("label").source_id.nunique().items())


def test_more_folds_than_sources_are_refused_by_class():
    stimuli = stimuli_table({"SPEECH": [1] * 4, "NONSPEECH": [1] * 9})
    with pytest.raises(InputError, match=r"class SPEECH has 4 sources, fewer than splits.folds = 5; lower it to 4 or less"):
        split_into_fold(stimuli, 5, 0, 0.1, 1)


@given(stimuli_tables(), fractions(), seeds, st.data())
@few
def test_fewer_training_sources_are_among_more_and_change_neither_dev_nor_test(stimuli, shares, seed, data):
    grouped = split_by_source(stimuli, *shares, seed)
    most = grouped[grouped.part == "train"].groupby("label").source_id.nunique().min()
    small, large = sorted(data.draw(st.tuples(st.integers(1, most), st.integers(1, most))))
    fewer, more = (split_with_fewer_sources(grouped, sources, seed) for sources in (small, large))
    trained = [set(split.stimulus_id[split.part == "train"]) for split in (fewer, more)]
    assert trained[0] <= trained[1] <= set(grouped.stimulus_id[grouped.part == "train"])
    assert fewer[fewer.part == "train"].groupby("label").source_id.nunique().to_dict() == {"SPEECH": small, "NONSPEECH": small}
    kept = grouped[grouped.part != "train"].reset_index(drop=True)
    pd.testing.assert_frame_equal(fewer[fewer.part != "train"].reset_index(drop=True), kept)


def test_tied_sources_are_in_one_part_of_the_split_and_of_every_fold():
    stimuli = stimuli_table({"SPEECH": [2] * 12, "NONSPEECH": [2] * 12})
    some = sorted(stimuli.source_id.unique())[::5]
    ties = pd.DataFrame({"source_a": some[:-1], "source_b": some[1:], "why": "one voice"})
    splits = [split_by_source(stimuli, 0.2, 0.3, 1, ties), *(split_into_fold(stimuli, 4, fold, 0.2, 1, ties) for fold in range(4))]
    assert all(len(set(split.part[split.source_id.isin(some)])) == 1 for split in splits)
    tested = pd.concat([split[split.part == "test"] for split in splits[1:]])
    assert sorted(tested.stimulus_id) == sorted(stimuli.stimulus_id)
    assert len(set(split_by_source(stimuli, 0.2, 0.3, 1).pipe(lambda split: split.part[split.source_id.isin(some)]))) > 1


def test_more_training_sources_than_there_are_are_refused_by_class():
    grouped = split_by_source(stimuli_table({"SPEECH": [1] * 8, "NONSPEECH": [1] * 5}), 0.2, 0.2, 1)
    with pytest.raises(InputError, match=r"train part .* has 3 NONSPEECH sources, splits.training_sources asks for 4; lower it to 3"):
        split_with_fewer_sources(grouped, 4, 1)


def test_what_recordings_were_cut_from_and_made_in_is_told_of_their_stimuli():
    stimuli = pd.DataFrame({"recording_id": ["a", "b", "c", "a", "d"]})
    recordings = [
        pd.DataFrame({"recording_id": ["a", "b"], "original": ["tape", ""], "session": ["monday", "monday"]}),
        pd.DataFrame({"recording_id": ["c"], "original": ["tape"], "session": [""]}),
    ]
    told = with_origins(stimuli, recordings)
    assert list(told.session) == ["monday", "monday", "", "monday", ""]
    assert list(told.original) == ["tape", "", "tape", "tape", ""]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [object, "str", "string"])
def test_columns_of_any_text_type_are_filled_without_a_warning(kind):
    recordings = [pd.DataFrame({"recording_id": ["a"], "original": ["tape"], "session": [""]}, dtype=kind)]
    told = with_origins(pd.DataFrame({"recording_id": ["a", "b"]}), recordings)
    assert [list(told.original), list(told.session)] == [["tape", ""], ["", ""]]


@pytest.mark.parametrize("column", ["original", "session"])
def test_sources_of_one_original_or_session_are_in_one_part(column):
    stimuli = stimuli_table({"SPEECH": [2] * 12, "NONSPEECH": [2] * 12})
    some = sorted(stimuli.source_id.unique())[::5]
    together = stimuli.assign(**{column: ["one" if source in some else "" for source in stimuli.source_id]})
    apart = split_by_source(stimuli, 0.2, 0.3, 1)
    assert len(set(apart.part[apart.source_id.isin(some)])) > 1
    split = split_by_source(together, 0.2, 0.3, 1)
    assert len(set(split.part[split.source_id.isin(some)])) == 1
