import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.core.errors import InputError
from earwitness.corpora.rttm import EmptyRttmError, Turn, read_rttm, single_speaker_stretches

GOOD = "SPEAKER abc 1 0.50 2.25 <NA> <NA> spk00 <NA> <NA>\n"

TICKS = st.integers(0, 60).map(lambda tick: tick / 4)
TURNS = st.lists(st.builds(lambda start, length, speaker: Turn(start, start + length, speaker), TICKS, TICKS, st.sampled_from("abc")), max_size=12)


@given(TURNS, st.sampled_from([0.0, 0.25, 0.5]))
def test_a_stretch_lies_inside_its_speakers_turns_and_touches_nobody_elses(turns, collar):
    stretches = single_speaker_stretches(turns, collar)
    for stretch in stretches:
        assert stretch.end_s > stretch.start_s
        # Times are multiples of 1/4 s, so every odd eighth stands for the quarter around it.
        for eighth in range(int(stretch.start_s * 8) + 1, int(stretch.end_s * 8), 2):
            assert {turn.speaker for turn in turns if turn.start_s < eighth / 8 < turn.end_s} == {stretch.speaker}
    for before, after in itertools.pairwise(stretches):
        assert before.end_s <= after.start_s


@given(TURNS)
def test_no_time_of_a_lone_speaker_is_lost(turns):
    found = sum(stretch.end_s - stretch.start_s for stretch in single_speaker_stretches(turns))
    expected = sum(len({turn.speaker for turn in turns if turn.start_s < eighth / 8 < turn.end_s}) == 1 for eighth in range(1, 8 * 40, 2)) / 4
    assert found == pytest.approx(expected)


@given(TURNS, st.sampled_from([0.25, 0.5, 1.0]))
def test_the_collar_is_cut_from_both_ends_of_every_stretch(turns, collar):
    whole = single_speaker_stretches(turns)
    expected = [(s.start_s + collar, s.end_s - collar, s.speaker) for s in whole if s.end_s - s.start_s > 2 * collar]
    assert [tuple(s) for s in single_speaker_stretches(turns, collar)] == expected


def test_an_overlap_splits_a_turn_and_touching_turns_of_one_speaker_join():
    turns = [Turn(0, 10, "a"), Turn(4, 5, "b"), Turn(10, 12, "a"), Turn(12, 13, "b")]
    assert single_speaker_stretches(turns) == [Turn(0, 4, "a"), Turn(5, 12, "a"), Turn(12, 13, "b")]


