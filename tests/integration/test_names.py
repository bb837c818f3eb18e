"""Recordings with names that mean something to a shell, to Snakemake, to HTML or to a terminal."""

import csv

import numpy as np
import pytest
import soundfile

from earwitness.core.randomness import stream
from earwitness.tables.files import read_table
from earwitness.tables.recordings import AUDIO_CHECK, RECORDINGS
from earwitness.tables.stimuli import STIMULI

pytestmark = pytest.mark.slow

NAMES = [
    "-rf",
    "$(touch pwned)",
    "`touch pwned`; touch pwned & touch pwned",
    'it\'s "quoted"',
    "two\nlines",
    "<img src=x onerror=alert(1)>",
    "*?[a-z]",
    "tab\tand trailing ",
    "\N{RIGHT-TO-LEFT OVERRIDE}drow",
]
FOLDER = "own $(touch pwned) 'q' \"r\" <B>"


def noise(path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    envelope = np.repeat(stream(seed, "names", str(path.name)).uniform(0.2, 1, 30), 1600)
    soundfile.write(path, 0.2 * envelope * stream(seed, "names", "samples", str(path.name)).standard_normal(48_000), 16_000, format="WAV")


@pytest.fixture
def recordings(checkout):
    """Two data sets of recordings with such names, in a folder with such a name."""
    folder = checkout.folder / FOLDER
    rows = []
    for number, name in enumerate(NAMES):
        file = name.replace("/", "_")
        noise(folder / "speech/audio" / f"{file}.wav", number)
        (folder / "speech" / f"{file}.rttm").write_text("SPEAKER x 1 0.0 3.0 <NA> <NA> spk00 <NA> <NA>\n")
        noise(folder / "sounds/audio" / f"{file}.wav", 100 + number)
        rows.append({"filename": f"{file}.wav", "fold": 1, "target": 0, "category": "dog", "esc10": True, "src_file": 1000 + number, "take": "A"})
    (folder / "sounds/meta").mkdir()
    with (folder / "sounds/meta/esc50.csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_any_name_goes_all_the_way_to_the_stimuli_and_runs_nothing(checkout, recordings):
    settings = {
        "sources": {
            "voxconverse": {"origin": "path", "path": f"{FOLDER}/speech"},
            "esc50": {"origin": "path", "path": f"{FOLDER}/sounds"},
            "fsd50k": {"origin": "none"},
        },
        "stimuli": {"durations_ms": [200], "snrs_db": [10]},
    }
    result = checkout.study(checkout.overlay(settings), "stimuli")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert not list(checkout.folder.rglob("pwned"))
    results = checkout.folder / "results"
    for dataset, part in (("voxconverse", "speech"), ("esc50", "sounds")):
        found = read_table(results / f"recordings/{dataset}.parquet", RECORDINGS)
        assert sorted(found.path) == sorted(f"{FOLDER}/{part}/audio/{name}.wav" for name in NAMES)
        assert set(read_table(results / f"recordings/{dataset}_audio_check.csv", AUDIO_CHECK).path) == set(found.path)
    index = read_table(results / "stimuli/factorial/index.parquet", STIMULI)
    assert {name for name in NAMES if any(name in recording for recording in index.recording_id)} == set(NAMES)


@pytest.mark.parametrize(("name", "variable"), [("{shard}", "{"), ("a<results>b", "<results>")])
def test_a_name_that_snakemake_would_take_for_a_variable_is_refused_in_one_line(checkout, recordings, name, variable):
    noise(recordings / "sounds/audio" / f"{name}.wav", 1)
    result = checkout.study(checkout.overlay({"sources": {"esc50": {"origin": "path", "path": f"{FOLDER}/sounds"}}}), "stimuli")
    assert result.returncode == 1
    error = result.stderr.splitlines()[-1]
    assert error.startswith("error: sources.esc50: ")
    assert error.endswith(f"{name}.wav': Snakemake takes {variable} in a name for a variable; rename the file or folder")
