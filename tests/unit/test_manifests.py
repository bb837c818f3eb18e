"""The audit of anyone's manifests, as a user runs it."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import soundfile
from programs import started_here

import audit_leakage
from earwitness.core.errors import InputError
from earwitness.leakage.audit import checks
from earwitness.leakage.certificate import blocking_checks, load_certificate
from earwitness.leakage.manifests import Columns, read_manifests
from earwitness.tables.audit_evidence import EVIDENCE
from earwitness.tables.files import read_table

SPLIT_CHECKS = {"L01", "L02", "L03", "L05", "L06", "L13"}
OTHERS = sorted({check.id for check in checks()} - SPLIT_CHECKS)
FORMATS = ("wav", "flac", "ogg")


@pytest.fixture
def manifests(tmp_path):
    """A train and a test manifest of 3 groups of each class, each of one recording and one noise, cut into 2 files."""
    for part in ("train", "test"):
        rows = []
        for label in ("dog", "cat"):
            for group in range(3):
                for k in range(2):
                    name = f"{part}-{label}-{group}-{k}"
                    rng = np.random.default_rng(list(name.encode()))
                    rate, channels = (8000, 22050, 44100)[group], 1 + k
                    path = tmp_path / "audio" / f"{name}.{FORMATS[group]}"
                    path.parent.mkdir(exist_ok=True)
                    soundfile.write(path, rng.uniform(-0.5, 0.5, (rate // 4, channels)), rate)
                    source = f"{part}-{label}-{group}"
                    rows.append((f"audio/{path.name}", label, source, f"r-{source}", 1.0 + k, 1.25 + k, f"noise-{source}"))
        columns = ["path", "label", "group", "recording", "start_s", "end_s", "noise"]
        pd.DataFrame(rows, columns=columns).to_csv(tmp_path / f"{part}.csv", index=False)
    return tmp_path


def change(manifest: Path, row: int = 0, **values: object) -> None:
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False)
    for column, value in values.items():
        table.loc[row, column] = str(value)
    table.to_csv(manifest, index=False)


def drop(folder: Path, *columns: str) -> None:
    for part in ("train", "test"):
        pd.read_csv(folder / f"{part}.csv").drop(columns=list(columns)).to_csv(folder / f"{part}.csv", index=False)


def run(folder: Path, *arguments: object, **options: object) -> int | str:
    """As run_as_it_is, but that the program of the reports is called in the tests' own process."""
    with started_here(audit_leakage):
        return run_as_it_is(folder, *arguments, **options)


def run_as_it_is(folder: Path, *arguments: object, skip: list[str] = OTHERS, train: str = "train.csv", label: str = "dog") -> int | str:
    """The exit code, or the message that goes with exit code 1."""
    outputs = ["--certificate", folder / "certificate.json", "--evidence", folder / "evidence.csv"]
    command = ["--train", folder / train, "--test", folder / "test.csv", "--speech-label", label, "--skip", *skip, *arguments, *outputs]
    with patch.object(sys, "argv", ["audit_leakage.py", *map(str, command)]), pytest.raises(SystemExit) as end:
        audit_leakage.main()
    return end.value.code


def failures(folder: Path) -> dict[str, str]:
    certificate = load_certificate(folder / "certificate.json")
    return {check["id"]: check["reason"] for check in blocking_checks(certificate["checks"])}


def test_a_file_that_is_read_in_spite_of_a_fault_is_told(manifests, capsys):
    path = manifests / "audio" / "train-dog-0-1.wav"
    left = np.random.default_rng(1).uniform(-0.5, 0.5, 2_000)
    soundfile.write(path, np.stack([left, -left], axis=1), 8_000)
    assert run(manifests) == 0
    assert f"{path}: channels cancel in their mean; channel" in capsys.readouterr().err


def test_a_clean_pair_of_any_format_and_rate_passes(manifests, capsys):
    assert run(manifests) == 0
    certificate = load_certificate(manifests / "certificate.json")
    assert certificate["parts"]["test"] == {"stimuli": 12, "speech_sources": 3, "nonspeech_sources": 3}
    assert [file["role"] for file in certificate["subject"]] == ["manifest", "manifest", "audio"]
    assert [waiver["check"] for waiver in certificate["waivers"]] == OTHERS
    assert capsys.readouterr().out.startswith("Verdict: PASS")