def test_comments_blank_lines_and_other_types_are_skipped_and_nine_fields_do(tmp_path):
    path = tmp_path / "abc.rttm"
    nine_fields = "SPEAKER abc 1 4 1 <NA> <NA> spk01 <NA>\n"
    info = "SPKR-INFO abc 1 <NA> <NA> <NA> unknown spk00 <NA> <NA>\n"
    path.write_text("\ufeff;; made by hand\n\n" + info + GOOD + nine_fields, encoding="utf-8")
    assert read_rttm(path).turns == [Turn(0.5, 2.75, "spk00"), Turn(4, 5, "spk01")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPEAKER abc 1 0.5", r"expected SPEAKER <file>"),
        ("SPAEKER abc 1 0.5 1 <NA> <NA> a <NA> <NA>", r"malformed line 'SPAEKER"),
        ("SPEAKER abc 1 soon 1 <NA> <NA> a <NA> <NA>", r"start 'soon'"),
        ("SPEAKER abc 1 1_0 1 <NA> <NA> a <NA> <NA>", r"start '1_0'"),
        ("SPEAKER abc 1 -0.1 1 <NA> <NA> a <NA> <NA>", r"start -0\.1"),
        ("SPEAKER abc 1 0.1 -1 <NA> <NA> a <NA> <NA>", r"duration -1"),
        ("SPEAKER abc 1 nan 1 <NA> <NA> a <NA> <NA>", r"start nan"),
        ("SPEAKER abc 1 0.1 inf <NA> <NA> a <NA> <NA>", r"duration inf"),
        ("SPEAKER abc 1 0.1 1 <NA> <NA> Ana Maria <NA>", r"'Maria' follows the speaker 'Ana'; write names without spaces"),
        ("SPEAKER abc 1 0.1 1 <NA> spk01 <NA> <NA>", r"the speaker is '<NA>', and a name stands before it; a field is missing, as in SPEAKER"),
        ("SPEAKER abc 1 0.1 1 spk01 <NA> <NA>", r"a field is missing"),
        ("SPEAKER my talk 1 2.0 1.5 <NA> <NA> 2 <NA>", r"the channel is 'talk' and the speaker '<NA>': fields are shifted"),
        ("SPEAKER talk 1 1 0.5 3 <NA> <NA> 2 <NA>", r"the channel is '1' and the speaker '<NA>': fields are shifted"),
        ("SPEAKER abc 0.5 1.5 2.0 <NA> <NA> a <NA>", r"the channel is '0.5' and the speaker 'a': fields are shifted"),
        ("SPEAKER my recording 1 0.1 1 <NA> <NA> a <NA> <NA>", r"\(11 fields\)"),
        ("SPEAKER abc 1 0,5 1 <NA> <NA> a <NA> <NA>", r"start '0,5'"),
        ("SPEAKER " + "x" * 5000, r"x\.\.\.' \(2 fields\)"),
    ],
)
def test_a_malformed_line_is_named_by_file_and_number(tmp_path, line, message):
    path = tmp_path / "abc.rttm"
    path.write_text(GOOD + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message) as raised:
        read_rttm(path)
    assert str(raised.value).startswith(f"{path}:2: ")
    assert len(str(raised.value)) < len(str(path)) + 300


@pytest.mark.parametrize(
    "text",
    [
        "SPEAKER abc 1 0.5 2.25 <NA> <NA> spk00\n",
        "\ufeffSPEAKER\tabc\t1\t0.50\t2.25\t<NA>\t<NA>\tspk00\t<NA>\t<NA>\r\n",
        "SPEAKER abc 0 0.5 2.25 NA NA spk00 0.93 NA\r",
        "SPEAKER abc 2 .5 2.25 - - spk00 - -\n",
        "SPEAKER abc ch1 0.5 2.25 <NA> <NA> spk00 <NA> <NA>\n",
    ],
)
def test_variants_that_say_the_same_are_read(tmp_path, text):
    path = tmp_path / "abc.rttm"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_rttm(path) == ("abc", [Turn(0.5, 2.75, "spk00")])


@pytest.mark.parametrize("text", ["", ";; nothing\n\n", "SEGMENT abc 1 0 1 eval <NA> a <NA> <NA>\n"])
def test_a_file_without_turns_is_named(tmp_path, text):
    path = tmp_path / "abc.rttm"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EmptyRttmError, match=r"abc\.rttm: holds no SPEAKER line"):
        read_rttm(path)


def test_binary_and_mixed_files_are_refused(tmp_path):
    path = tmp_path / "abc.rttm"
    path.write_bytes(b"\xff\xfe\x00SPEAKER")
    with pytest.raises(InputError, match=r"abc\.rttm:1: not UTF-8 text"):
        read_rttm(path)
    path.write_text(GOOD + GOOD.replace("abc", "xyz"), encoding="utf-8")
    with pytest.raises(InputError, match=r"abc\.rttm:2: mixes recordings \(abc, then xyz\)"):
        read_rttm(path)


def test_every_real_annotation_is_read_and_its_stretches_have_one_speaker(real_data):
    paths = sorted(real_data.glob("*/**/*.rttm"))
    if not paths:
        pytest.skip(f"no RTTM files in {real_data}")
    for path in paths:
        turns = read_rttm(path).turns
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("SPEAKER")]
        assert len(turns) == len(lines)
        for stretch in single_speaker_stretches(turns, 0.1):
            overlapping = {turn.speaker for turn in turns if turn.start_s < stretch.end_s and turn.end_s > stretch.start_s}
            assert overlapping == {stretch.speaker}, path
