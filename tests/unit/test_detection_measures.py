"""Tuning on development recordings and measuring on test recordings, with the interval of an error rate."""

import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
from detector_folder import write_detector
from scipy import stats

import follow_recordings
import measure_detection
from earwitness.audio.io import SAMPLE_RATE
from earwitness.audio.streaming import mono_blocks
from earwitness.core.randomness import stream
from earwitness.corpora.annotated import AnnotatedRecording, annotated_recordings
from earwitness.detectors.folder import load_detector_folder
from earwitness.detectors.listener import trained_listener
from earwitness.detectors.measuring import error_rate_interval
from earwitness.detectors.segments import SegmentRule
from earwitness.detectors.tuning import Followed, tune_rule
from earwitness.evaluation.detection import DetectionErrors
from earwitness.tables.detection import DETECTION, DETECTION_ROC, DETECTION_TRACKS
from earwitness.tables.files import read_table, write_table
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT


@pytest.fixture
def study(tmp_path):
    """Four recordings with a second of noise in the middle, annotated as speech, and four of soft noise; a quarter in dev, the rest in test."""
    (tmp_path / "audio").mkdir()
    (tmp_path / "rttm").mkdir()
    recordings, split = [], []
    for label, number in [(label, number) for label in ("SPEECH", "NONSPEECH") for number in range(4)]:
        name, rng = f"{label.lower()}{number}", stream(1, label, number)
        samples = 0.001 * rng.standard_normal(3 * SAMPLE_RATE)
        if label == "SPEECH":
            samples[SAMPLE_RATE : 2 * SAMPLE_RATE] += 0.2 * rng.standard_normal(SAMPLE_RATE)
            (tmp_path / "rttm" / f"{name}.rttm").write_text(f"SPEAKER {name} 1 1.0 1.0 <NA> <NA> s <NA> <NA>\n")
        path = tmp_path / "audio" / f"{name}.wav"
        soundfile.write(path, samples, SAMPLE_RATE)
        recordings.append((name, "d", str(path), "0" * 64, SAMPLE_RATE, 3.0, name, label.lower(), label, "CC0", "", ""))
        split.append((f"{name}-0", name, name, label, "dev" if number < 1 else "test"))
    write_table(tmp_path / "recordings.parquet", pd.DataFrame(recordings, columns=list(RECORDINGS.columns)), RECORDINGS)
    write_table(tmp_path / "split.csv", pd.DataFrame(split, columns=list(SPLIT.columns)), SPLIT)
    return tmp_path


def drawn(study, part, seconds):
    tables = read_table(study / "recordings.parquet", RECORDINGS), read_table(study / "split.csv", SPLIT)
    return annotated_recordings(*tables, part, seconds, seed=1)


def test_recordings_of_one_part_are_drawn_as_many_seconds_of_each_kind(study):
    test = drawn(study, "test", 100)
    assert {one.recording_id for one in test} == {f"{kind}{number}" for kind in ("speech", "nonspeech") for number in (1, 2, 3)}
    assert all(one.speech == (((1.0, 2.0),) if one.recording_id.startswith("speech") else ()) for one in test)
    few = drawn(study, "test", 5)
    assert [one.recording_id.rstrip("0123456789") for one in few] == ["speech"] * 2 + ["nonspeech"] * 2
    (study / "rttm" / f"{few[0].recording_id}.rttm").unlink()
    annotated_recordings.__globals__["_rttm_below"].cache_clear()
    assert few[0] not in drawn(study, "test", 100), "what is not annotated is not judged"
    assert drawn(study, "test", 0) == []


