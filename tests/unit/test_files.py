"""Full, read-only and forbidden disks: one line that names the file, and nothing half-written."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mounts import in_own_mounts

from earwitness.core.errors import InputError
from earwitness.core.files import MADE, atomic, atomic_folder, refuse_overwriting, write_json
from earwitness.core.randomness import stream

SCRIPTS = Path(__file__).parents[2] / "workflow_scripts"
SMALL = "mount -t tmpfs -o size=128k none {folder}"


@pytest.fixture
def disk(tmp_path) -> Path:
    """Where a small disk may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


@pytest.fixture
def table(tmp_path) -> Path:
    """Numbers that take more than the small disk has, in rows of 40."""
    path = tmp_path / "wide.npy"
    np.save(path, stream(1, "disk").standard_normal((2000, 40)))
    return path


WRITERS = {
    "csv": ("import pandas as pd", "pd.DataFrame(table).to_csv(temporary, index=False)"),
    "parquet": ("import pandas as pd", "pd.DataFrame(table).add_prefix('c').to_parquet(temporary, index=False)"),
    "safetensors": ("from safetensors.numpy import save_file", "save_file({'a': table}, temporary)"),
    "wav": ("import soundfile", "soundfile.write(temporary, table, 16000)"),
    "png": (
        "import matplotlib; matplotlib.use('agg'); import matplotlib.pyplot as plt",
        "figure = plt.figure(figsize=(20, 20)); figure.gca().imshow(table); figure.savefig(temporary, dpi=200)",
    ),
}
"""Kind of file -> what a program imports to write one, and how it does."""


def program(folder: Path, table: Path, suffix: str) -> str:
    """A program that writes `table` as a file of the kind, as the project's programs do."""
    library, write = WRITERS[suffix]
    lines = f"""
        import sys; sys.path.insert(0, {str(SCRIPTS)!r})
        from pathlib import Path
        import numpy as np
        {library}
        from earwitness.core.errors import one_line_errors
        from earwitness.core.files import atomic
        @one_line_errors
        def main():
            table = np.load({str(table)!r})
            with atomic(Path({str(folder)!r}) / "out.{suffix}") as temporary:
                {write}
        main()
    """
    return "\n".join(line.removeprefix("        ") for line in lines.splitlines())


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_full_disk_is_one_line_that_names_the_file_and_leaves_nothing(disk, table, tmp_path, suffix):
    script = tmp_path / "program.py"
    script.write_text(program(disk, table, suffix))
    done = in_own_mounts([SMALL.format(folder=disk), f"{sys.executable} {script} || echo code $?", f"find {disk} -type f"])
    assert done.stderr.splitlines() == [f"error: {disk}/out.{suffix}: No space left on device; make room, or work on another disk"]
    assert done.stdout.split() == ["code", "1"], "nothing is left under any name"


