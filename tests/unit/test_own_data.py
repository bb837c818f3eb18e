"""The user's own recordings: a manifest, folders, and tables that hold their audio."""

import dataclasses
import io
import json
import re

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet as parquet
import pytest
import soundfile

from earwitness.core.errors import InputError
from earwitness.corpora.catalogue import catalogue
from earwitness.corpora.data_sets import DataSet
from earwitness.corpora.file_checks import Limits
from earwitness.corpora.inputs import classes_of, input_files, without_stand_ins
from earwitness.corpora.manifest import packed_tables
from earwitness.corpora.unpacking import unpack_audio

LIMITS = Limits(0.3, 0.01, 0.05, -60.0)
LABELS = {"voice": "SPEECH", "Dog": "NONSPEECH", "music": "excluded"}


def write(path, seconds=4.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(1).standard_normal(round(16_000 * seconds)), 16_000)
    return path


def manifest(folder, text, name="mine.csv", **settings):
    """A data set of a manifest and of every file that it names in its first column."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    for line in text.splitlines()[1:]:
        if (file := line.split(",")[0]).endswith(".wav") and not (folder / file).exists():
            write(folder / file)
    return DataSet("mine", folder / name, "manifest", labels=LABELS, **settings)


def rows(data_set):
    found = catalogue(data_set, LIMITS)
    return [tuple(row) for row in found.recordings[["recording_id", "source_id", "label", "category"]].itertuples(index=False)]


def test_a_manifest_says_what_is_where_and_whose_it_is(tmp_path):
    text = (
        "path,label,source,start_s,end_s,category,licence,session,recording\n"
        "a/x.wav,voice,Ana,,,,CC0,Monday,\n"
        "a/y.wav,DOG,12.0,1,2.5,bark,,,kennel 3\n"
        "a/y.wav,dog,12,2,3,bark,,,kennel 3\n"
        "b.wav,voice,NA,0,1,,,,\n"
        "b.wav,voice,ANA ,2,3,,,,\n"
        "b.wav,dog,null,3,,,,,\n"
        "c.wav,music,band,,,,,,\n"
    )
    found = catalogue(manifest(tmp_path, text, licence="mine"), LIMITS)
    assert [tuple(row) for row in found.recordings[["recording_id", "source_id", "label", "category"]].itertuples(index=False)] == [
        ("mine:a/x.wav", "mine:ana", "SPEECH", "speech"),
        ("mine:a/y.wav", "mine:12", "NONSPEECH", "bark"),
        ("mine:b.wav", "mine:na", "SPEECH", "speech"),
        ("mine:b.wav", "mine:ana", "SPEECH", "speech"),
        ("mine:b.wav", "mine:null", "NONSPEECH", "dog"),
    ]
    stretches = found.segments.groupby("source_id")[["start_s", "end_s"]].agg(list)
    assert stretches.loc["mine:12"].tolist() == [[1.0], [3.0]], "the stretches of one source that overlap are one"
    assert stretches.loc["mine:null"].tolist() == [[3.0], [4.0]]
    assert list(found.recordings.licence) == ["CC0", "mine", "mine", "mine", "mine"]
    assert list(found.recordings.session) == ["mine:monday", "", "", "", ""]
    assert list(found.recordings.original) == ["", "mine:kennel 3", "", "", ""]
    assert found.check.verdict.tolist() == ["ok", "ok", "ok", "excluded"]


def test_what_is_odd_about_right_rows_is_told(tmp_path):
    text = "path,label,source,start_s,end_s\na.wav,voice,ana,1,9\nb.wav,dog,street,0,2\nc.wav,dog,street,2,4\nd.wav,voice,ben,0,4.05\n"
    data_set = manifest(tmp_path, text)
    write(tmp_path / "d.wav", 3.99)
    found = catalogue(data_set, LIMITS)
    assert found.check.verdict.eq("ok").all()
    assert found.remarks == [
        "2 files hold the bytes of another and have another label: b.wav and a.wav, c.wav and a.wav",
        "in 1 files a stretch ends after the file does, and is cut there: a.wav",
    ]


@pytest.mark.parametrize(("times", "last"), [("0,1500\na.wav,dog,street,1500,3000", "3000"), ("8000,16000", "16000"), ("500,", "500")])
def test_times_that_cannot_be_seconds_of_their_file_give_nobody_its_sound(tmp_path, times, last):
    text = f"path,label,source,start_s,end_s\na.wav,voice,ana,{times}\nb.wav,dog,street,0,400\n"
    check = catalogue(manifest(tmp_path, text), LIMITS).check
    assert check.verdict.tolist() == ["broken", "ok"], "400 s are a hundred times 4 s, and no more"
    assert check.reason[0] == f"a stretch lies at {last} s, but the file is 4.0 s long; give times in seconds, not in milliseconds or samples"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,label,source\na.wav,cat,x\n",
            r'mine\.csv:2: unknown label .cat.; say what it is with sources\.mine\.labels, as in \{"cat": ',
        ),
        ("path,label,source\na.wav,voice,\n", r"mine\.csv:2: no source; fill it in"),
        ("path,label\na.wav,voice\n", r"no column source; it has path, label; name it with sources\.mine\.columns\.source"),
        ("file,label,source\na.wav,voice,x\n", r"no column path; it has file, label, source; name it with sources\.mine\.columns\.path"),
        ("path,label,source,start_s\na.wav,voice,x,soon\n", r"mine\.csv:2: start_s 'soon' is no number"),
        ("path,label,source,start_s\na.wav,voice,x,nan\n", r"start_s 'nan' is no number"),
        ("path\tlabel\tsource\tstart_s\na.wav\tvoice\tx\t1,5\n", r"mine\.csv:2: start_s '1,5' is no number of seconds from 0; write a decimal point"),
        ("path,label,source,start_s\na.wav,voice,x,1_5\n", r"start_s '1_5' is no number"),
        ("path,label,source,start_s,end_s\na.wav,voice,x,2,2\n", r"ends at 2 s, not after its start at 2 s"),
        ("path,label,source,start_s,end_s\na.wav,voice,x,0,2\na.wav,voice,y,1,3\n", r"mine\.csv:3: overlaps .*mine\.csv:2 in a\.wav \(x SPEECH, y"),
        ("path,label,source\na.wav,voice,x\na.wav,dog,x\n", r"mine\.csv:\d: overlaps"),
        ("path,label,source\na.wav,voice,\u200b\n", r"mine\.csv:2: no source; fill it in"),
        (
            "path,label,source,Start,end\na.wav,voice,x,0,1\n",
            r"mine\.csv: column Start looks like start_s, a time in seconds; name it with sources\.mine\.columns\.start_s",
        ),
        ("path,label,source,start_s,tmax\na.wav,voice,x,0,1\n", r"mine\.csv: column tmax looks like end_s"),
        ("path,label,source,start_s,Duration\na.wav,voice,x,0,1\n", r"mine\.csv: column Duration beside start_s looks like the length of a stretch"),
        ("path,label,source,offset,duration\na.wav,voice,x,0,1\n", r"mine\.csv: column offset looks like start_s"),
        ("path,label,source,start_frame,end_frame\na.wav,voice,x,0,1\n", r"mine\.csv: column start_frame looks like start_s"),
        ("path,label,source,t0,t1\na.wav,voice,x,0,1\n", r"mine\.csv: column t0 looks like start_s"),
        ("path,label,source,start_s,xmax\na.wav,voice,x,0,1\n", r"mine\.csv: column xmax looks like end_s"),
        *(
            (
                f"path,label,source,{start},{end}\na.wav,voice,x,0.5,1\n",
                rf"mine\.csv: column {re.escape(start)} looks like start_s, a time in seconds",
            )
            for start, end in (
                ("from", "to"),
                ("segment_start", "segment_end"),
                ("start_second", "end_second"),
                ("Begin Time (s)", "End Time (s)"),
                ("Begin Time - ss.msec", "End Time - ss.msec"),
                ("event_onset", "event_offset"),
                ("segmentStart", "segmentEnd"),
                ("tbeg", "tdur"),
            )
        ),
        ("path,label,source,Begin Time\na.wav,voice,x,00:01:02.5\n", r"mine\.csv: column Begin Time looks like start_s"),
        ("path,label,source,start_s,speech_end\na.wav,voice,x,0,1\n", r"mine\.csv: column speech_end looks like end_s"),
        ("path,label,source,start_s,dur_s\na.wav,voice,x,0,1\n", r"mine\.csv: column dur_s beside start_s looks like the length of a stretch"),
        (
            "path,label,source,start_s,end_s,channel\na.wav,voice,x,0,1,0\na.wav,voice,y,2,3,1\n",
            r"mine\.csv: column channel names channels, and those of a file are heard together; write each channel into a file of its own",
        ),
        ("path,label,source\n", r"has no rows"),
    ],
)
def test_what_a_manifest_does_not_say_is_asked_for_by_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        rows(manifest(tmp_path, text))


def test_columns_that_are_no_times_and_no_channels_are_passed_over(tmp_path):
    columns = "start_year,end_note,Start comment,to_do,channel,channels,weekend,clip_length"
    text = f"path,label,source,{columns}\na.wav,voice,ana,2001,,,x,1,1,6,4\nb.wav,dog,street,2002,,soon,,1,2,7,4\n"
    assert [row[1] for row in rows(manifest(tmp_path, text))] == ["mine:ana", "mine:street"]


def test_a_table_of_a_hugging_face_folder_that_is_not_read_is_named(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.wav", "label": "voice", "source": "ana"}\n')
    with pytest.raises(InputError, match=r"metadata\.jsonl is not read; write it as metadata\.csv, with the same columns"):
        rows(DataSet("mine", tmp_path, "manifest", labels=LABELS))


@pytest.mark.parametrize(("speech", "other"), [("1", "-1"), ("+", "-"), ("C", "C#"), ("1.0", "10"), ("\U0001f5e3", "\U0001f436"), ("कि", "का")])
def test_labels_that_differ_in_a_sign_alone_stay_apart(tmp_path, speech, other):
    data_set = manifest(tmp_path, f"path,label,source\na.wav,{speech},ana\nb.wav,{other},street\n")
    data_set = dataclasses.replace(data_set, labels={speech: "SPEECH", other: "NONSPEECH"})
    assert [label for _, _, label, _ in rows(data_set)] == ["SPEECH", "NONSPEECH"]


def test_a_label_that_is_neither_of_two_that_differ_in_punctuation_is_refused(tmp_path):
    data_set = manifest(tmp_path, "path,label,source\na.wav,c!,ana\nb.wav,C#,street\n")
    with pytest.raises(InputError, match=r"mine\.csv:2: label 'c!' may be 'C' or 'C#'; write it as one of them"):
        catalogue(dataclasses.replace(data_set, labels={"C": "SPEECH", "C#": "NONSPEECH"}), LIMITS)
    assert rows(dataclasses.replace(data_set, labels={"C": "SPEECH"}))[0][2] == "SPEECH", "with one alone, punctuation says nothing"


@pytest.mark.parametrize(("written", "label"), [("-1", "1"), ("-", "+"), ("10", "1.0"), ("\U0001f436", "\U0001f5e3")])
def test_a_label_of_which_nothing_but_a_sign_is_known_is_refused(tmp_path, written, label):
    data_set = manifest(tmp_path, f"path,label,source\na.wav,{written},ana\n")
    with pytest.raises(InputError, match=r"mine\.csv:2: unknown label"):
        catalogue(dataclasses.replace(data_set, labels={label: "SPEECH"}), LIMITS)


def test_a_label_with_two_meanings_is_refused(tmp_path):
    data_set = manifest(tmp_path, "path,label,source\na.wav,dog,ana\n")
    with pytest.raises(InputError, match=r"sources\.mine\.labels: 'Dog' and 'dog ' are one label with two meanings"):
        catalogue(dataclasses.replace(data_set, labels={"Dog": "NONSPEECH", "dog ": "SPEECH"}), LIMITS)


@pytest.mark.parametrize("other", ["s\\\u00e9.wav", "s/e\u0301.wav", "./s/../s/\u00e9.wav", "{folder}/s/\u00e9.wav"])
def test_one_file_is_one_however_its_path_is_written(tmp_path, other):
    other = other.format(folder=tmp_path)
    write(tmp_path / "s/\u00e9.wav")
    data_set = DataSet("mine", tmp_path / "mine.csv", "manifest", labels=LABELS)
    data_set.path.write_text(f"path,label,source\ns/\u00e9.wav,voice,ana\n{other},dog,street\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.csv:[23]: overlaps"):
        catalogue(data_set, LIMITS)
    data_set.path.write_text(f"path,label,source,start_s,end_s\ns/\u00e9.wav,voice,ana,0,1\n{other},dog,street,2,4\n", encoding="utf-8")
    found = catalogue(data_set, LIMITS)
    assert len(found.check) == 1
    assert set(found.recordings.recording_id) == {"mine:s/é.wav"}


def test_a_name_too_long_for_any_file_is_listed_as_broken(tmp_path):
    (tmp_path / "mine.csv").write_text(f"path,label,source\n{'a' * 300}.wav,voice,ana\nb.wav,dog,street\n")
    write(tmp_path / "b.wav")
    check = catalogue(DataSet("mine", tmp_path / "mine.csv", "manifest", labels=LABELS), LIMITS).check
    assert list(check.reason) == ["cannot be opened (File name too long)", ""]


def test_columns_may_have_other_names_and_separators_and_a_missing_file_is_listed(tmp_path):
    for name in ("a.wav", "b.wav"):
        write(tmp_path / name)
    text = "clip;speaker;kind\na.wav;x;speech\nb.wav;y;non-speech\nc.wav;z;speech\n"
    data_set = manifest(tmp_path, text, columns={"path": "clip", "source": "speaker", "label": "kind"})
    assert [row[:3] for row in rows(data_set)] == [("mine:a.wav", "mine:x", "SPEECH"), ("mine:b.wav", "mine:y", "NONSPEECH")]
    check = catalogue(data_set, LIMITS).check.set_index("path")
    assert check.verdict[str(tmp_path / "c.wav")] == "broken"
    assert input_files(data_set) == [str(tmp_path / name) for name in ("mine.csv", "a.wav", "b.wav")]


def test_a_hugging_face_folder_is_a_manifest(tmp_path):
    manifest(tmp_path, "file_name,label,source\ndata/a.wav,voice,x\n", "metadata.csv")
    assert rows(DataSet("mine", tmp_path, "manifest", labels=LABELS)) == [("mine:data/a.wav", "mine:x", "SPEECH", "speech")]


def test_folders_name_label_and_source_by_a_pattern(tmp_path):
    for name in ("voice/ANA/1.wav", "voice/ana/2.flac", "dog/rex/kennel_1.wav", "voice/stray.wav", ".cache/voice/ANA/1.wav"):
        write(tmp_path / name)
    data_set = DataSet("mine", tmp_path, "folder", pattern="{label}/{source}/*.*", labels=LABELS)
    assert [row[1:3] for row in rows(data_set)] == [("mine:rex", "NONSPEECH"), ("mine:ana", "SPEECH"), ("mine:ana", "SPEECH")]
    check = catalogue(data_set, LIMITS).check.set_index("path")
    assert "does not fit sources.mine.pattern" in check.reason[str(tmp_path / "voice/stray.wav")]
    (tmp_path / "voice/ana/3.M4A").write_bytes(b"\0\0\0\x1cftypM4A " + bytes(64))
    told = catalogue(data_set, LIMITS).check.set_index("path").reason[str(tmp_path / "voice/ana/3.M4A")]
    assert told.startswith("cannot be read as audio"), "what cannot be decoded is listed as well"
    assert classes_of(data_set) == {"SPEECH", "NONSPEECH"}
    with pytest.raises(InputError, match=r"no file below .* fits the pattern \{source\}-\{label\}\.wav"):
        rows(DataSet("mine", tmp_path, "folder", pattern="{source}-{label}.wav", labels=LABELS))
    (tmp_path / "cat/tom").mkdir(parents=True)
    write(tmp_path / "cat/tom/1.wav")
    with pytest.raises(InputError, match=r"cat/tom/1\.wav: unknown label 'cat'"):
        rows(data_set)


def packed(path, labels, metadata=None):
    stream = io.BytesIO()
    soundfile.write(stream, 0.1 * np.random.default_rng(1).standard_normal(32_000), 16_000, format="FLAC")
    audio = [{"bytes": stream.getvalue(), "path": f"../x/na me{k}.flac"} for k in range(len(labels))]
    table = pyarrow.table({"audio": audio, "label": labels, "source": [f"s{k}" for k in range(len(labels))]})
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


def test_a_table_that_holds_its_audio_is_unpacked_beside_a_manifest(tmp_path):
    names = {"info": {"features": {"label": {"names": ["dog", "voice"], "_type": "ClassLabel"}}}}
    tables = [packed(tmp_path / f"{name}.parquet", [1, 0], {"huggingface": json.dumps(names)}) for name in ("a", "b")]
    data_set = DataSet("mine", tmp_path, "manifest", labels=LABELS)
    assert packed_tables(data_set) == tables
    assert input_files(data_set) == list(map(str, tables))
    assert classes_of(data_set) == {"SPEECH", "NONSPEECH"}
    folder = tmp_path / "unpacked"
    folder.mkdir()
    unpack_audio(tables, folder)
    assert pd.read_csv(folder / "manifest.csv").path.tolist() == [f"audio/{k:06d}-na_me{k % 2}.flac" for k in range(4)]
    found = rows(DataSet("mine", folder / "manifest.csv", "manifest", labels=LABELS))
    assert [row[1:3] for row in found] == [("mine:s0", "SPEECH"), ("mine:s1", "NONSPEECH")] * 2


def test_embedded_data_sets_step_back_for_the_classes_that_others_bring_to_their_role():
    def source(origin, role="study", layout="none"):
        return {"origin": origin, "role": role, "layout": layout}

    embedded = {
        "voxconverse": source("embedded", layout="voxconverse"),
        "esc50": source("embedded", layout="esc50"),
        "fsd50k": source("embedded", "baseline", "fsd50k"),
    }

    def left(classes, role="study"):
        resolved = without_stand_ins(embedded | {"mine": source("manifest", role)}, {"mine": classes})
        return [name for name, settings in resolved.items() if settings["origin"] == "embedded"]

    assert left({"SPEECH", "NONSPEECH"}) == ["fsd50k"]
    assert left({"SPEECH"}) == ["esc50", "fsd50k"]
    assert left({"SPEECH", "NONSPEECH"}, "both") == []
    assert left({"SPEECH"}, "baseline") == ["voxconverse", "esc50", "fsd50k"]