def test_the_rule_with_the_fewest_wrong_seconds_is_found(tmp_path):
    # speech has 0.35, a pause of 0.2 s in it 0.02, noise 0.15, a blip of 0.1 s 0.9
    track = np.array([0.15] * 10 + [0.35] * 10 + [0.02] * 2 + [0.35] * 10 + [0.15] * 5 + [0.9] + [0.15] * 5)
    recording = AnnotatedRecording("r", tmp_path, 4.3, ("s",), ((1.0, 3.2),))
    tuned = tune_rule(Followed([recording], [track], 0.1))
    assert tuned.errors.error_rate == pytest.approx(0, abs=1e-9)
    assert 0.15 < tuned.rule.onset <= 0.35 and tuned.rule.min_speech_s > 0.1 and tuned.rule.min_silence_s > 0.2
    assert Followed([recording], [track], 0.1).errors(SegmentRule())[0] == pytest.approx((4.3, 2.2, 2.2, 0.1))


def test_the_interval_leaves_out_one_source_at_a_time():
    errors = [DetectionErrors(10, 5, missed, 1.0) for missed in (0.5, 1.0, 2.0, 0.5)]
    low, high = error_rate_interval(["a", "b", "c", "c"], errors, 0.95)
    left_out = np.array([6.5 / 15, 6.0 / 15, 3.5 / 10])
    rate = (4.0 + 4.0) / 20
    pseudo = 3 * rate - 2 * left_out
    half = stats.t.ppf(0.975, 2) * np.sqrt(np.sum((pseudo - rate) ** 2) / 6)
    assert high - rate == pytest.approx(half, rel=0.02) and low == pytest.approx(max(rate - half, 0), rel=0.02)
    assert np.isnan(error_rate_interval(["a", "b"], errors[:2], 0.95)).all()


def run(program, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [program.__name__, *map(str, arguments)])
    program.main()


def test_the_programs_tune_on_development_recordings_and_measure_on_test_recordings(study, folder, monkeypatch):
    (study / "detector").mkdir()
    detector = write_detector(study / "detector", folder)
    common = [
        "--recordings",
        study / "recordings.parquet",
        "--split",
        study / "split.csv",
        "--seconds",
        60,
        "--seed",
        1,
    ]
    model = ["--base", folder, "--threads", 1, "--segments", detector / "segments.json", "--tracks", study / "tracks.parquet"]
    run(follow_recordings, monkeypatch, detector, *common, *model)
    tuned = load_detector_folder(detector).following
    assert tuned.stretch_ms in (400, 240, 200) and tuned.step_ms == 100
    common += ["--confidence", 0.95, "--table", study / "detection.csv", "--roc", study / "roc.csv"]
    tracks = ["--tracks", study / "tracks.parquet"]
    run(measure_detection, monkeypatch, detector, *tracks, "--detectors", "energy", *common)
    table = read_table(study / "detection.csv", DETECTION).set_index(["system_id", "rule"])
    assert set(table.index) == {("energy", "own"), ("energy", "tuned"), ("attention-grouped-seed-1", "tuned")}
    energy = table.loc[("energy", "own")]
    assert (energy.n_recordings, energy.speech_s, energy.other_s) == (6, 3, 15)
    assert energy.error_rate < 0.1 and energy.roc_area > 0.99
    assert table.loc[("attention-grouped-seed-1", "tuned")].onset == tuned.rule.onset
    assert set(read_table(study / "roc.csv", DETECTION_ROC).system_id) == {"energy", "attention-grouped-seed-1"}
    heard = read_table(study / "tracks.parquet", DETECTION_TRACKS)
    assert set(heard.recording_id) == {f"{kind}{number}" for kind in ("speech", "nonspeech") for number in (1, 2, 3)}
    listener = trained_listener(load_detector_folder(detector), folder)
    first = drawn(study, "test", 60)[0]
    again = np.concatenate(list(listener.detector("again", tuned).follow(mono_blocks(first.path))))
    np.testing.assert_array_equal(heard[heard.recording_id == first.recording_id].probability, again)
    write_table(study / "tracks.parquet", heard[heard.recording_id != first.recording_id], DETECTION_TRACKS)
    with pytest.raises(SystemExit, match=f"recording {first.recording_id} .* was not followed; run follow_recordings again"):
        run(measure_detection, monkeypatch, detector, *tracks, *common)
    run(measure_detection, monkeypatch, *common, "--seconds", 0)
    assert read_table(study / "detection.csv", DETECTION).empty
