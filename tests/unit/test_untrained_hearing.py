"""L19: what an ear that was never trained can tell of the part."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet as parquet
import pytest

import audit_tuning as program
from earwitness.leakage.certificate import load_certificate
from earwitness.leakage.checks import shortcuts
from earwitness.leakage.checks.tuning import TuningInput, Untrained
from earwitness.leakage.checks.untrained_hearing import clearest
from earwitness.leakage.tuning_audit import checks
from earwitness.leakage.workers import one_thread_each
from earwitness.tables.columns import LABELS
from earwitness.tables.files import write_table
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI

L19 = next(check for check in checks() if check.id == "L19")
CORPORA = Path(__file__).parents[2] / "config" / "pretraining_corpora.csv"
SOURCES, WIDTH = 8, 80


@pytest.fixture(autouse=True)
def few_permutations(monkeypatch):
    monkeypatch.setattr(shortcuts, "PERMUTATIONS", 5)
    with one_thread_each():
        yield


def study() -> pd.DataFrame:
    """Per part and class 8 sources of 2 clips, each with a clean and a noisy stimulus."""
    rows = []
    for part in ("train", "dev", "test"):
        for label in LABELS:
            for source in range(SOURCES):
                for clip in range(2):
                    for snr_db in (np.nan, 0.0):
                        name = f"{part}-{label}-{source}-{clip}"
                        rows.append((f"{name}-{snr_db}", name, f"{part}-{label}-{source}", label, part, snr_db))
    table = pd.DataFrame(rows, columns=["stimulus_id", "clip_id", "source_id", "label", "part", "snr_db"])
    constant = {"category": "any", "noise_id": "none", "design": "factorial", "axis": "none", "duration_ms": 400, "band": "full", "room": "none"}
    constant |= {"normalisation": "peak", "achieved_snr_db": np.nan, "achieved_level_dbfs": -20.0, "segment_start_s": 0.0, "segment_end_s": 0.4}
    return table.assign(recording_id=table.source_id, **constant)[[*STIMULI.columns, "part"]].assign(session="")


def heard(stimuli: pd.DataFrame, elsewhere: pd.Series) -> pd.DataFrame:
    """Vectors of sources' own, and for those that were recorded elsewhere a direction of its own; noise hides either."""
    rng = np.random.default_rng(1)
    own = {source: rng.normal(size=WIDTH) for source in sorted(stimuli.source_id.unique())}
    vectors = np.stack([own[source] for source in stimuli.source_id]) + rng.normal(size=(len(stimuli), WIDTH))
    vectors[:, :20] += 3.0 * elsewhere.to_numpy(float)[:, None]
    vectors[stimuli.snr_db.notna().to_numpy()] = rng.normal(size=WIDTH)
    return pd.DataFrame(vectors, index=stimuli.stimulus_id.to_numpy())


def asked(stimuli: pd.DataFrame, *elsewhere: pd.Series) -> TuningInput:
    models = {f"model{k}": heard(stimuli, where) for k, where in enumerate(elsewhere)}
    return TuningInput(stimuli, "", [], {}, pd.Series(dtype=str), pd.DataFrame(), {}, {}, Untrained(stimuli, models, 0.75))


def test_parts_that_sound_alike_pass_and_what_adds_noise_is_not_heard():
    stimuli = study()
    finding = L19.run(asked(stimuli, stimuli.part.eq("nowhere")))
    assert finding.status == "pass" and finding.n_compared == 2 * 3 * SOURCES * 2 and finding.threshold == 0.75
    chosen = clearest(stimuli)
    assert chosen.snr_db.isna().all() and chosen.clip_id.is_unique and len(chosen) == len(stimuli) / 2
    shorter = stimuli.assign(duration_ms=np.where(stimuli.snr_db.isna(), 20, 400))
    assert clearest(shorter.assign(snr_db=5.0)).duration_ms.eq(400).all(), "of the same noise the longest"


