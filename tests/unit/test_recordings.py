import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from programs import call_program

from earwitness.core.errors import InputError
from earwitness.corpora.catalogue import catalogue, read_uploaders
from earwitness.corpora.data_sets import DESCRIPTION, DataSet
from earwitness.corpora.file_checks import Limits
from earwitness.corpora.layouts import source_files
from earwitness.corpora.synthesis.sounds import TARGETS
from earwitness.corpora.vocabularies import ESC50_HUMAN_VOICE, ESC50_TARGETS
from earwitness.tables.files import read_table, validate
from earwitness.tables.recordings import AUDIO_CHECK, RECORDINGS, SEGMENTS

SETTINGS = {"strict": False, "min_duration_s": 0.3, "max_clipped_fraction": 0.01, "max_dc_offset": 0.05, "silence_dbfs": -60.0}
LIMITS = Limits(**{name: value for name, value in SETTINGS.items() if name != "strict"})
SOURCE = json.dumps({key: DataSet("", Path(), layout="voxconverse").__dict__[key] for key in DESCRIPTION})


def write_wav(path, seconds=2.0, rate=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(len(path.name)).standard_normal(round(seconds * rate))
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def write_rttm(path, turns, recording="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"SPEAKER {recording} 1 {start} {length} <NA> <NA> {name} <NA> <NA>\n" for start, length, name in turns]
    path.write_text("".join(lines), encoding="utf-8")


def speech_folder(folder, names=("abc", "xyz")):
    for name in names:
        write_wav(folder / "audio" / f"{name}.wav", 4)
        write_rttm(folder / "rttm" / f"{name}.rttm", [(0.5, 2.0, "a"), (2.0, 10.0, "b")])
    return folder


def sound_folder(folder, rows):
    for name, *_ in rows:
        write_wav(folder / "audio" / name)
    (folder / "meta").mkdir()
    table = pd.DataFrame(rows, columns=["filename", "category", "src_file"]).assign(fold=1, esc10=False, take="A")
    table.to_csv(folder / "meta" / "esc50.csv", index=False)
    return folder


def listed(name, path, strict=False, uploaders=None, **settings):
    """The catalogue of a data set that is called by its layout."""
    own = {"layout": name, "licence": "CC BY 4.0"} if settings.get("origin", "path") in ("path", "embedded", "download") else {}
    return catalogue(DataSet(name, path, **{**own, **settings}), LIMITS, strict, uploaders=uploaders)


def verdicts(found):
    return {Path(row.path).name: (row.verdict, row.reason) for row in found.check.itertuples()}


def test_a_file_that_is_read_in_spite_of_a_fault_is_usable_and_says_so(tmp_path):
    path = speech_folder(tmp_path) / "audio" / "abc.wav"
    samples = soundfile.read(path)[0]
    soundfile.write(path, np.stack([samples, -samples], axis=1), 16_000)
    found = listed("voxconverse", tmp_path)
    verdict, reason = verdicts(found)["abc.wav"]
    assert verdict == "ok" and reason.startswith("channels cancel in their mean")
    assert verdicts(found)["xyz.wav"] == ("ok", "")
    assert f"{path}: {reason}" in found.remarks


def test_a_speech_recording_is_its_own_source_and_its_segments_have_one_speaker(tmp_path):
    found = listed("voxconverse", speech_folder(tmp_path))
    assert list(found.recordings.recording_id) == ["voxconverse:abc", "voxconverse:xyz"]
    assert list(found.recordings.source_id) == ["voxconverse:abc", "voxconverse:xyz"]
    assert set(found.recordings.label) == {"SPEECH"}
    own = found.segments[found.segments.recording_id == "voxconverse:abc"]
    assert own[["start_s", "end_s"]].to_numpy().tolist() == [[0.5, 2.0], [2.5, 4.0]], "no overlap, nothing beyond the file"
    for table, schema in [(found.recordings, RECORDINGS), (found.segments, SEGMENTS), (found.check, AUDIO_CHECK)]:
        validate(table, schema)


@pytest.mark.parametrize("nobody", ["NONSPEECH", "non-speech", "SIL", "noise", "Music"])
@pytest.mark.parametrize("somebody", ["ana", "SPEECH"])
def test_where_an_annotation_says_that_nobody_speaks_is_no_speech(tmp_path, nobody, somebody):
    write_wav(tmp_path / "audio/a.wav", 4)
    write_rttm(tmp_path / "a.rttm", [(0, 1, nobody), (1, 1, somebody), (2.5, 1.0, somebody), (3.0, 1.0, nobody)], "a")
    found = listed("voxconverse", tmp_path, speaker_names="global" if somebody == "ana" else "local")
    assert [(row.start_s, row.end_s, row.label) for row in found.segments.itertuples()] == [(1.0, 2.0, "SPEECH"), (2.5, 3.0, "SPEECH")]
    assert not found.recordings.source_id.str.contains("noise|music|sil|speech", case=False).any()
    assert "in 1 RTTM files turns are of noise, music or nobody, and no speech: a.rttm" in found.remarks


def test_a_recording_in_which_nobody_speaks_is_broken(tmp_path):
    speech_folder(tmp_path)
    write_wav(tmp_path / "audio/a.wav", 4)
    write_rttm(tmp_path / "a.rttm", [(0, 3, "noise")], "a")
    assert verdicts(listed("voxconverse", tmp_path))["a.wav"][0] == "broken"


def test_annotations_that_are_missing_empty_or_useless_leave_a_recording_out(tmp_path):
    folder = speech_folder(tmp_path, ["good", "bare", "empty", "late", "both"])
    (folder / "rttm" / "bare.rttm").unlink()
    (folder / "rttm" / "empty.rttm").write_text(";; nobody spoke\n", encoding="utf-8")
    write_rttm(folder / "rttm" / "late.rttm", [(9, 1, "a")])
    write_rttm(folder / "rttm" / "both.rttm", [(0, 4, "a"), (0, 4, "b")])
    write_rttm(folder / "rttm" / "nobody.rttm", [(0, 4, "a")])
    found = listed("voxconverse", folder)
    judged = verdicts(found)
    assert judged.pop("good.wav") == ("ok", "")
    assert {verdict for verdict, _ in judged.values()} == {"broken"}
    assert judged["bare.wav"][1] == "no annotation"
    assert "holds no SPEAKER line" in judged["empty.wav"][1]
    assert judged["late.wav"][1] == "no annotated stretch lies inside the file"
    assert judged["both.wav"][1] == "no stretch with one speaker alone: a and b overlap throughout"
    assert list(found.recordings.recording_id) == ["voxconverse:good"]
    assert "1 RTTM files have no recording in audio/: nobody" in found.remarks
    assert any("a name is one within its file alone; sources.voxconverse.speaker_names: global" in remark for remark in found.remarks)


def test_strict_names_the_first_broken_file_and_the_count(tmp_path):
    folder = speech_folder(tmp_path, ["a", "b", "c"])
    (folder / "rttm" / "a.rttm").write_text("", encoding="utf-8")
    (folder / "audio" / "b.wav").write_text("text", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.wav: .*holds no SPEAKER line.*\(2 of 3 files are broken\)"):
        listed("voxconverse", folder, strict=True)
    assert len(listed("voxconverse", folder).recordings) == 1


def test_a_malformed_rttm_is_an_error_even_when_not_strict(tmp_path):
    folder = speech_folder(tmp_path)
    with (folder / "rttm" / "xyz.rttm").open("a") as stream:
        stream.write("SPEAKER xyz 1 four 2 <NA> <NA> a <NA> <NA>\n")
    with pytest.raises(InputError, match=r"xyz\.rttm:3: start 'four'"):
        listed("voxconverse", folder)


def test_ambiguous_annotations_and_recordings_are_refused(tmp_path):
    folder = speech_folder(tmp_path)
    write_rttm(folder / "dev" / "abc.rttm", [(0, 4, "a")])
    with pytest.raises(InputError, match=r"both annotate abc"):
        listed("voxconverse", folder)
    write_wav(folder / "audio" / "abc.WAV")
    with pytest.raises(InputError, match=r"would both be recording abc"):
        listed("voxconverse", folder)


def test_sounds_are_grouped_by_their_freesound_source_and_human_voice_is_excluded(tmp_path):
    rows = [("1-7-A-0.wav", "dog", "7"), ("1-7-B-0.wav", "dog", "7"), ("1-8-A-20.wav", "crying_baby", "8"), ("1-9-A-26.wav", "laughing", "9")]
    folder = sound_folder(tmp_path, rows)
    write_wav(folder / "audio" / "unlisted.wav")
    found = listed("esc50", folder)
    assert list(found.recordings.source_id) == ["freesound:7", "freesound:7"]
    assert set(found.recordings.category) == {"dog"}
    assert set(found.recordings.label) == {"NONSPEECH"}
    assert found.segments[["start_s", "end_s"]].to_numpy().tolist() == [[0, 2], [0, 2]]
    judged = verdicts(found)
    assert judged["1-8-A-20.wav"] == ("excluded", "category with human voice: crying_baby")
    assert judged["unlisted.wav"] == ("broken", "no annotation")


@pytest.mark.parametrize("column", ["filename", "category", "src_file"])
def test_a_missing_or_empty_column_is_named_with_its_file(tmp_path, column):
    folder = sound_folder(tmp_path, [("a.wav", "dog", "7"), ("b.wav", "cat", "8")])
    path = folder / "meta" / "esc50.csv"
    table = pd.read_csv(path, dtype=str)
    table.assign(**{column: ["x", ""]}).to_csv(path, index=False)
    with pytest.raises(InputError, match=rf"esc50\.csv:3: no {column}; fill it in"):
        listed("esc50", folder)
    table.drop(columns=column).to_csv(path, index=False)
    with pytest.raises(InputError, match=rf"esc50\.csv: no column {column}; it has "):
        listed("esc50", folder)


def test_tables_that_contradict_themselves_or_are_none_are_refused(tmp_path):
    folder = sound_folder(tmp_path, [("a.wav", "dog", "7")])
    path = folder / "meta" / "esc50.csv"
    path.write_text("filename,category,src_file\na.wav,dog,7\na.wav,cat,7\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"esc50\.csv:3: a\.wav is listed twice"):
        listed("esc50", folder)
    for content in (b"", b"\xff\xfe\xff", b'filename,category,src_file\n"a'):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"esc50\.csv(:\d)?: not (a readable CSV|UTF-8)"):
            listed("esc50", folder)


def fsd50k_folder(folder, labels, clips=None):
    for name in labels:
        write_wav(folder / "FSD50K.dev_audio" / f"{name}.wav")
    (folder / "FSD50K.ground_truth").mkdir()
    table = pd.DataFrame({"fname": list(labels), "labels": list(labels.values()), "mids": "/m/0", "split": "train"})
    table.to_csv(folder / "FSD50K.ground_truth" / "dev.csv", index=False)
    (folder / "FSD50K.ground_truth" / "vocabulary.csv").write_text("0,Bark,/m/05tny_\n", encoding="utf-8")
    if clips is not None:
        (folder / "FSD50K.metadata").mkdir()
        (folder / "FSD50K.metadata" / "dev_clips_info_FSD50K.json").write_text(json.dumps(clips), encoding="utf-8")
    return folder


FSD50K = {
    "1": "Bark,Dog,Domestic_animals_and_pets,Animal",
    "2": "Male_speech_and_man_speaking,Speech,Human_voice",
    "3": "Female_singing,Singing,Music,Human_voice",
    "4": "Speech,Human_voice,Dog,Animal",
    "5": "Cheering,Crowd,Human_group_actions",
    "6": "Speech,Human_voice,Singing",
}


def test_fsd50k_clips_are_speech_voice_free_or_excluded(tmp_path):
    clips = {"1": {"uploader": "ann", "license": "CC0"}, "2": {"uploader": "ann"}, "3": {"uploader": "bob"}}
    found = listed("fsd50k", fsd50k_folder(tmp_path, FSD50K, clips))
    rows = found.recordings.set_index("recording_id")
    assert list(rows.index) == ["fsd50k:1", "fsd50k:2"]
    assert list(rows.label) == ["NONSPEECH", "SPEECH"]
    assert list(rows.category) == ["Bark", "speech"]
    assert list(rows.source_id) == ["freesound:@ann", "freesound:@ann"]
    assert list(rows.licence) == ["CC0", "CC BY 4.0"]
    judged = verdicts(found)
    assert judged["3.wav"] == ("excluded", "label with human voice: Female_singing")
    assert judged["4.wav"] == ("excluded", "speech and something else: Dog")
    assert judged["5.wav"][0] == judged["6.wav"][0] == "excluded"


def test_without_uploaders_every_fsd50k_sound_is_a_source_and_the_log_says_so(tmp_path):
    found = listed("fsd50k", fsd50k_folder(tmp_path, FSD50K))
    assert list(found.recordings.source_id) == ["freesound:1", "freesound:2"]
    assert any("FSD50K.metadata is missing" in remark for remark in found.remarks)


@pytest.mark.parametrize("content", ["[1]", '{"1": 2}', "{", '{"1": {"uploader": ["ana"]}}', '{"1": {"uploader": {"name": "ana"}}}'])
def test_clips_info_that_cannot_be_read_is_named(tmp_path, content):
    folder = fsd50k_folder(tmp_path, FSD50K, {})
    (folder / "FSD50K.metadata" / "dev_clips_info_FSD50K.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"dev_clips_info_FSD50K\.json"):
        listed("fsd50k", folder)


@pytest.mark.parametrize(
    ("labels", "label", "excluded"),
    [
        ("Speech, Human_voice", "SPEECH", ""),
        ("Speech;Human_voice", "SPEECH", ""),
        ("speech,human voice", "SPEECH", ""),
        ("Dog, Animal", "NONSPEECH", ""),
        ("Dog, Speech, Human_voice", "", "speech and something else: Dog"),
        ("male_singing,Music", "", "label with human voice: Male_singing"),
    ],
)
def test_labels_of_fsd50k_are_known_however_they_are_divided_and_spelled(tmp_path, labels, label, excluded):
    found = listed("fsd50k", fsd50k_folder(tmp_path, {"1": labels, "2": "Bark,Dog"}))
    assert verdicts(found)["1.wav"] == ("excluded" if excluded else "ok", excluded)
    assert list(found.recordings.label[found.recordings.recording_id == "fsd50k:1"]) == [label] * (not excluded)


@pytest.mark.parametrize("written", ["1.wav", "1.WAV", "1.0", "01", "1.0E+00", "\uff11", "FSD50K.dev_audio/1.wav", "FSD50K.dev_audio\\1"])
def test_files_are_found_where_a_table_names_their_folder_or_suffix(tmp_path, written):
    folder = fsd50k_folder(tmp_path / "fsd50k", {"1": "Bark,Dog", "2": "Rain,Water"})
    table = folder / "FSD50K.ground_truth/dev.csv"
    table.write_text(table.read_text().replace("\n1,", f"\n{written},"))
    assert verdicts(listed("fsd50k", folder))["1.wav"] == ("ok", "")
    sounds = sound_folder(tmp_path / "esc50", [("a.wav", "dog", "1"), ("b.wav", "rain", "2")])
    table = sounds / "meta/esc50.csv"
    table.write_text(table.read_text().replace("\na.wav", "\naudio\\a.wav"))
    assert verdicts(listed("esc50", sounds))["a.wav"] == ("ok", "")


@pytest.mark.parametrize("label", ["Dogg", "3", "/m/09x0r", "Speech Human_voice"])
def test_an_unknown_label_is_never_no_speech(tmp_path, label):
    with pytest.raises(InputError, match=rf"dev\.csv:3: unknown label '{label}'"):
        listed("fsd50k", fsd50k_folder(tmp_path / "fsd50k", {"1": "Bark,Dog", "2": label}))
    with pytest.raises(InputError, match=rf"esc50\.csv:3: unknown category '{label}'; .*sources\.esc50\.labels"):
        listed("esc50", sound_folder(tmp_path / "esc50", [("a.wav", "dog", "7"), ("b.wav", label, "8")]))


@pytest.mark.parametrize("target", ["3", "3.0", " 3", "03", ""])
def test_a_category_with_its_own_target_or_none_is_read(tmp_path, target):
    folder = sound_folder(tmp_path, [("2-7-A-3.wav", "cow", "7")])
    table = folder / "meta/esc50.csv"
    pd.read_csv(table, dtype=str).assign(target=target).to_csv(table, index=False)
    assert list(listed("esc50", folder).recordings.category) == ["cow"]


@pytest.mark.parametrize(
    ("name", "category", "target", "message"),
    [
        ("b.wav", "dog", "26", r"category dog has target 0 in ESC-50, but its target says 26, which is laughing; correct the wrong one"),
        ("b.wav", "Dog ", "99", r"category dog has target 0 in ESC-50, but its target says 99; correct"),
        ("b.wav", "dog", "O", r"its target says O;"),
        ("1-9-A-26.wav", "dog", "", r"the name of 1-9-A-26\.wav says 26, which is laughing"),
        ("1-9-A-26.wav", "dog", "0", r"the name of 1-9-A-26\.wav says 26"),
    ],
)
def test_a_category_that_contradicts_its_target_is_refused_by_line(tmp_path, name, category, target, message):
    folder = sound_folder(tmp_path, [("a.wav", "cow", "7"), (name, category, "9")])
    table = folder / "meta/esc50.csv"
    pd.read_csv(table, dtype=str).assign(target=["3", target]).to_csv(table, index=False)
    with pytest.raises(InputError, match=rf"esc50\.csv:3: .*{message}"):
        listed("esc50", folder)


def test_a_category_of_ones_own_may_have_any_target(tmp_path):
    folder = sound_folder(tmp_path, [("1-9-A-26.wav", "radio", "9")])
    assert list(listed("esc50", folder, labels={"radio": "SPEECH"}).recordings.label) == ["SPEECH"]


def test_the_synthesised_sounds_have_the_targets_of_their_categories():
    assert {category: ESC50_TARGETS[category] for category in TARGETS} == TARGETS
    assert sorted(ESC50_TARGETS.values()) == list(range(50))
    assert set(ESC50_TARGETS) > ESC50_HUMAN_VOICE


@pytest.mark.parametrize("category", ["laughing ", "Crying baby", "Coughing", "CRYING-BABY"])
def test_a_human_voice_is_left_out_however_its_category_is_spelled(tmp_path, category):
    found = listed("esc50", sound_folder(tmp_path, [("a.wav", "dog", "7"), ("b.wav", category, "8")]))
    assert verdicts(found)["b.wav"][0] == "excluded"


def test_a_category_of_ones_own_is_what_the_configuration_says(tmp_path):
    folder = sound_folder(tmp_path, [("a.wav", "Power drill", "x"), ("b.wav", "radio", "y"), ("c.wav", "music", "z")])
    found = listed("esc50", folder, labels={"power_drill": "NONSPEECH", "radio": "SPEECH", "music": "excluded"})
    assert dict(zip(found.recordings.recording_id, found.recordings.label, strict=True)) == {"esc50:a": "NONSPEECH", "esc50:b": "SPEECH"}
    assert verdicts(found)["c.wav"] == ("excluded", "category music is mapped to excluded")


def test_one_sound_of_freesound_is_one_source_in_every_data_set(tmp_path):
    sounds = sound_folder(tmp_path / "esc50", [("1-100-A-0.wav", "dog", "100"), ("2-200-B-0.wav", "dog", "200"), ("own.wav", "dog", "100")])
    folder = fsd50k_folder(tmp_path / "fsd50k", {"100": "Bark,Dog", "300": "Bark,Dog"}, {"100": {"uploader": "Ann"}, "300": {"uploader": "ann "}})
    known = read_uploaders([folder / "FSD50K.metadata" / "dev_clips_info_FSD50K.json"])
    esc50, fsd50k = (dict(zip(found.recordings.recording_id, found.recordings.source_id, strict=True)) for found in (
        listed("esc50", sounds, uploaders=known), listed("fsd50k", folder),
    ))  # fmt: skip
    assert esc50 == {"esc50:1-100-A-0": "freesound:@ann", "esc50:2-200-B-0": "freesound:200", "esc50:own": "esc50:100"}
    assert fsd50k == {"fsd50k:100": "freesound:@ann", "fsd50k:300": "freesound:@ann"}
    without = listed("esc50", sounds).recordings
    assert list(without.source_id) == ["freesound:100", "freesound:200", "esc50:100"]
    synthetic = listed("esc50", sounds, origin="embedded").recordings
    assert list(synthetic.source_id) == ["esc50:100", "esc50:200", "esc50:100"]


@pytest.mark.parametrize("written", ["100", "100.0", "0100", "1.00E+02", "100.wav", "\uff11\uff10\uff10", "\u200b100 "])
def test_a_sound_of_esc50_is_that_of_freesound_however_its_number_is_written(tmp_path, written):
    folder = sound_folder(tmp_path, [("1-100-A-0.wav", "dog", written), ("1-200-A-0.wav", "dog", "kennel")])
    assert list(listed("esc50", folder).recordings.source_id) == ["freesound:100", "esc50:kennel"]


def test_a_sound_of_esc50_whose_name_and_row_disagree_is_refused_by_line(tmp_path):
    folder = sound_folder(tmp_path, [("1-100-A-0.wav", "dog", "100"), ("1-200-A-0.wav", "dog", "100")])
    with pytest.raises(InputError, match=r"esc50\.csv:3: src_file is 100, but the name of 1-200-A-0\.wav says 200; correct the wrong one"):
        listed("esc50", folder)
    assert list(listed("esc50", folder, origin="embedded").recordings.source_id) == ["esc50:100", "esc50:100"]


@pytest.mark.parametrize("nothing", ["\u200b", " \ufeff\u2060"])
def test_a_name_of_nothing_visible_is_no_name(tmp_path, nothing):
    with pytest.raises(InputError, match=r"esc50\.csv:2: no src_file"):
        listed("esc50", sound_folder(tmp_path / "esc50", [("a.wav", "dog", nothing)]))
    found = listed("fsd50k", fsd50k_folder(tmp_path / "fsd50k", FSD50K, {"1": {"uploader": nothing}, "2": {"uploader": nothing}}))
    assert list(found.recordings.source_id) == ["freesound:1", "freesound:2"]


def test_sounds_without_an_uploader_are_told_and_one_that_is_given_twice_is_refused(tmp_path):
    folder = fsd50k_folder(tmp_path, FSD50K, {"1.wav": {"uploader": "ann"}, "02": {"uploader": None}})
    found = listed("fsd50k", folder)
    assert list(found.recordings.source_id) == ["freesound:@ann", "freesound:2"]
    assert "FSD50K.metadata names no uploader of 5 sounds, each a source of its own: 2, 3, 4, ..." in found.remarks
    (folder / "FSD50K.metadata" / "dev_clips_info_FSD50K.json").write_text('{"1": {"uploader": "ann"}, "1": {"uploader": "bob"}}', encoding="utf-8")
    with pytest.raises(InputError, match=r"dev_clips_info_FSD50K\.json: not valid JSON \(1 is given twice\)"):
        listed("fsd50k", folder)


@pytest.mark.parametrize("name", ["C:\\talks\\b.wav", "/talks/B.WAV", "B"])
def test_a_recording_is_named_by_any_path_and_in_any_case(tmp_path, name):
    folder = speech_folder(tmp_path, ["a", "b"])
    write_rttm(folder / "rttm" / "a.rttm", [(1.0, 2.0, "spk00")], name)
    write_rttm(folder / "rttm" / "b.rttm", [(0.0, 1.0, "spk00")], "a")
    found = listed("voxconverse", folder)
    assert dict(zip(found.segments.recording_id, found.segments.start_s, strict=True)) == {"voxconverse:a": 0.0, "voxconverse:b": 1.0}


def test_an_annotation_belongs_to_the_recording_that_its_lines_name(tmp_path):
    folder = speech_folder(tmp_path, ["a", "b", "dev_c"])
    write_rttm(folder / "rttm" / "a.rttm", [(1.0, 2.0, "spk00")], "b")
    write_rttm(folder / "rttm" / "b.rttm", [(0.0, 1.0, "spk00")], "a")
    write_rttm(folder / "rttm" / "dev_c.rttm", [(0.0, 3.0, "spk00")], "audio/c.wav")
    found = listed("voxconverse", folder)
    starts = dict(zip(found.segments.recording_id, found.segments.start_s, strict=True))
    assert starts == {"voxconverse:a": 0.0, "voxconverse:b": 1.0, "voxconverse:dev_c": 0.0}
    assert any("a.rttm is of b, b.rttm is of a" in remark for remark in found.remarks)
    assert any("audio/c.wav in dev_c.rttm" in remark for remark in found.remarks)
    write_rttm(folder / "rttm" / "dev_c.rttm", [(0.0, 3.0, "spk00")], "a")
    with pytest.raises(InputError, match=r"both annotate a; remove one, or correct the name in its lines"):
        listed("voxconverse", folder)


def named_speakers(folder, names):
    for number, speakers in enumerate(names):
        write_wav(folder / "audio" / f"f{number}.wav", 4)
        turns = [(k * 4 / len(speakers), 4 / len(speakers), speaker) for k, speaker in enumerate(speakers)]
        write_rttm(folder / "rttm" / f"f{number}.rttm", turns, f"f{number}")
    return folder


def test_a_speaker_who_recurs_is_asked_about_until_the_data_set_says_who_that_is(tmp_path):
    folder = named_speakers(tmp_path, [["ANA"], ["ana "[:3], "BEN"], ["spk00"]])
    with pytest.raises(InputError, match=r"sources\.voxconverse: speaker ana is named in 2 files \(f0\.rttm, f1\.rttm\): is that one person\?"):
        listed("voxconverse", folder)
    everywhere = listed("voxconverse", folder, speaker_names="global").recordings
    assert list(zip(everywhere.recording_id, everywhere.source_id, strict=True)) == [
        ("voxconverse:f0", "voxconverse:ana"),
        ("voxconverse:f1", "voxconverse:ana"),
        ("voxconverse:f1", "voxconverse:ben"),
        ("voxconverse:f2", "voxconverse:spk00"),
    ]
    within = listed("voxconverse", folder, speaker_names="local").recordings
    assert list(within.source_id) == ["voxconverse:f0", "voxconverse:f1", "voxconverse:f2"]


@pytest.mark.parametrize(
    ("names", "local"),
    [
        ([["spk00"], ["spk00", "spk01"]], True),
        ([["a"], ["A", "B"], ["s"]], True),
        ([["1"], ["1", "2"]], True),
        ([["FEM"], ["FEM", "MAL"]], True),
        ([["spk00"], ["spk03"]], False),
        ([["ana"], ["ben"]], False),
    ],
)
def test_names_that_only_count_the_speakers_of_a_file_name_nobody(tmp_path, names, local):
    sources = listed("voxconverse", named_speakers(tmp_path, names)).recordings.source_id
    assert all(source.startswith("voxconverse:f") for source in sources) == local


def test_a_synthesised_or_fetched_voxconverse_has_local_names(tmp_path):
    folder = named_speakers(tmp_path, [["ana"], ["ana"]])
    assert list(listed("voxconverse", folder, origin="download").recordings.source_id) == ["voxconverse:f0", "voxconverse:f1"]


def test_speech_over_kinds_of_speakers_is_a_label_above_them(tmp_path):
    folder = speech_folder(tmp_path, ["a", "b"])
    write_rttm(folder / "rttm" / "a.rttm", [(0, 4, "SPEECH"), (0, 2, "FEM"), (2, 2, "MAL")], "a")
    write_rttm(folder / "rttm" / "b.rttm", [(0, 4, "SPEECH")], "b")
    found = listed("voxconverse", folder)
    assert found.segments[["start_s", "end_s"]].to_numpy().tolist() == [[0, 2], [2, 4], [0, 4]]
    assert any("SPEECH covers the turns of its speakers, and is left out: a.rttm" in remark for remark in found.remarks)


def test_links_without_content_are_listed_and_links_to_folders_followed_and_hidden_folders_passed_over(tmp_path):
    folder = speech_folder(tmp_path / "speech", ["a", "b", "c"])
    (folder / "audio" / "d.wav").symlink_to("../.store/none.wav")
    (folder / "audio" / "loop.wav").symlink_to("loop.wav")
    write_rttm(folder / "rttm" / "d.rttm", [(0, 1, "a")])
    write_rttm(folder / ".snapshot" / "hourly.0" / "a.rttm", [(0, 1, "a")])
    elsewhere = tmp_path / "annotations"
    (folder / "rttm").rename(elsewhere)
    (folder / "rttm").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(folder)
    (elsewhere / "c.rttm").unlink()
    (elsewhere / "c.rttm").symlink_to("nowhere.rttm")
    judged = verdicts(listed("voxconverse", folder))
    assert [name for name, (verdict, _) in judged.items() if verdict == "ok"] == ["a.wav", "b.wav"]
    assert "cannot be opened" in judged["d.wav"][1] and "cannot be opened" in judged["loop.wav"][1]
    assert "c.rttm cannot be opened (a link without content)" in judged["c.wav"][1]
    assert not any(name in file for file in source_files("voxconverse", folder) for name in ("d.wav", "loop.wav", "c.rttm"))


def test_names_with_decomposed_letters_are_found(tmp_path):
    name = "caf\u00e9"
    folder = sound_folder(tmp_path / "sounds", [(f"{name}.wav", "dog", "7")])
    (folder / "audio" / f"{name}.wav").rename(folder / "audio" / f"{unicodedata.normalize('NFD', name)}.wav")
    assert len(listed("esc50", folder).recordings) == 1
    folder = speech_folder(tmp_path / "speech", [name])
    (folder / "rttm" / f"{name}.rttm").rename(folder / "rttm" / f"{unicodedata.normalize('NFD', name)}.rttm")
    assert len(listed("voxconverse", folder).recordings) == 1


def test_a_name_that_is_no_text_is_one_line(tmp_path):
    folder = speech_folder(tmp_path, ["c"])
    (folder / "audio" / "c.wav").rename(os.fsdecode(os.fsencode(folder / "audio") + b"/caf\xe9.wav"))
    with pytest.raises(InputError, match=r"the file name .*caf\\xe9\.wav is not UTF-8 text; rename the file") as raised:
        listed("voxconverse", folder)
    str(raised.value).encode()


def test_nothing_usable_or_nothing_there_is_an_error(tmp_path):
    folder = speech_folder(tmp_path / "a", ["one"])
    (folder / "audio" / "one.wav").write_bytes(b"")
    with pytest.raises(InputError, match=r"none of the 1 files in .* is usable; the first: .*one\.wav: empty file"):
        listed("voxconverse", folder)
    (folder / "audio" / "one.wav").unlink()
    with pytest.raises(InputError, match=r"holds no audio/\*\.wav; name the folder above it"):
        listed("voxconverse", folder)
    (folder / "flac").mkdir()
    (folder / "flac/one.flac").touch()
    with pytest.raises(InputError, match=r"holds no audio/\*\.wav, but flac/one\.flac; put them there as WAV, or links to them"):
        listed("voxconverse", folder)
    with pytest.raises(InputError, match="no folder"):
        listed("voxconverse", tmp_path / "none")


def test_any_file_name_goes_through_the_program_and_paths_stay_relative(tmp_path):
    names = sorted(["two words", 'it\'s "quoted"', "über-日本", "a,b;c", "-dash", "50%", "1.5"])
    speech_folder(tmp_path / "in put", names)
    command = ["in put", "r.parquet", "s.parquet", "c.csv", "--dataset", "voxconverse", "--source", SOURCE, "--check", json.dumps(SETTINGS)]
    done = call_program("catalogue_recordings", *command, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    recordings = read_table(tmp_path / "r.parquet", RECORDINGS)
    assert sorted(recordings.recording_id) == [f"voxconverse:{name}" for name in names]
    assert sorted(recordings.path) == [f"in put/audio/{name}.wav" for name in names]
    assert set(read_table(tmp_path / "s.parquet", SEGMENTS).recording_id) == set(recordings.recording_id)
    check = read_table(tmp_path / "c.csv", AUDIO_CHECK)
    assert sorted(check.path) == sorted(recordings.path)
    assert set(check.reason) == {""}


def test_the_program_ends_with_one_line_and_writes_nothing(tmp_path):
    folder = speech_folder(tmp_path / "in")
    (folder / "audio" / "abc.wav").write_text("text", encoding="utf-8")
    out = tmp_path / "out"
    command = ["catalogue_recordings", folder, out / "r.parquet", out / "s.parquet", out / "c.csv"]
    strict = json.dumps(SETTINGS | {"strict": True})
    done = call_program(*command, "--dataset", "voxconverse", "--source", SOURCE, "--check", strict, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not list(out.glob("*"))
