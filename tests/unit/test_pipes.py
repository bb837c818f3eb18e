"""A pipe, a socket or a device in the place of a file is refused in one line, and at once: whoever opened it might wait for ever."""

import json
import os
import signal
import socket
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import soundfile
from programs import call_program

from earwitness.core.arguments import json_object
from earwitness.core.errors import InputError
from earwitness.core.files import read_text, sha256_of
from earwitness.core.json_files import load_record, record_schema
from earwitness.core.yaml_text import load_yaml
from earwitness.corpora.catalogue import catalogue
from earwitness.corpora.data_sets import DataSet
from earwitness.corpora.file_checks import Limits
from earwitness.corpora.rttm import read_rttm
from earwitness.corpora.text_tables import audio_column, read_text_table
from earwitness.detectors.clip_files import why_not_heard
from earwitness.leakage.checks.code import _read
from earwitness.tables.files import read_table
from earwitness.tables.splits import SPLIT

SOUND = 0.1
LIMITS = Limits(0.0, 1.0, 10.0, -1000.0)


@contextmanager
def at_once():
    """Fail where the block waits."""

    def late(*_):
        raise TimeoutError("waited for a pipe")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pipe(path: Path) -> Path:
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


READERS = {
    "text": read_text,
    "a digest": sha256_of,
    "YAML": load_yaml,
    "JSON": lambda path: load_record(path, record_schema(), "a record", "make it again"),
    "RTTM": read_rttm,
    "a table": read_text_table,
    "a table of ours": lambda path: read_table(path, SPLIT),
    "a script": _read,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_no_reader_waits_for_a_pipe(tmp_path, reader, suffix):
    path = pipe(tmp_path / f"x{suffix}")
    with at_once(), pytest.raises(InputError, match=r"x\.(csv|parquet): is a pipe, a socket or a device, not a file; write it to a file"):
        READERS[reader](path)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/stdin"])
def test_no_reader_opens_a_device(device):
    if Path(device).is_file():
        pytest.skip("here it is a file")
    with at_once(), pytest.raises(InputError, match="not a file"):
        read_text(Path(device))


def test_a_socket_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as ours:
        ours.bind("x.wav")
        assert why_not_heard(Path("x.wav")).startswith("is a pipe, a socket or a device")
        with pytest.raises(InputError, match="is a pipe, a socket"):
            audio_column(Path("x.wav"))


def test_a_link_to_a_pipe_is_a_pipe(tmp_path):
    pipe(tmp_path / "x")
    (tmp_path / "link.csv").symlink_to("x")
    with at_once(), pytest.raises(InputError, match="is a pipe"):
        read_text_table(tmp_path / "link.csv")


def audio(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        soundfile.write(folder / name, [SOUND, -SOUND] * 8000, 16_000)


def test_an_annotation_and_a_recording_that_are_pipes_are_listed_as_broken(tmp_path):
    audio(tmp_path / "audio", "a.wav", "b.wav")
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.rttm").write_text(f"SPEAKER {name} 1 0 0.5 <NA> <NA> {name}nna <NA> <NA>\n")
    pipe(tmp_path / "b.rttm")
    pipe(tmp_path / "audio/c.wav")
    with at_once():
        check = catalogue(DataSet("v", tmp_path, layout="voxconverse", speaker_names="local"), LIMITS, threads=1).check
    assert list(check.verdict) == ["ok", "broken", "broken"]
    assert check.reason[1].endswith("b.rttm is a pipe, a socket or a device, not a file; write it to a file")
    assert check.reason[2].startswith("is a pipe")


@pytest.mark.parametrize(
    ("place", "code", "told"), [("train.csv", 1, "error: train.csv: is a pipe"), ("audio/a.wav", 2, "left out: audio/a.wav: is a pipe")]
)
def test_an_audit_does_not_wait(tmp_path, place, code, told):
    audio(tmp_path / "audio", "a.wav", "b.wav")
    for part in ("train", "test"):
        table = pd.DataFrame({"path": ["audio/a.wav", "audio/b.wav"], "label": ["SPEECH", "dog"], "group": ["ana", "street"]})
        table.to_csv(tmp_path / f"{part}.csv", index=False)
    pipe(tmp_path / place)
    arguments = ["--train", "train.csv", "--test", "test.csv", "--certificate", "c.json", "--evidence", "e.csv"]
    with at_once():
        done = call_program("audit_leakage", *arguments, folder=tmp_path)
    assert done.returncode == code and done.stderr.startswith(told), done.stderr


@pytest.mark.parametrize("name", ["provenance/run.json", "provenance/digests.csv", "tables/a.csv"])
def test_results_with_a_pipe_in_a_files_place_are_verified_without_waiting(tmp_path, name):
    for other in ("provenance/run.json", "provenance/digests.csv", "tables/a.csv"):
        (tmp_path / "results" / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / other).write_text("x")
    digests = tmp_path / "results/provenance/digests.csv"
    digests.write_text(f"path,sha256,bytes\nresults/tables/a.csv,{sha256_of(tmp_path / 'results/tables/a.csv')},1\n")
    (tmp_path / "results/provenance/run.json").write_text(json.dumps({"digests": {"files": 1, "sha256": sha256_of(digests)}}))
    assert call_program("verify_results", "results", folder=tmp_path).returncode == 0
    pipe(tmp_path / "results" / name)
    with at_once():
        done = call_program("verify_results", "results", folder=tmp_path)
    assert done.returncode in (1, 2) and (done.stderr.count("\n") == 1 or "missing: results/tables/a.csv" in done.stdout)


def test_settings_of_the_command_line_are_read_strictly():
    for wrong in ('{"a": 1, "a": 2}', '{"a": NaN}', "[" * 100_000):
        with pytest.raises(Exception, match="not valid JSON"):
            json_object(wrong)
    assert json_object('{"a": {"b": 1.5}}') == {"a": {"b": 1.5}}
