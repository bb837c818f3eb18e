"""A study from a folder of WAV files and a table, through the workflow, as far as splits and audit."""

import io
import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
import soundfile
from small_settings import SMALLEST

from earwitness.tables.files import read_table
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT

SPELLINGS = ("{}", " {} ", "{}.0")
RATES = (16_000, 22_050)
LABELS = {"talk": "SPEECH", "hum": "NONSPEECH"}


def write_recordings(folder):
    """Eleven sources of each class with two files each, their names spelled in two ways; and a table of them."""
    (folder / "wav").mkdir(parents=True)
    rows = []
    for label, first in (("talk", 100), ("hum", 200)):
        for number in range(first, first + 11):
            for take in range(2):
                rng = np.random.default_rng([number, take])
                rate = RATES[number % 2]
                name = f"wav/{rng.integers(10**9)}.wav"
                soundfile.write(folder / name, sound(label, number, take, rate), rate)
                rows.append((name, label, SPELLINGS[(number + take) % 3].format(number)))
    pd.DataFrame(rows, columns=["path", "label", "source"]).to_csv(folder / "mine.csv", index=False, sep=";")


def sound(label: str, number: int, take: int, rate: int) -> np.ndarray:
    """Three seconds: noise for speech, else a tone that wanders."""
    rng = np.random.default_rng([number, take])
    t = np.arange(3 * rate) / rate
    noise = rng.standard_normal(len(t))
    carrier = noise if label == "talk" else np.sin(2 * np.pi * rng.uniform(100, 3000) * t + noise)
    return 0.2 * carrier * (1 + 0.5 * np.sin(2 * np.pi * 4 * t)) / 3


def audit_of(checkout):
    """The grouped split and the status of every check of its audit."""
    certificate = json.loads((checkout.folder / "results/audit/grouped/certificate.json").read_text())
    return read_table(checkout.folder / "results/splits/grouped.csv", SPLIT), {check["id"]: check["status"] for check in certificate["checks"]}


@pytest.mark.slow
def test_one_table_of_both_classes_is_a_whole_study(checkout):
    """Given both roles, it is all that is heard but for what the tiny base learns from."""
    write_recordings(checkout.folder / "mine")
    own = {"origin": "manifest", "path": "mine/mine.csv", "labels": LABELS, "role": "both"}
    planned = checkout.plan("--configfile", checkout.overlay(SMALLEST | {"sources": {"mine": own}}))
    assert planned["write_report"] == planned["catalogue_recordings"] == planned["make_embedded_corpus"] == 1
    assert planned["make_baseline_stimuli"] and planned["train_adapter"] and not planned["make_embedded_baseline"]


@pytest.mark.slow
def test_from_a_folder_and_a_table_to_the_report_in_one_command(checkout):
    write_recordings(checkout.folder / "mine")
    own = {"origin": "manifest", "path": "mine/mine.csv", "labels": LABELS, "role": "both"}
    settings = SMALLEST | {"stimuli": SMALLEST["stimuli"] | {"rms_dbfs": -40}, "sources": {"mine": own}}
    done = checkout.study(checkout.overlay(settings))
    assert done.returncode == 0, done.stdout + done.stderr
    page = (checkout.folder / "results/report.html").read_text()
    assert "mine (manifest): 44 usable files" in page and "The honest split passed its leakage audit" in page
    assert not re.search("voxconverse|esc-?50|fsd50k", re.sub("<(script|style|pre).*?</\\1>", "", page, flags=re.S), re.IGNORECASE)


@pytest.mark.slow
def test_folders_an_audio_folder_a_table_with_audio_and_one_of_paths_are_one_study(checkout):
    """Seven sources of each class in each of three, two files of every source; a tape and a session join sources, and so do ties."""
    write_recordings(checkout.folder / "my recordings")
    folders, hub, packed = (checkout.folder / name for name in ("folders", "hub", "packed"))
    rows: dict[str, list[dict[str, object]]] = {"hub": [], "packed": []}
    for k, (label, number) in enumerate((label, number) for label in LABELS for number in range(21)):
        for take in range(2):
            samples = sound(label, 1000 * (label == "hum") + number, take, RATES[0])
            if k % 3 == 0:
                (folders / label / f"{label} {number}").mkdir(parents=True, exist_ok=True)
                soundfile.write(folders / label / f"{label} {number}" / f"{take}.wav", samples, RATES[0])
            elif k % 3 == 1:
                hub.mkdir(exist_ok=True)
                soundfile.write(hub / f"{label}-{number}-{take}.flac", samples, RATES[0])
                rows["hub"].append({"file_name": f"{label}-{number}-{take}.flac", "label": label, "source": f"{label} {number}"})
            else:
                flac = io.BytesIO()
                soundfile.write(flac, samples, RATES[0], format="FLAC")
                audio = {"bytes": flac.getvalue(), "path": f"{label}-{number}-{take}.flac"}
                rows["packed"].append(
                    {
                        "audio": audio,
                        "label": label,
                        "speaker": f"{label} {number}",
                        "recording": f"tape {number}",
                        "session": "one day" if number < 6 else "",
                    }
                )
    pd.DataFrame(rows["hub"]).to_csv(hub / "metadata.csv", index=False)
    packed.mkdir()
    pd.DataFrame(rows["packed"]).to_parquet(packed / "train-00000.parquet", index=False)
    sources = {
        "folders": {"origin": "folder", "path": "folders", "pattern": "{label}/{source}/*.wav", "labels": LABELS},
        "hub": {"origin": "manifest", "path": "hub", "labels": LABELS},
        "packed": {"origin": "manifest", "path": "packed", "labels": LABELS, "columns": {"source": "speaker"}},
        "mine": {"origin": "manifest", "path": "my recordings/mine.csv", "labels": LABELS},
    }
    tied = [f"folders:talk {number}" for number in range(0, 15, 3)]
    pairs = [f"{first},{second},one family" for first, second in itertools.pairwise(tied)]
    (checkout.folder / "ties.csv").write_text("\n".join(["source_a,source_b,why", *pairs]))
    settings = {"stimuli": {"durations_ms": [200], "snrs_db": [10]}, "resources": {"stimulus_shards": 1}}
    settings |= {"sources": sources, "splits": {"ties": ["ties.csv"]}}
    done = checkout.study(checkout.overlay(settings), "results/audit/grouped/report.md")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Look at the audits: results/audit/grouped/report.html" in done.stderr and "of processor time in" in done.stderr
    recordings = read_table(checkout.folder / "results/recordings/mine.parquet", RECORDINGS)
    assert recordings.groupby("source_id").size().to_dict() == {f"mine:{number}": 2 for number in [*range(100, 111), *range(200, 211)]}
    split, verdicts = audit_of(checkout)
    assert set(split.part) == {"train", "dev", "test"} and split.groupby("source_id").part.nunique().max() == 1
    assert len(set(split.part[split.source_id.isin(tied)])) == 1
    assert split.groupby("source_id").label.first().groupby(lambda source: source.split(":")[0]).size().to_dict() == dict.fromkeys(sources, 14) | {
        "mine": 22
    }
    assert verdicts["L01"] == verdicts["L02"] == verdicts["L03"] == verdicts["L04"] == verdicts["L13"] == verdicts["L18"] == "pass"
    of_that_day = split[split.source_id.str.match(r"packed:(talk|hum) [0-5]$")]
    assert len(set(of_that_day.source_id)) == 4 and len(set(of_that_day.part)) == 1
    of_tape = split[split.source_id.str.startswith("packed:")]
    assert of_tape.groupby(of_tape.source_id.str.split().str[-1]).part.nunique().eq(1).all()
