"""What may not be read is told in one line, or listed with its reason; it is never passed over."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import soundfile
from programs import call_program

from earwitness.core.errors import InputError
from earwitness.core.files import read_text, sha256_of, write_json
from earwitness.core.folders import OF_THE_DISK, files_below
from earwitness.core.yaml_text import load_yaml
from earwitness.corpora.catalogue import catalogue
from earwitness.corpora.data_sets import DataSet
from earwitness.corpora.file_checks import Limits
from earwitness.corpora.rttm import read_rttm
from earwitness.corpora.text_tables import read_text_table
from earwitness.detectors.clip_files import why_not_heard
from earwitness.model.checkpoint import verify_checkpoint
from earwitness.provenance.run import digest_table

LIMITS = Limits(0.0, 1.0, 10.0, -1000.0)


CAPABILITIES, DAC_OVERRIDE, DAC_READ_SEARCH = 0x20080522, 1, 2
"""Of Linux: the version of what capget gives, and the rights to open every file and every folder (linux/capability.h)."""


@contextmanager
def as_anybody() -> Iterator[None]:
    """Without the right of the system's administrator to open everything."""
    if os.geteuid():
        yield
        return
    if not sys.platform.startswith("linux"):
        pytest.skip("the administrator may open everything")
    libc, whose, held = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(whose, held) == 0
    effective = held[0]
    held[0] &= ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH)
    assert libc.capset(whose, held) == 0
    try:
        yield
    finally:
        held[0] = effective
        libc.capset(whose, held)


def closed(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0)
    return path


@pytest.mark.parametrize("reader", [read_text, load_yaml, read_rttm, read_text_table], ids=lambda reader: reader.__name__)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_text_that_may_not_be_read_is_one_line(tmp_path, reader, suffix):
    path = closed(tmp_path / f"x{suffix}")
    with as_anybody(), pytest.raises(InputError, match=r"x\.(csv|parquet): cannot be read \(Permission denied\)"):
        reader(path)


def sounds(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        soundfile.write(folder / name, [0.1, -0.1] * 8000, 16_000)
        (folder.parent / f"{Path(name).stem}.rttm").write_text(f"SPEAKER {Path(name).stem} 1 0 0.5 <NA> <NA> ana <NA> <NA>\n")


def data_set(folder: Path) -> DataSet:
    return DataSet("v", folder, layout="voxconverse", speaker_names="local")


def test_a_recording_that_may_not_be_read_is_listed(tmp_path):
    sounds(tmp_path / "audio", "a.wav", "b.wav")
    (tmp_path / "audio/b.wav").chmod(0)
    with as_anybody():
        check = catalogue(data_set(tmp_path), LIMITS, threads=1).check
        assert why_not_heard(tmp_path / "audio/b.wav") == "cannot be opened (Permission denied)"
    assert list(check.verdict) == ["ok", "broken"] and check.reason[1] == "cannot be opened (Permission denied)"


@pytest.mark.parametrize("folder", ["audio", "more"])
def test_a_folder_that_may_not_be_opened_is_not_passed_over(tmp_path, folder):
    sounds(tmp_path / "audio", "a.wav")
    (tmp_path / "more").mkdir()
    (tmp_path / folder).chmod(0)
    with as_anybody(), pytest.raises(InputError, match=rf"/{folder}: cannot be opened \(Permission denied\); change its permissions"):
        catalogue(data_set(tmp_path), LIMITS, threads=1)


@pytest.mark.parametrize("name", OF_THE_DISK)
def test_folders_of_the_disk_itself_are_passed_over(tmp_path, name):
    (tmp_path / "a.wav").touch()
    (tmp_path / name).mkdir()
    (tmp_path / name).chmod(0)
    with as_anybody():
        assert files_below(tmp_path, [".wav"]) == [tmp_path / "a.wav"]


def test_programs_end_in_one_line(tmp_path):
    table = "level,correct,total\n10,5,10\n20,7,10\n40,9,10\n"
    (tmp_path / "counts.csv").write_text(table)
    closed(tmp_path / "closed.csv", table)
    (tmp_path / "there").mkdir(mode=0o555)
    for name in ("provenance/run.json", "provenance/digests.csv"):
        closed(tmp_path / "results" / name)
    (tmp_path / "results/provenance").chmod(0o755)
    made = ("--certificate", "c.json", "--evidence", "e.csv")
    commands = {
        "closed.csv: cannot be read (Permission denied)": ("fit_counts", "closed.csv"),
        "there/x.json: Permission denied": ("fit_counts", "counts.csv", "--bootstrap", "100", "--output", "there/x.json"),
        "run.json: not the record of a run": ("verify_results", "results"),
        "test.csv: cannot be read (Permission denied)": ("audit_leakage", "--train", closed(tmp_path / "test.csv"), "--test", "counts.csv", *made),
    }
    for told, (program, *arguments) in commands.items():
        with as_anybody():
            done = call_program(program, *arguments, folder=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1) and told in done.stderr


def test_results_that_may_not_be_read_are_not_verified(tmp_path):
    (tmp_path / "results/tables").mkdir(parents=True)
    (tmp_path / "results/provenance").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"results/tables/{name}.csv").write_text(name)
    digests = tmp_path / "results/provenance/digests.csv"
    digest_table([tmp_path / f"results/tables/{name}.csv" for name in "ab"], tmp_path).to_csv(digests, index=False)
    write_json(tmp_path / "results/provenance/run.json", {"digests": {"files": 2, "sha256": sha256_of(digests)}})
    (tmp_path / "results/tables/b.csv").chmod(0)
    with as_anybody():
        done = call_program("verify_results", "results", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1) and "tables/b.csv: Permission denied" in done.stderr


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "."])
def test_a_model_that_may_not_be_read_is_one_line(tmp_path, name):
    folder = tmp_path / "base"
    folder.mkdir()
    for file in ("config.json", "tokenizer.json"):
        (folder / file).write_text("{}")
    (folder / name).chmod(0)
    with as_anybody(), pytest.raises(InputError, match=r"cannot be (read|opened) \(Permission denied\)") as caught:
        verify_checkpoint(folder)
    assert str(folder / name) in str(caught.value)


def test_a_table_of_labels_that_may_not_be_read_is_one_line(tmp_path):
    sounds(tmp_path / "audio", "1-1-A-0.wav")
    closed(tmp_path / "meta/esc50.csv", pd.DataFrame({"filename": ["1-1-A-0.wav"], "category": ["dog"], "src_file": ["1"]}).to_csv(index=False))
    with as_anybody(), pytest.raises(InputError, match=r"esc50\.csv: cannot be read \(Permission denied\)"):
        catalogue(DataSet("e", tmp_path, layout="esc50"), LIMITS, threads=1)