def test_parquet_and_columns_of_other_names_are_read(manifests):
    table = pd.read_csv(manifests / "train.csv").rename(columns={"path": "file", "group": "animal", "label": "kind"})
    table.to_parquet(manifests / "train.parquet", index=False)
    test = pd.read_csv(manifests / "test.csv").rename(columns={"path": "file", "group": "animal", "label": "kind"})
    test.to_csv(manifests / "test.csv", index=False)
    assert run(manifests, "--path-column", "file", "--group-column", "animal", "--label-column", "kind", train="train.parquet") == 0


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        ({"group": "train-dog-0"}, {"L01"}),
        ({"recording": "r-train-dog-0", "start_s": 100, "end_s": 100.25}, {"L02"}),
        ({"recording": "r-train-dog-0", "start_s": 0.5, "end_s": 0.75}, {"L02", "L06"}),
        ({"noise": "noise-train-dog-0"}, {"L05"}),
        ({"path": "audio/train-dog-0-0.wav"}, {"L03"}),
    ],
)
def test_a_leak_ends_with_exit_code_2_and_names_both_items(manifests, planted, expected):
    change(manifests / "test.csv", **planted)
    assert run(manifests) == 2
    assert set(failures(manifests)) == expected
    evidence = read_table(manifests / "evidence.csv", EVIDENCE)
    item = planted.get("path", "audio/test-dog-0-0.wav")
    assert set(evidence.item_a) == {f"test:{item}"} and set(evidence.item_b) == {"train:audio/train-dog-0-0.wav"}


@pytest.mark.parametrize("same", ["12.0", *(pytest.param(same, marks=pytest.mark.slow) for same in (" 12 ", "12.00"))])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_one_group_written_in_two_ways_is_one_group(manifests, same, suffix):
    change(manifests / "train.csv", group="12")
    change(manifests / "test.csv", group=same)
    pd.read_csv(manifests / "train.csv", dtype=str, keep_default_na=False).to_parquet(manifests / "train.parquet", index=False)
    assert run(manifests, train=f"train.{suffix}") == 2
    assert set(failures(manifests)) == {"L01"}


@pytest.mark.parametrize("name", ["NA", *(pytest.param(name, marks=pytest.mark.slow) for name in ("None", "null", "nan"))])
def test_a_group_may_have_the_name_of_a_missing_value(manifests, name):
    change(manifests / "train.csv", group=name)
    change(manifests / "test.csv", group=name)
    assert run(manifests) == 2
    assert set(read_table(manifests / "evidence.csv", EVIDENCE).source_a) == {name.lower()}


def test_a_label_in_another_case_is_the_same_label(manifests):
    change(manifests / "train.csv", label="Dog ")
    assert run(manifests, label="DOG") == 0
    assert load_certificate(manifests / "certificate.json")["parts"]["train"]["speech_sources"] == 3


def test_what_the_columns_do_not_allow_fails_closed_until_it_is_skipped(manifests):
    drop(manifests, "recording", "start_s", "end_s", "noise")
    assert run(manifests) == 2
    assert failures(manifests) == {
        "L02": "the manifests have no column recording",
        "L05": "the manifests have no column noise",
        "L06": "the manifests have no columns start_s and end_s",
    }
    assert run(manifests, "--report", manifests / "report.md", skip=[*OTHERS, "L02", "L05", "L06"]) == 0
    assert "WAIVED" in (manifests / "report.md").read_text()


def test_without_recordings_times_are_stretches_of_the_file(manifests, capsys):
    drop(manifests, "recording", "noise")
    for part in ("train", "test"):
        table = pd.read_csv(manifests / f"{part}.csv")
        halves = [table.assign(start_s=start, end_s=start + 0.1) for start in (0.0, 0.1)]
        pd.concat(halves).to_csv(manifests / f"{part}.csv", index=False)
    assert run(manifests, skip=[*OTHERS, "L05"]) == 0
    change(manifests / "test.csv", path="audio/train-dog-0-0.wav", start_s=0.05, end_s=0.15)
    assert run(manifests, skip=[*OTHERS, "L05"]) == 2
    assert set(failures(manifests)) == {"L02", "L06"}
    change(manifests / "test.csv", end_s=9)
    capsys.readouterr()
    assert run(manifests) == 2
    assert "train-dog-0-0.wav: ends before 9 s; repair end_s" in capsys.readouterr().err