def test_a_part_that_was_recorded_elsewhere_is_told_in_its_class_alone():
    stimuli = study()
    finding = L19.run(asked(stimuli, stimuli.part.ne("train") & stimuli.label.eq("SPEECH")))
    assert finding.status == "fail" and finding.reason.startswith("the part of SPEECH stimuli can be told of unseen sources with AUC")
    assert "NONSPEECH" not in finding.reason and finding.offenders.item_a.tolist() == ["model0"]


def test_of_several_models_the_one_whose_ear_tells_is_named():
    stimuli = study()
    finding = L19.run(asked(stimuli, stimuli.part.eq("nowhere"), stimuli.part.eq("train")))
    assert finding.status == "fail" and finding.reason.startswith("model1: the part of SPEECH") and "model0" not in finding.reason
    assert finding.offenders.item_a.tolist() == ["model1", "model1"]


def test_what_was_recorded_together_is_one_source():
    stimuli = study()
    together = stimuli.assign(session=np.where(stimuli.part == "train", "monday", stimuli.source_id))
    finding = L19.run(asked(together, together.part.eq("train")))
    assert finding.status == "not_run" and "one side has 1 sources, 6 are needed." in finding.remarks[0] and len(finding.remarks) == 2


def test_without_an_untrained_tower_nothing_is_said():
    data = replace(asked(study()), untrained=None)
    assert L19.run(data).reason == "no untrained tower was asked" and L19.severity == "warn"


def audit(folder: Path, *more: object) -> str:
    """Run the program on a study of one model in a folder; what it ends with."""
    words = [
        folder / "grouped.csv",
        "--recordings",
        folder / "recordings.parquet",
        "--corpora",
        CORPORA,
        "--models",
        "base",
        "--declared",
        "tiny base",
    ]
    words += ["--certificate", folder / "certificate.json", "--evidence", folder / "evidence.csv", *more]
    with patch.object(sys, "argv", ["audit_tuning", *map(str, words)]):
        try:
            program.main()
        except SystemExit as end:
            return str(end.code)
    return ""


def test_the_program_asks_the_towers_that_it_is_given(tmp_path):
    stimuli = study()
    write_table(tmp_path / "grouped.csv", stimuli[list(SPLIT.columns)], SPLIT)
    write_table(tmp_path / "index.parquet", stimuli[list(STIMULI.columns)], STIMULI)
    files = stimuli.drop_duplicates("recording_id")[["recording_id", "source_id", "label", "category"]]
    files = files.assign(dataset="own", path="a.wav", sha256="0" * 64, sample_rate=16_000, duration_s=1.0, licence="CC0", original="", session="")
    write_table(tmp_path / "recordings.parquet", files[list(RECORDINGS.columns)], RECORDINGS)
    vectors = heard(stimuli, stimuli.part.ne("train"))
    content = [vectors.index.tolist(), [row.astype(np.float32).tobytes() for row in vectors.to_numpy()]]
    parquet.write_table(pyarrow.table(content, names=["stimulus_id", "untrained"]), tmp_path / "controls.parquet")
    given = ("--untrained", tmp_path / "controls.parquet", "--index", tmp_path / "index.parquet")

    assert audit(tmp_path, *given[:2], "--auc-warn", 0.75).startswith("error: --untrained: name the index of its stimuli with --index")
    assert audit(tmp_path, *given, "--auc-warn", 0.75) == ""
    certificate = load_certificate(tmp_path / "certificate.json")
    entry = next(check for check in certificate["checks"] if check["id"] == "L19")
    assert entry["status"] == "fail" and entry["offenders"] == 2 and certificate["policy"]["settings"]["shortcut_auc_warn"] == 0.75
    assert {"index", "untrained"} <= {subject["role"] for subject in certificate["subject"]}
    assert json.loads((tmp_path / "certificate.json").read_text())["status"] == "pass", "a warning stops nothing"

    parquet.write_table(pyarrow.table([part[1:] for part in content], names=["stimulus_id", "untrained"]), tmp_path / "controls.parquet")
    assert f"lacks stimulus {stimuli.stimulus_id[0]} (1 such); run encode_controls again" in audit(tmp_path, *given, "--auc-warn", 0.75)
