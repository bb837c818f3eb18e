import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from earwitness.core.errors import InputError
from earwitness.corpora.catalogue import catalogue
from earwitness.corpora.file_checks import Limits
from earwitness.tables.files import read_table, validate
from earwitness.tables.recordings import AUDIO_CHECK, RECORDINGS, SEGMENTS

SETTINGS = {"strict": False, "min_duration_s": 0.3, "max_clipped_fraction": 0.01, "max_dc_offset": 0.05, "silence_dbfs": -60.0}
LIMITS = Limits(**{name: value for name, value in SETTINGS.items() if name != "strict"})
SCRIPT = Path(__file__).resolve().parents[2] / "workflow_scripts" / "catalogue_recordings.py"


def write_wav(path, seconds=2.0, rate=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(len(path.name)).standard_normal(round(seconds * rate))
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def write_rttm(path, turns):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"SPEAKER x 1 {start} {length} <NA> <NA> {name} <NA> <NA>\n" for start, length, name in turns), encoding="utf-8")


def speech_folder(folder, names=("abc", "xyz")):
    for name in names:
        write_wav(folder / "audio" / f"{name}.wav", 4)
        write_rttm(folder / "rttm" / f"{name}.rttm", [(0.5, 2.0, "a"), (2.0, 10.0, "b")])
    return folder


def sound_folder(folder, rows):
    for name, *_ in rows:
        write_wav(folder / "audio" / name)
    (folder / "meta").mkdir()
    table = pd.DataFrame(rows, columns=["filename", "category", "src_file"]).assign(fold=1, target=0, esc10=False, take="A")
    table.to_csv(folder / "meta" / "esc50.csv", index=False)
    return folder


def verdicts(found):
    return {Path(row.path).name: (row.verdict, row.reason) for row in found.check.itertuples()}


def test_a_speech_recording_is_its_own_source_and_its_segments_have_one_speaker(tmp_path):
    found = catalogue("voxconverse", speech_folder(tmp_path), "CC BY 4.0", LIMITS)
    assert list(found.recordings.recording_id) == ["voxconverse:abc", "voxconverse:xyz"]
    assert list(found.recordings.source_id) == ["voxconverse:abc", "voxconverse:xyz"]
    assert set(found.recordings.label) == {"SPEECH"}
    own = found.segments[found.segments.recording_id == "voxconverse:abc"]
    assert own[["start_s", "end_s"]].to_numpy().tolist() == [[0.5, 2.0], [2.5, 4.0]], "no overlap, nothing beyond the file"
    for table, schema in [(found.recordings, RECORDINGS), (found.segments, SEGMENTS), (found.check, AUDIO_CHECK)]:
        validate(table, schema)


def test_annotations_that_are_missing_empty_or_useless_leave_a_recording_out(tmp_path):
    folder = speech_folder(tmp_path, ["good", "bare", "empty", "late", "both"])
    (folder / "rttm" / "bare.rttm").unlink()
    (folder / "rttm" / "empty.rttm").write_text(";; nobody spoke\n", encoding="utf-8")
    write_rttm(folder / "rttm" / "late.rttm", [(9, 1, "a")])
    write_rttm(folder / "rttm" / "both.rttm", [(0, 4, "a"), (0, 4, "b")])
    write_rttm(folder / "rttm" / "nobody.rttm", [(0, 4, "a")])
    found = catalogue("voxconverse", folder, "x", LIMITS)
    judged = verdicts(found)
    assert judged.pop("good.wav") == ("ok", "")
    assert {verdict for verdict, _ in judged.values()} == {"broken"}
    assert judged["bare.wav"][1] == "no annotation"
    assert "holds no SPEAKER line" in judged["empty.wav"][1]
    assert judged["late.wav"][1] == judged["both.wav"][1] == "no stretch with one speaker alone"
    assert list(found.recordings.recording_id) == ["voxconverse:good"]
    assert "1 RTTM files have no recording in audio/: nobody" in found.remarks


