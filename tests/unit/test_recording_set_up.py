"""What a recording set-up leaves in the background, and whether parts or classes can be told by it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from earwitness.audio.io import SAMPLE_RATE
from earwitness.config import complete_config
from earwitness.leakage.audit import checks
from earwitness.leakage.audit_input import AuditInput, Policy
from earwitness.leakage.checks import shortcuts
from earwitness.leakage.checks.recording_set_up import set_up_features
from earwitness.leakage.manifests import Columns, audited_manifests

L17 = next(check for check in checks() if check.id == "L17")
SOURCES = 8


def scene(seed: int, hum_hz: float | None = None) -> np.ndarray:
    """A second with a loud event in the middle, over a background of noise of some level, and hum where wanted."""
    rng = np.random.default_rng(seed)
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    loud = np.exp(-(((time - 0.5) / 0.1) ** 2)) * rng.normal(0, 0.2, SAMPLE_RATE)
    hum = 0.0 if hum_hz is None else 0.003 * np.sin(2 * np.pi * (hum_hz * time + rng.random()))
    return loud + rng.normal(0, 10 ** rng.uniform(-4, -3), SAMPLE_RATE) + hum


def recorded(folder: Path, hum: dict[tuple[str, str], float]) -> AuditInput:
    """Clips of 8 sources of each class in both parts; hum: part and class -> frequency of the hum of its set-up, in Hz."""
    manifests = {}
    for k, part in enumerate(("train", "test")):
        rows = []
        for j, label in enumerate(("SPEECH", "NONSPEECH")):
            for source in range(SOURCES):
                for take in range(2):
                    name = f"{part}-{label}-{source}-{take}.flac"
                    sound = scene(1000 * k + 100 * j + 2 * source + take, hum.get((part, label)))
                    soundfile.write(folder / name, sound, SAMPLE_RATE)
                    rows.append((name, label, f"{part}-{label}-{source}", f"{part}-{label}-{source}-{take}"))
        manifests[part] = folder / f"{part}.csv"
        pd.DataFrame(rows, columns=["path", "label", "group", "recording"]).to_csv(manifests[part], index=False)
    settings = complete_config({})["audit"]
    del settings["waivers"]
    return audited_manifests(manifests, Columns(), Policy.from_settings(settings), folder).data


@pytest.fixture(autouse=True)
def few_permutations(monkeypatch):
    monkeypatch.setattr(shortcuts, "PERMUTATIONS", 8)


def test_the_background_is_measured_where_it_is_quiet():
    rng = np.random.default_rng(1)
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    sound = np.where(time < 0.8, rng.normal(0, 0.3, SAMPLE_RATE), 0.01 * np.sqrt(2) * np.sin(2 * np.pi * 3250 * time))
    features = set_up_features(np.concatenate([sound, np.zeros(4000)]).astype(np.float32))
    assert features["background_dbfs"] == pytest.approx(-40, abs=0.5)
    bands = {name: value for name, value in features.items() if name.endswith("_hz_db")}
    assert len(bands) == 16 and max(bands, key=bands.get) == "background_3000_hz_db"
    assert features["digital_silence_share"] == pytest.approx(4000 / 20000, abs=0.001)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_word_length_and_offset_are_those_of_the_recorder(bits):
    rng = np.random.default_rng(2)
    steps = 2.0 ** (1 - bits)
    features = set_up_features((np.round(rng.normal(0, 0.1, SAMPLE_RATE) / steps) * steps + 0.25).astype(np.float32))
    assert features["word_length_bits"] == bits and features["offset"] == pytest.approx(0.25, abs=0.003)


@pytest.mark.parametrize("sound", [np.zeros(800), np.ones(800), np.zeros(100), np.array([0.5])])
def test_sounds_without_a_background_have_finite_features(sound):
    assert np.isfinite(list(set_up_features(sound.astype(np.float32)).values())).all()


def test_one_set_up_for_all_passes(tmp_path):
    finding = L17.run(recorded(tmp_path, {}))
    assert finding.status == "pass" and finding.n_compared == 2 * 32 + 64


def test_a_part_that_was_recorded_elsewhere_is_told_by_its_background(tmp_path):
    finding = L17.run(recorded(tmp_path, {("test", "SPEECH"): 5200.0, ("test", "NONSPEECH"): 5200.0}))
    assert finding.status == "fail" and "the part of SPEECH clips can be told of unseen sources with AUC" in finding.reason
    assert "the part of NONSPEECH clips" in finding.reason and "the class" not in finding.reason
    hum = finding.offenders[finding.offenders.item_a == "background_5000_hz_db"]
    assert hum.detail.iloc[0] == "the part of SPEECH clips: AUC 1.000 alone, higher in the other parts"


def test_a_class_that_was_recorded_elsewhere_is_told_by_its_background(tmp_path):
    finding = L17.run(recorded(tmp_path, {(part, "NONSPEECH"): 5200.0 for part in ("train", "test")}))
    assert finding.status == "fail" and finding.reason.startswith("the class can be told") and "the part" not in finding.reason


def test_a_session_in_two_parts_is_named(tmp_path):
    data = recorded(tmp_path, {})
    recordings = data.recordings.assign(session=[f"day {k % 20}" for k in range(len(data.recordings))])
    finding = L17.run(replace(data, recordings=recordings))
    assert finding.status == "fail" and "sessions are in several parts" in finding.reason
    assert finding.offenders.detail.str.contains("session day 3; ").sum() == 1


def test_too_few_sources_are_not_judged(tmp_path):
    data = recorded(tmp_path, {})
    kept = data.stimuli[data.stimuli.source_id.str.contains("-[0-3]$")].reset_index(drop=True)
    finding = L17.run(replace(data, stimuli=kept))
    assert finding.status == "pass" and finding.n_compared == 32
    assert "Whether the part of SPEECH clips can be told is not judged: one side has 4 sources, 6 are needed." in finding.remarks