def test_the_page_needs_nothing_else_and_names_are_inert(manifests):
    hostile = "<img src=x onerror=alert(1)>"
    change(manifests / "test.csv", group=hostile)
    change(manifests / "train.csv", group=hostile)
    assert run_as_it_is(manifests, "--html", manifests / "report.html", "--report", manifests / "report.md") == 2
    html = (manifests / "report.html").read_text()
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append(tag)
    parser.feed(html)
    assert "table" in tags and not {"img", "script", "iframe"} & set(tags) and "&lt;img" in html
    assert "Verdict: FAIL" in html and "<img" not in (manifests / "report.md").read_text()


def test_the_same_data_give_the_same_certificate_wherever_they_are(manifests, tmp_path_factory):
    drop(manifests, "recording", "start_s", "end_s")
    change(manifests / "test.csv", path="audio/train-dog-0-0.wav")
    assert run(manifests, "--report", manifests / "report.md") == 2
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for path in manifests.rglob("*"):
        if path.is_file():
            target = elsewhere / path.relative_to(manifests)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    assert run(elsewhere, "--report", elsewhere / "report.md") == 2
    for name in ("certificate.json", "report.md", "evidence.csv"):
        assert (elsewhere / name).read_bytes() == (manifests / name).read_bytes()


def bad_header(folder: Path) -> None:
    drop(folder, "group")


def bad_audio(folder: Path) -> None:
    (folder / "audio" / "test-cat-1-0.flac").write_bytes(b"not audio")


def empty_audio(folder: Path) -> None:
    soundfile.write(folder / "audio" / "test-cat-0-0.wav", np.zeros(0), 16_000)


def all_bad_audio(folder: Path) -> None:
    for path in (folder / "audio").glob("test-*"):
        path.write_bytes(b"not audio")


def no_audio(folder: Path) -> None:
    for path in (folder / "audio").iterdir():
        path.write_bytes(b"not audio")


def a_label_misspelt(folder: Path) -> None:
    table = pd.read_csv(folder / "train.csv").replace({"label": {"dog": "barking"}})
    table.to_csv(folder / "train.csv", index=False)
    change(folder / "test.csv", label="barcking")
    change(folder / "test.csv", 1, label="barking")


def of_both_classes(folder: Path) -> None:
    table = pd.read_csv(folder / "train.csv")
    again = table.iloc[:1].assign(path="./" + table.path[0], label="cat", group="another")
    pd.concat([table, again]).to_csv(folder / "train.csv", index=False)


def one_class(folder: Path) -> None:
    for part in ("train", "test"):
        pd.read_csv(folder / f"{part}.csv").assign(label="dog").to_csv(folder / f"{part}.csv", index=False)


def repeated(folder: Path) -> None:
    change(folder / "train.csv", 1, path="audio/train-dog-0-0.wav")


def no_file(folder: Path) -> None:
    change(folder / "train.csv", 2, path="audio/nowhere.wav")


def no_label(folder: Path) -> None:
    change(folder / "train.csv", 1, label=" ")


def no_time(folder: Path) -> None:
    change(folder / "train.csv", 1, start_s="soon")


def backwards(folder: Path) -> None:
    change(folder / "train.csv", 1, start_s=3)


def half_a_time(folder: Path) -> None:
    drop(folder, "end_s")


def times_in_one(folder: Path) -> None:
    drop(folder, "recording")
    pd.read_csv(folder / "test.csv").drop(columns=["start_s", "end_s"]).to_csv(folder / "test.csv", index=False)


def no_rows(folder: Path) -> None:
    (folder / "train.csv").write_text("path,label,group\n")


def nothing(folder: Path) -> None:
    (folder / "train.csv").write_text("")