def test_a_read_only_folder_is_one_line(disk, table, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(program(disk, table, "csv"))
    done = in_own_mounts([SMALL.format(folder=disk), f"mount -o remount,ro {disk}", f"{sys.executable} {script} || echo code $?"])
    assert done.stderr.splitlines() == [f"error: {disk}/out.csv: Read-only file system; work in a folder that can be written to"]
    assert done.stdout.split() == ["code", "1"]


def test_a_corpus_that_does_not_fit_leaves_no_corpus(disk):
    corpus = f"{disk}/speech {disk}/sounds --corpus study --seed 1 --settings '{json.dumps({'speakers': 6, 'sounds': 6})}'"
    command = f"{sys.executable} {SCRIPTS / 'make_embedded_corpus.py'} {corpus} || echo code $?"
    done = in_own_mounts([SMALL.format(folder=disk), command, f"ls -A {disk}"])
    assert done.stdout.split() == ["code", "1"]
    assert re.fullmatch(rf"error: {disk}/(speech|sounds): No space left on device; make room, or work on another disk", done.stderr.splitlines()[-1])


@pytest.mark.parametrize("letter", ["l", "é", "😀"])
def test_the_longest_names_that_there_are_can_be_written(tmp_path, letter):
    stem = letter * (251 // len(letter.encode()))
    write_json(tmp_path / f"{stem}.csv", 1)
    with atomic_folder(tmp_path / stem) as folder:
        (folder / "a").touch()
    assert {path.name for path in tmp_path.iterdir()} == {f"{stem}.csv", stem}
    with pytest.raises(OSError, match="File name too long"):
        write_json(tmp_path / f"{'l' * 252}.csv", 1)
    assert len(list(tmp_path.iterdir())) == 2


def test_no_file_takes_the_place_of_a_device_or_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(InputError, match=f"{name}: is a pipe, a socket or a device, whose place a file would take"), atomic(tmp_path / name):
            raise AssertionError("not asked before the work")
    assert (tmp_path / "pipe").is_fifo() and {path.name for path in tmp_path.iterdir()} == {"pipe", "link"}


def test_what_is_to_be_written_is_looked_at_before_the_work(tmp_path):
    (tmp_path / "read.csv").touch()
    (tmp_path / "link.csv").symlink_to("read.csv")
    refuse_overwriting([tmp_path / "read.csv", None], [tmp_path / "new.csv", None, tmp_path / "other.csv"])
    for written, message in {
        ("new.csv", "link.csv"): r"link\.csv: is read, and would be overwritten; name another file",
        ("new.csv", "there/../new.csv"): r"new\.csv: is to be written twice; give each of the files its own name",
        (".",): "is a folder; name a file to be written",
    }.items():
        with pytest.raises(InputError, match=message):
            refuse_overwriting([tmp_path / "read.csv"], [tmp_path / name for name in written])


def test_a_file_in_a_folders_place_is_one_line(tmp_path, table):
    (tmp_path / "file").touch()
    script = tmp_path / "program.py"
    script.write_text(program(tmp_path / "file", table, "csv"))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"error: {tmp_path}/file: ")


PRINTING = """
import sys; sys.path.insert(0, {scripts!r})
import os, signal, time
from earwitness.core.errors import one_line_errors
@one_line_errors
def main():
    {body}
main()
"""


def printing(folder: Path, body: str) -> Path:
    path = folder / "printing.py"
    path.write_text(PRINTING.format(scripts=str(SCRIPTS), body=body))
    return path


@pytest.mark.parametrize("body", ["print('row')", "print(*range(100_000), sep='\\n')", "print('help'); sys.exit()"])
def test_a_reader_that_goes_away_ends_the_program_without_a_word(tmp_path, body):
    command = f"{{ {sys.executable} {printing(tmp_path, body)}; echo code $? >&2; }} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr.splitlines() == ["code 141"]


def test_a_name_that_the_terminals_language_cannot_write_is_written_with_escapes(tmp_path):
    script = tmp_path / "program.py"
    begin = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\nfrom earwitness.core.errors import one_line_errors\n"
    script.write_text(f"{begin}one_line_errors(lambda: print('é,😀'))()")
    for encoding, written in (("ascii", rb"\xe9,\U0001f600"), ("latin-1", b"\xe9,\\U0001f600"), ("utf-8", "é,😀".encode())):
        done = subprocess.run([sys.executable, script], capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding})
        assert (done.stdout.strip(), done.stderr, done.returncode) == (written, b"", 0)


def test_a_pipe_to_something_else_that_breaks_is_no_silent_end(tmp_path):
    body = "reader, writer = os.pipe(); os.close(reader); os.write(writer, b'x')"
    done = subprocess.run([sys.executable, printing(tmp_path, body)], capture_output=True, text=True)
    assert done.returncode == 1 and "BrokenPipeError" in done.stderr


def heed_ctrl_c() -> None:
    """Programs that a shell starts in the background ignore Ctrl-C, and so do their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_is_one_line(tmp_path):
    code = printing(tmp_path, "os.kill(os.getpid(), signal.SIGINT); time.sleep(60)")
    done = subprocess.run([sys.executable, code], capture_output=True, text=True, preexec_fn=heed_ctrl_c)
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")


def test_ctrl_c_is_one_line_however_many_workers_there_are(tmp_path):
    path = tmp_path / "printing.py"
    path.write_text(POOL.format(scripts=str(SCRIPTS), folder=str(tmp_path)))
    program = subprocess.Popen(
        [sys.executable, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed_ctrl_c
    )
    assert program.stdout is not None and program.stdout.readline() == "working\n"
    os.killpg(program.pid, signal.SIGINT)
    assert program.communicate(timeout=60)[1] == "error: interrupted\n"
    assert program.returncode == 130


POOL = """
import sys; sys.path.insert(0, {scripts!r})
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from earwitness.core.errors import one_line_errors
from earwitness.runtime.workers import end_with_parent
def work(path):
    path.touch()
    time.sleep(60)
@one_line_errors
def main():
    with ProcessPoolExecutor(2, get_context("spawn"), initializer=end_with_parent) as pool:
        paths = [Path({folder!r}) / name for name in "ab"]
        at_work = [pool.submit(work, path) for path in paths]
        while not all(path.exists() for path in paths):
            time.sleep(0.02)
        print("working", flush=True)
        at_work[0].result()
if __name__ == "__main__":
    main()