def test_strict_names_the_first_broken_file_and_the_count(tmp_path):
    folder = speech_folder(tmp_path, ["a", "b", "c"])
    (folder / "rttm" / "a.rttm").write_text("", encoding="utf-8")
    (folder / "audio" / "b.wav").write_text("text", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.wav: .*holds no SPEAKER line.*\(2 of 3 files are broken\)"):
        catalogue("voxconverse", folder, "x", LIMITS, strict=True)
    assert len(catalogue("voxconverse", folder, "x", LIMITS).recordings) == 1


def test_a_malformed_rttm_is_an_error_even_when_not_strict(tmp_path):
    folder = speech_folder(tmp_path)
    with (folder / "rttm" / "xyz.rttm").open("a") as stream:
        stream.write("SPEAKER xyz 1 four 2 <NA> <NA> a <NA> <NA>\n")
    with pytest.raises(InputError, match=r"xyz\.rttm:3: start 'four'"):
        catalogue("voxconverse", folder, "x", LIMITS)


def test_ambiguous_annotations_and_recordings_are_refused(tmp_path):
    folder = speech_folder(tmp_path)
    write_rttm(folder / "dev" / "abc.rttm", [(0, 4, "a")])
    with pytest.raises(InputError, match=r"both annotate abc"):
        catalogue("voxconverse", folder, "x", LIMITS)
    write_wav(folder / "audio" / "abc.WAV")
    with pytest.raises(InputError, match=r"would both be recording abc"):
        catalogue("voxconverse", folder, "x", LIMITS)


def test_sounds_are_grouped_by_their_freesound_source_and_human_voice_is_excluded(tmp_path):
    rows = [("1-7-A-0.wav", "dog", "7"), ("1-7-B-0.wav", "dog", "7"), ("1-8-A-20.wav", "crying_baby", "8"), ("1-9-A-26.wav", "laughing", "9")]
    folder = sound_folder(tmp_path, rows)
    write_wav(folder / "audio" / "unlisted.wav")
    found = catalogue("esc50", folder, "x", LIMITS)
    assert list(found.recordings.source_id) == ["esc50:7", "esc50:7"]
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
    with pytest.raises(InputError, match=rf"esc50\.csv: row 2 has no {column}"):
        catalogue("esc50", folder, "x", LIMITS)
    table.drop(columns=column).to_csv(path, index=False)
    with pytest.raises(InputError, match=rf"esc50\.csv: no column {column}; it has "):
        catalogue("esc50", folder, "x", LIMITS)


def test_tables_that_contradict_themselves_or_are_none_are_refused(tmp_path):
    folder = sound_folder(tmp_path, [("a.wav", "dog", "7")])
    path = folder / "meta" / "esc50.csv"
    path.write_text("filename,category,src_file\na.wav,dog,7\na.wav,cat,7\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.wav is listed twice"):
        catalogue("esc50", folder, "x", LIMITS)
    for content in (b"", b"\xff\xfe\xff", b'filename,category\n"a'):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"esc50\.csv: (not a readable CSV|no column)"):
            catalogue("esc50", folder, "x", LIMITS)


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
    found = catalogue("fsd50k", fsd50k_folder(tmp_path, FSD50K, clips), "CC BY 4.0", LIMITS)
    rows = found.recordings.set_index("recording_id")
    assert list(rows.index) == ["fsd50k:1", "fsd50k:2"]
    assert list(rows.label) == ["NONSPEECH", "SPEECH"]
    assert list(rows.category) == ["Bark", "speech"]
    assert list(rows.source_id) == ["fsd50k:ann", "fsd50k:ann"]
    assert list(rows.licence) == ["CC0", "CC BY 4.0"]
    judged = verdicts(found)
    assert judged["3.wav"] == ("excluded", "label with human voice: Female_singing")
    assert judged["4.wav"] == ("excluded", "speech and something else: Dog")
    assert judged["5.wav"][0] == judged["6.wav"][0] == "excluded"


def test_without_uploaders_every_fsd50k_sound_is_a_source_and_the_log_says_so(tmp_path):
    found = catalogue("fsd50k", fsd50k_folder(tmp_path, FSD50K), "x", LIMITS)
    assert list(found.recordings.source_id) == ["fsd50k:1", "fsd50k:2"]
    assert any("FSD50K.metadata is missing" in remark for remark in found.remarks)


@pytest.mark.parametrize("content", ["[1]", '{"1": 2}', "{"])
def test_clips_info_that_cannot_be_read_is_named(tmp_path, content):
    folder = fsd50k_folder(tmp_path, FSD50K, {})
    (folder / "FSD50K.metadata" / "dev_clips_info_FSD50K.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"dev_clips_info_FSD50K\.json"):
        catalogue("fsd50k", folder, "x", LIMITS)


def test_nothing_usable_or_nothing_there_is_an_error(tmp_path):
    folder = speech_folder(tmp_path / "a", ["one"])
    (folder / "audio" / "one.wav").write_bytes(b"")
    with pytest.raises(InputError, match=r"none of the 1 files in .* is usable; the first: .*one\.wav: empty file"):
        catalogue("voxconverse", folder, "x", LIMITS)
    (folder / "audio" / "one.wav").unlink()
    with pytest.raises(InputError, match=r"holds no audio/\*\.wav"):
        catalogue("voxconverse", folder, "x", LIMITS)
    with pytest.raises(InputError, match="no folder"):
        catalogue("voxconverse", tmp_path / "none", "x", LIMITS)


def test_any_file_name_goes_through_the_program_and_paths_stay_relative(tmp_path):
    names = sorted(["two words", 'it\'s "quoted"', "über-日本", "a,b;c", "-dash", "50%", "1.5"])
    speech_folder(tmp_path / "in put", names)
    command = [sys.executable, str(SCRIPT), "in put", "r.parquet", "s.parquet", "c.csv", "--dataset", "voxconverse", "--licence", "x"]
    done = subprocess.run([*command, "--check", json.dumps(SETTINGS)], cwd=tmp_path, capture_output=True, text=True)
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
    command = [sys.executable, str(SCRIPT), str(folder), str(out / "r.parquet"), str(out / "s.parquet"), str(out / "c.csv")]
    strict = json.dumps(SETTINGS | {"strict": True})
    done = subprocess.run([*command, "--dataset", "voxconverse", "--licence", "x", "--check", strict], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not list(out.glob("*"))