def test_files_that_cannot_be_read_are_a_line_each_and_the_rest_is_audited_without_a_pass(manifests, capsys):
    bad_audio(manifests)
    empty_audio(manifests)
    assert run(manifests) == 2
    told = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if "left out: " in line]
    assert len(told) == 2 and "test-cat-0-0.wav: has no audio" in told[0] and "test-cat-1-0.flac: cannot be read as audio" in told[1]
    certificate = load_certificate(manifests / "certificate.json")
    assert failures(manifests).keys() == {"L03"} and failures(manifests)["L03"].startswith(
        "2 of 24 items cannot be read, and so were not compared: audio/test-cat-0-0.wav, audio/"
    )
    assert {remark for check in certificate["checks"] for remark in check["remarks"]} >= {"2 items are left out whose audio cannot be read."}
    assert certificate["parts"]["test"]["stimuli"] == 10 and "22 audio files" in str(certificate["subject"])
    assert run(manifests, skip=[*OTHERS, "L03"]) == 2, "who skips the check still hears of the files"


def test_a_leak_among_what_can_be_read_is_found_beside_a_file_that_cannot(manifests):
    bad_audio(manifests)
    (manifests / "audio/test-dog-0-0.wav").write_bytes((manifests / "audio/train-dog-0-0.wav").read_bytes())
    assert run(manifests) == 2 and failures(manifests)["L03"] == "1 piece of audio is in more than one part"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (bad_header, "train.csv: no column group (has path, label, recording, start_s, end_s, noise); name it with --group-column"),
        (all_bad_audio, "train.csv, test.csv: none of the test items can be read; the first: "),
        (no_audio, "train.csv, test.csv: none of the 24 items can be read; the first: "),
        (of_both_classes, "train.csv, test.csv: audio/train-dog-0-0.wav is speech in one row and not in another; correct the label of one"),
        (one_class, "train.csv, test.csv: all items are of one class (dog)"),
        (repeated, "train.csv: row 2 repeats the path of an earlier row"),
        (no_file, "train.csv: row 3 names a file that does not exist (audio/nowhere.wav; paths are relative"),
        (no_label, "train.csv: row 2 has no label"),
        (no_time, "train.csv: row 2 has no number as start_s"),
        (backwards, "train.csv: row 2 ends before it starts"),
        (half_a_time, "train.csv: start_s and end_s go together"),
        (times_in_one, "train.csv, test.csv: some have start_s and end_s, and others not; give them in all, or in none"),
        (no_rows, "train.csv: has no rows"),
        (nothing, "train.csv: not a readable CSV table (it is empty)"),
    ],
)
def test_bad_input_ends_in_one_line_and_writes_nothing(manifests, damage, message):
    damage(manifests)
    said = run(manifests, "--report", manifests / "report.md")
    assert isinstance(said, str) and said.startswith("error: ") and message in said and "\n" not in said
    assert not (manifests / "certificate.json").exists() and not (manifests / "report.md").exists()


@pytest.mark.parametrize("other", ["./audio/x.wav", "audio\\x.wav", "audio/../audio/x.wav"])
def test_one_file_is_listed_once_however_its_path_is_written(tmp_path, other):
    for name in ("x", "y"):
        (tmp_path / "audio").mkdir(exist_ok=True)
        (tmp_path / f"audio/{name}.wav").write_bytes(b"")
    (tmp_path / "all.csv").write_text(f"path,label,group\naudio/x.wav,SPEECH,ana\n{other},SPEECH,ben\naudio/y.wav,dog,street\n")
    with pytest.raises(InputError, match=r"all\.csv: row 2 repeats the path of an earlier row"):
        read_manifests({"": tmp_path / "all.csv"}, Columns())


def test_a_name_too_long_for_any_file_is_one_that_does_not_exist(tmp_path):
    (tmp_path / "all.csv").write_text(f"path,label,group\n{'a' * 300},SPEECH,ana\n")
    with pytest.raises(InputError, match=r"row 1 names a file that does not exist"):
        read_manifests({"": tmp_path / "all.csv"}, Columns())


def test_a_label_that_looks_like_that_of_speech_is_not_no_speech(manifests):
    a_label_misspelt(manifests)
    assert "test.csv: the labels barcking and barking look like one; write it in one way" in str(run(manifests, label="barking"))
    assert not (manifests / "certificate.json").exists()


