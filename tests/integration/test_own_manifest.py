"""A study from a folder of WAV files and a table, through the workflow, as far as splits and audit."""

import json

import numpy as np
import pandas as pd
import soundfile

from earwitness.tables.files import read_table
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT

SPELLINGS = ("{}", " {} ", "{}.0")
RATES = (16_000, 22_050)


def write_recordings(folder):
    """Eleven sources of each class with two files each, their names spelled in two ways; and a table of them."""
    (folder / "wav").mkdir(parents=True)
    rows = []
    for label, first in (("talk", 100), ("hum", 200)):
        for number in range(first, first + 11):
            for take in range(2):
                rng = np.random.default_rng([number, take])
                rate = RATES[number % 2]
                t = np.arange(3 * rate) / rate
                noise = rng.standard_normal(len(t))
                carrier = noise if label == "talk" else np.sin(2 * np.pi * rng.uniform(100, 3000) * t + noise)
                name = f"wav/{rng.integers(10**9)}.wav"
                soundfile.write(folder / name, 0.2 * carrier * (1 + 0.5 * np.sin(2 * np.pi * 4 * t)) / 3, rate)
                rows.append((name, label, SPELLINGS[(number + take) % 3].format(number)))
    pd.DataFrame(rows, columns=["path", "label", "source"]).to_csv(folder / "mine.csv", index=False, sep=";")


def test_a_folder_and_a_table_become_a_grouped_split_with_its_audit(checkout):
    write_recordings(checkout.folder / "my recordings")
    own = {"origin": "manifest", "path": "my recordings/mine.csv", "labels": {"talk": "SPEECH", "hum": "NONSPEECH"}}
    settings = {"sources": {"mine": own}, "stimuli": {"durations_ms": [200], "snrs_db": [10]}, "resources": {"stimulus_shards": 1}}
    done = checkout.study(checkout.overlay(settings), "results/audit/grouped/report.md")
    assert done.returncode == 0, done.stdout + done.stderr
    recordings = read_table(checkout.folder / "results/recordings/mine.parquet", RECORDINGS)
    assert recordings.groupby("source_id").size().to_dict() == {f"mine:{number}": 2 for number in [*range(100, 111), *range(200, 211)]}
    split = read_table(checkout.folder / "results/splits/grouped.csv", SPLIT)
    assert set(split.source_id) == set(recordings.source_id), "nothing synthesised is mixed in"
    assert split.groupby("source_id").part.nunique().max() == 1
    assert set(split.part) == {"train", "dev", "test"}
    certificate = json.loads((checkout.folder / "results/audit/grouped/certificate.json").read_text())
    verdicts = {check["id"]: check["status"] for check in certificate["checks"]}
    assert verdicts["L01"] == verdicts["L18"] == verdicts["L13"] == "pass"