"""


def test_an_error_that_no_user_can_mend_keeps_its_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "a.txt"):
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_what_a_block_reads_is_named_not_what_it_writes(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic(tmp_path / "out.csv"):
        (tmp_path / "input.csv").read_text()
    assert caught.value.filename == str(tmp_path / "input.csv")


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    with atomic_folder(tmp_path / "made") as temporary:
        write_json(temporary / "old.json", {"a": 1})
    with pytest.raises(OSError, match="boom"), atomic_folder(tmp_path / "made") as temporary:
        write_json(temporary / "new.json", {})
        raise OSError("boom")
    assert sorted(path.name for path in tmp_path.rglob("*")) == [MADE, "made", "old.json"]


def make_folder(path, *names, **given):
    with atomic_folder(path, **given) as temporary:
        for name in names:
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_text("made")


def test_what_was_made_is_replaced_and_an_empty_folder_filled(tmp_path):
    (tmp_path / "made").mkdir()
    make_folder(tmp_path / "made", "audio/a.wav", "old.json")
    for note in (".snakemake_timestamp", ".earwitness-sha256"):
        (tmp_path / "made" / note).touch()
    (tmp_path / "made/old.json").unlink()
    make_folder(tmp_path / "made", "new.json")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [MADE, "new.json"]


@pytest.mark.parametrize("foreign", ["notes.txt", "audio/mine.wav", ".hidden", "link", "empty_folder/"])
def test_a_folder_with_anything_else_is_refused_before_the_work_and_left_alone(tmp_path, foreign):
    made = tmp_path / "made"
    make_folder(made, "audio/a.wav")
    if foreign == "link":
        (made / foreign).symlink_to(tmp_path / "elsewhere")
    elif foreign.endswith("/"):
        (made / foreign).mkdir()
    else:
        (made / foreign).write_text("mine")
    before = sorted(made.rglob("*"))
    with pytest.raises(InputError, match=rf"made: holds {foreign.strip('/')}, which was not made here and would be removed; name a new folder"):
        make_folder(made, "new.json")
    assert sorted(made.rglob("*")) == before


def test_what_is_put_into_a_folder_while_it_is_made_again_is_left_alone(tmp_path):
    make_folder(tmp_path / "made", "a.json")
    with pytest.raises(InputError, match=r"holds notes\.txt"), atomic_folder(tmp_path / "made"):
        (tmp_path / "made/notes.txt").write_text("mine")
    assert (tmp_path / "made/notes.txt").exists() and (tmp_path / "made/a.json").exists()


def test_what_our_other_programs_put_there_goes_with_it_and_what_is_read_does_not(tmp_path):
    made = tmp_path / "made"
    make_folder(made, "train.csv")
    (made / "segments.json").touch()
    with pytest.raises(InputError, match=r"holds segments\.json"):
        make_folder(made, "train.csv")
    with pytest.raises(InputError, match=r"holds train\.csv, which is being read and would be replaced"):
        make_folder(made, "train.csv", beside=["segments.json"], read=[made / "../made/train.csv"])
    make_folder(made, "train.csv", beside=["segments.json"], read=[tmp_path / "train.csv"])
    assert not (made / "segments.json").exists()


def test_a_file_or_a_link_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for name in ("file", "link"):
        with pytest.raises(InputError, match=f"{name}: is a {name}, where a folder is to be made"):
            make_folder(tmp_path / name, "a.json")
    assert (tmp_path / "file").is_file() and (tmp_path / "link").is_symlink()


PROGRAMS = {
    "unpack_recordings": ["table.parquet", "--folder", "FOLDER"],
    "make_embedded_corpus": ["FOLDER", "sounds", "--corpus", "study", "--settings", '{"speakers": 2, "sounds": 2}', "--seed", "1"],
    "make_embedded_baseline": ["FOLDER", "--settings", '{"speakers": 2, "sounds": 2}', "--seed", "1"],
    "make_stand_in": ["FOLDER"],
    "propose_split": ["--train", "train.csv", "--test", "test.csv", "--out", "FOLDER"],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_replaces_a_folder_of_the_users(tmp_path, monkeypatch, program):
    kept = tmp_path / "mine/audio/a.wav"
    kept.parent.mkdir(parents=True)
    kept.touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [program, *(str(tmp_path / "mine") if text == "FOLDER" else text for text in PROGRAMS[program])])
    with pytest.raises(SystemExit, match=r"mine: holds audio/a\.wav, which was not made here and would be removed; name a new folder"):
        importlib.import_module(program).main()
    assert kept.exists()


KILLED = """
import os, sys; sys.path.insert(0, {scripts!r})
from pathlib import Path
from earwitness.core.files import atomic, atomic_folder
with atomic(Path({folder!r}) / "table.csv") as file, atomic_folder(Path({folder!r}) / "model") as folder:
    file.write_text("half")
    (folder / "weights").write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_program_left_is_swept_by_the_next_one_and_nothing_else(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED.format(scripts=str(SCRIPTS), folder=str(tmp_path))])
    assert len(list(tmp_path.iterdir())) == 2 and not (tmp_path / "table.csv").exists()
    mine = [tmp_path / f".table.{os.getpid()}.abcdefgh.csv", tmp_path / ".table.notes.csv", tmp_path / ".table.1.csv"]
    for path in mine:
        path.touch()
    with atomic(tmp_path / "table.csv") as file, atomic_folder(tmp_path / "model") as folder:
        file.write_text("whole")
        (folder / "weights").write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "model"} | {path.name for path in mine}