def test_labels_that_count_as_no_speech_are_told_where_there_are_several(manifests, capsys):
    run(manifests)
    assert "count as no speech" not in capsys.readouterr().err
    change(manifests / "test.csv", 8, label="dog, near")
    run(manifests)
    assert "all but dog count as no speech: cat, dog, near\n" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--junit", "--html"])
def test_a_manifest_is_not_overwritten(manifests, option):
    before = (manifests / "train.csv").read_bytes()
    (manifests / "link.csv").symlink_to("train.csv")
    for name in ("train.csv", "link.csv"):
        assert "is read, and would be overwritten; name another file" in str(run(manifests, option, manifests / name))
    assert (manifests / "train.csv").read_bytes() == before


def test_wrong_arguments_are_bad_input_not_leaks(manifests):
    assert "no item has the label SPEECH; name one of cat, dog with --speech-label" in str(run(manifests, label="SPEECH"))
    assert "nowhere.csv: cannot be read (No such file or directory)" in str(run(manifests, train="nowhere.csv"))
    assert "invalid choice: 'L99'" in str(run(manifests, skip=["L99"]))
    assert "argument --train: is given twice; give it once" in str(run(manifests, "--train", manifests / "test.csv"))
    assert "column label: is named by two of --path-column, --label-column" in str(run(manifests, "--group-column", "label"))
    assert "evidence.csv: is to be written twice" in str(run(manifests, "--report", manifests / "evidence.csv"))
    assert "or manifests with --train and --test" in str(run(manifests, "--index", manifests / "index.parquet"))
    mixed = run(manifests, "--today", "2026-01-01", manifests / "split.csv")
    assert "needs --index, --clips, --recordings, --shards, and takes no manifest" in str(mixed)


def test_a_manifest_in_which_every_row_is_its_own_group_and_noise_does_not_pass(manifests, capsys):
    for part in ("train", "test"):
        table = pd.read_csv(manifests / f"{part}.csv")
        table.assign(group=[f"{part}{k}" for k in range(len(table))], noise=[f"{part} noise {k}" for k in range(len(table))]).to_csv(
            manifests / f"{part}.csv", index=False
        )
    assert run(manifests) == 2
    assert set(failures(manifests)) == {"L01", "L05"} and "no source has two items" in failures(manifests)["L01"]
    told = capsys.readouterr().out
    assert told.startswith("Verdict: FAIL. 2 of") and "checks could not tell: L01 source_overlap (no source has two items" in told


def test_an_inverted_and_softer_copy_is_found(manifests):
    rng = np.random.default_rng(1)
    sound = np.cumsum(rng.normal(size=16_000))
    sound = 0.6 * (sound - sound.mean()) / np.abs(sound).max() + 0.2 * rng.uniform(-1, 1, 16_000)
    soundfile.write(manifests / "audio" / "train-dog-0-0.wav", sound, 16_000)
    soundfile.write(manifests / "audio" / "test-dog-0-0.wav", -0.7 * sound, 16_000)
    assert run(manifests, skip=[id for id in OTHERS if id != "L04"]) == 2
    assert set(failures(manifests)) == {"L04"}
    evidence = read_table(manifests / "evidence.csv", EVIDENCE)
    assert evidence.item_a.tolist()[0] == "test:audio/test-dog-0-0.wav" and "inverted" in evidence.detail[0]


def test_a_session_in_two_parts_is_noted(manifests):
    """A session told of one item of a recording is that of the recording."""
    for part, names in (("train", ["Monday ", ""]), ("test", ["", "MONDAY"])):
        table = pd.read_csv(manifests / f"{part}.csv")
        table.assign(session=[*names, *[""] * (len(table) - 2)]).to_csv(manifests / f"{part}.csv", index=False)
    others = [check for check in OTHERS if check != "L17"]
    assert run(manifests, skip=others) == 0
    evidence = pd.read_csv(manifests / "evidence.csv", dtype=str)
    assert evidence[evidence.check == "L17"].detail.tolist() == ["session monday; stimuli: 2 in test, 2 in train"]
    change(manifests / "test.csv", 0, session="Tuesday")
    assert "is of the sessions tuesday and monday; give it one session" in str(run(manifests, skip=others))
