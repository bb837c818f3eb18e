import io
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from earwitness.audio.io import SAMPLE_RATE
from earwitness.core.randomness import stream
from earwitness.leakage.audit_input import AuditInput, in_batches
from earwitness.leakage.checks.near_duplicates import near_duplicate_audio
from earwitness.leakage.disguises import over
from earwitness.leakage.fingerprints import comparison
from earwitness.leakage.fingerprints.alignment import MIN_SUPPORTED_INFORMATION, aligned_correlation
from earwitness.leakage.fingerprints.comparison import correlated_pairs, fingerprinted
from earwitness.leakage.fingerprints.grouping import Origin, Pair, copies_among
from earwitness.leakage.fingerprints.landmarks import Landmarks
from earwitness.leakage.fingerprints.speed import SPEEDS, relative_speed
from earwitness.leakage.workers import Workers

THRESHOLD = 0.6
SHIFT = 4800
"""Samples: 300 ms, the largest shift that must be found; it is 37.5 hops, the worst case for the frames."""


def voice(rng: np.random.Generator, pitch_hz: float, seconds: float = 1.0) -> np.ndarray:
    """A gliding harmonic tone through moving resonances, in syllables, with breath noise."""
    n = round(seconds * SAMPLE_RATE)
    walk = np.cumsum(rng.normal(size=n // 400 + 2))
    pitch = pitch_hz * 2 ** (np.interp(np.arange(n) / 400, np.arange(len(walk)), walk) / 25)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    buzz = sum(np.sin(k * phase + rng.uniform(0, 6)) / np.sqrt(k) for k in range(1, 25)) + 0.2 * rng.normal(size=n)
    spoken = [
        signal.lfilter([1], np.poly(0.97 * np.exp(2j * np.pi * np.array([f, -f]) / SAMPLE_RATE)).real, buzz[k : k + 1600])
        for k, f in zip(range(0, n, 1600), rng.uniform(300, 2500, size=n // 1600 + 1), strict=False)
    ]
    return finished(np.concatenate([syllable * np.hanning(len(syllable)) for syllable in spoken]))


def rain(rng: np.random.Generator) -> np.ndarray:
    return finished(rng.normal(size=SAMPLE_RATE))


def ticks(rng: np.random.Generator) -> np.ndarray:
    """A ticking clock: one tick, repeated, over the room's noise."""
    tick = rng.normal(size=200) * np.exp(-np.arange(200) / rng.uniform(20, 50))
    sound = 0.03 * rng.normal(size=SAMPLE_RATE)
    for start in range(int(rng.integers(500, 3000)), SAMPLE_RATE - 200, 4000):
        sound[start : start + 200] += tick
    return finished(sound)


def engine(rng: np.random.Generator) -> np.ndarray:
    low = signal.sosfilt(signal.butter(4, rng.uniform(300, 600), fs=SAMPLE_RATE, output="sos"), rng.normal(size=SAMPLE_RATE))
    return finished(
        low * (1.2 + signal.sawtooth(2 * np.pi * rng.uniform(8, 30) * np.arange(SAMPLE_RATE) / SAMPLE_RATE)) + 0.01 * rng.normal(size=SAMPLE_RATE)
    )


def chirps(rng: np.random.Generator) -> np.ndarray:
    """A trill of short gliding tones, most of it above 3 kHz."""
    time_s = np.arange(500) / SAMPLE_RATE
    sound = 0.01 * rng.normal(size=SAMPLE_RATE)
    for start in rng.integers(0, SAMPLE_RATE - 500, size=25):
        sound[start : start + 500] += np.hanning(500) * signal.chirp(time_s, rng.uniform(2000, 5000), time_s[-1], rng.uniform(2500, 7000))
    return finished(sound)


def siren(rng: np.random.Generator) -> np.ndarray:
    """One tone at a pitch that all sirens share."""
    return finished(np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE + rng.uniform(0, 6)) + 0.02 * rng.normal(size=SAMPLE_RATE))


def finished(sound: np.ndarray) -> np.ndarray:
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


SOUNDS = {
    "low voice": lambda rng: voice(rng, 110),
    "high voice": lambda rng: voice(rng, 220),
    "rain": rain,
    "clock": ticks,
    "engine": engine,
    "birds": chirps,
}


def resampled(sound: np.ndarray, rate: int) -> np.ndarray:
    return soxr.resample(soxr.resample(sound, SAMPLE_RATE, rate), rate, SAMPLE_RATE).astype(np.float32)


def coded(sound: np.ndarray, container: str, subtype: str) -> np.ndarray:
    file = io.BytesIO()
    soundfile.write(file, sound, SAMPLE_RATE, format=container, subtype=subtype)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def noisy(sound: np.ndarray, snr_db: float = 10) -> np.ndarray:
    noise = np.random.default_rng(99).normal(size=len(sound))
    return (sound + noise * np.sqrt(np.mean(sound**2)) * 10 ** (-snr_db / 20)).astype(np.float32)


def test_an_inverted_copy_lies_where_it_lies_and_is_told():
    """Where the correlation is negative, its place is that of the lowest value, not of the highest near it."""
    sound = np.random.default_rng(3).normal(size=SAMPLE_RATE).astype(np.float32) / 8
    found = aligned_correlation(sound[1000:], -0.7 * sound, -1000)
    assert found.correlation == pytest.approx(1.0, abs=1e-3)
    assert (found.lag, found.inverted) == (-1000.0, True)


COPIES = {
    "quieter": lambda sound: sound / 10,
    "inverted": lambda sound: -0.7 * sound,
    "louder and clipped": lambda sound: np.clip(3 * sound, -1, 1),
    "later": lambda sound: np.concatenate([np.zeros(SHIFT, np.float32), sound[:-SHIFT]]),
    "earlier": lambda sound: sound[SHIFT:],
    "at half the rate": lambda sound: resampled(sound, 8000),
    "at 44.1 kHz": lambda sound: resampled(sound, 44_100),
    "noise at 10 dB": noisy,
    "Ogg Vorbis": lambda sound: coded(sound, "OGG", "VORBIS"),
    "MP3": lambda sound: coded(sound, "MP3", "MPEG_LAYER_III"),
    "telephone": lambda sound: coded(resampled(sound, 8000), "WAV", "ULAW"),
    "several at once": lambda sound: noisy(coded(sound / 3, "MP3", "MPEG_LAYER_III")[1234:], 15),
}


IN_NOISE = ("noise at 10 dB", "several at once")
"""Of pure glides little but their onsets is stable in noise, so one copy in eighteen may be missed."""


def pairs_of(audio: list[tuple[str, np.ndarray]], parts: dict[str, int]) -> list[Pair]:
    def over_audio(function, only):
        return map(function, in_batches(named for named in audio if only is None or named[0] in only))

    return correlated_pairs(over_audio, fingerprinted(over_audio, len(audio), "clips"), parts, "clips", Workers())


def duplicates(train: dict, test: dict) -> list[Pair]:
    parts = dict.fromkeys(train, 1) | dict.fromkeys(test, 2)
    return [pair for pair in pairs_of([*train.items(), *test.items()], parts) if pair.alone(THRESHOLD)]


def takes(count: int, names=SOUNDS) -> dict[str, np.ndarray]:
    return {f"{name} {take}": SOUNDS[name](stream(1, name, take)) for name in names for take in range(count)}


FIRST = ("inverted", "later", "MP3", "several at once")


@pytest.mark.parametrize("change", [change if change in FIRST else pytest.param(change, marks=pytest.mark.slow) for change in COPIES])
def test_changed_copies_of_every_kind_of_sound_are_found_and_nothing_else(change):
    originals = takes(3)
    found = duplicates(originals, {f"copy of {name}": COPIES[change](sound) for name, sound in originals.items()})
    pairs = {frozenset((pair.item_a, pair.item_b)) for pair in found}
    copied = {frozenset((f"copy of {name}", name)) for name in originals}
    assert pairs <= copied and len(pairs) >= len(copied) - (change in IN_NOISE)


def test_other_takes_of_the_same_kinds_of_sound_are_not_near_duplicates():
    every = takes(16)
    names = list(every)
    assert duplicates({name: every[name] for name in names[::2]}, {name: every[name] for name in names[1::2]}) == []


def test_a_copy_that_begins_after_the_loudest_event_is_found():
    quiet, burst = 0.02 * voice(stream(6, "voice"), 150), 0.9 * rain(stream(6, "burst"))[:SHIFT]
    original = np.concatenate([burst, quiet])[:SAMPLE_RATE]
    assert len(duplicates({"original": original}, {"copy": original[SHIFT:]})) == 1


def rumble(rng: np.random.Generator) -> np.ndarray:
    return finished(signal.sosfilt(signal.butter(2, (40, 160), "bandpass", fs=SAMPLE_RATE, output="sos"), rng.normal(size=SAMPLE_RATE)))


def test_a_rumble_is_found_in_noise_that_buries_all_but_its_lowest_octaves():
    rumbles = {f"rumble {k}": rumble(stream(7, k)) for k in range(20)}
    found = duplicates(rumbles, {f"copy of {name}": noisy(sound) for name, sound in rumbles.items()})
    pairs = {(pair.item_a, pair.item_b) for pair in found}
    assert pairs <= {(f"copy of {name}", name) for name in rumbles} and len(pairs) >= 19


def test_one_tone_in_common_is_not_a_copy():
    first, second = siren(stream(1, "a")), siren(stream(1, "b"))
    raw = np.abs(signal.correlate(first, second)).max() / np.sqrt(np.sum(first**2) * np.sum(second**2))
    assert raw > 0.9 and aligned_correlation(first, second, 0).correlation == 0


def test_another_sentence_of_the_same_speaker_is_not_a_copy():
    sentences = {f"sentence {k}": voice(stream(2, k), 120) for k in range(30)}
    names = list(sentences)
    assert duplicates({name: sentences[name] for name in names[:15]}, {name: sentences[name] for name in names[15:]}) == []


@given(st.integers(0, 10_000), st.sampled_from(sorted(SOUNDS)), st.floats(-SHIFT, SHIFT), st.floats(0.05, 1.0))
@settings(max_examples=25)
def test_any_gain_and_any_shift_up_to_300_ms_is_found_with_the_shift_named(seed, name, by, gain):
    original, shift = SOUNDS[name](stream(seed, "original")), round(by)
    copy = gain * np.concatenate([np.zeros(max(shift, 0), np.float32), original[max(-shift, 0) :]])[:SAMPLE_RATE]
    (pair,) = duplicates({"b original": original}, {"a copy": copy})
    assert pair.shift_s == pytest.approx(shift / SAMPLE_RATE, abs=1e-3) and 0.9 < pair.correlation <= 1


@given(st.permutations(sorted(takes(1))))
@settings(max_examples=5)
def test_the_order_of_the_audio_does_not_matter(order):
    originals = takes(1)
    audio = originals | {f"copy of {name}": noisy(originals[name]) for name in originals}
    parts = {name: 2 if name.startswith("copy") else 1 for name in audio}
    ordered = [*order, *(name for name in audio if name not in order)][::-1]
    first, again = (pairs_of([(name, audio[name]) for name in names], parts) for names in (list(audio), ordered))
    assert first == again and len(first) >= len(originals)


def test_copies_within_a_part_are_no_leak_and_a_piece_of_audio_is_no_copy_of_itself():
    sound = rain(stream(1, "rain"))
    assert pairs_of([("a", sound), ("b", noisy(sound))], {"a": 1, "b": 1}) == []
    assert pairs_of([("a", sound)], {"a": 3}) == []
    assert len(pairs_of([("a", sound), ("b", noisy(sound))], {"a": 3, "b": 1})) == 1


def test_silence_and_nothing_are_compared_without_an_alarm():
    silence = {"silence": np.zeros(SAMPLE_RATE, np.float32), "nothing": np.zeros(0, np.float32), "one sample": np.ones(1, np.float32)}
    assert duplicates(silence, {f"other {name}": sound for name, sound in silence.items()}) == []
    assert pairs_of([], {}) == []


@pytest.mark.parametrize("speed", [0.99, 1.01])
def test_a_copy_at_another_speed_is_found_and_the_speed_named(speed):
    voices = {f"voice {k}": voice(stream(9, k), 110 + 20 * k, 3.0) for k in range(6)}
    copies = {f"copy of {name}": soxr.resample(sound, SAMPLE_RATE * speed, SAMPLE_RATE).astype(np.float32) for name, sound in voices.items()}
    found = duplicates(voices, copies)
    assert {(pair.item_a, pair.item_b) for pair in found} == {(f"copy of {name}", name) for name in voices}
    assert all(pair.speed == pytest.approx(1 / speed, abs=5e-4) for pair in found)


@pytest.mark.filterwarnings("error")
def test_landmarks_of_one_moment_tell_no_speed():
    speed = float(SPEEDS[-1])
    bins = np.arange(150, 400, 10)
    one = np.zeros(len(bins), np.int64)
    click, faster = (Landmarks(np.full(len(bins), 5.0), np.rint(bins * factor).astype(np.int64), one) for factor in (1.0, speed))
    assert relative_speed(click, faster, 5.0 - 5.0 * speed) is None
    tone, quicker = (Landmarks(np.arange(len(bins)) * 40.0 / factor, np.rint(bins * factor).astype(np.int64), one) for factor in (1.0, speed))
    assert relative_speed(tone, quicker, 0.0) == pytest.approx((speed, 0.0), abs=1e-6)


def test_most_sounds_are_found_under_another_as_loud():
    originals = takes(3)
    names = list(originals)
    others = dict(zip(names, [*names[3:], *names[:3]], strict=True))
    mixed = {f"{name} under {other}": over(originals[name], originals[other], 0) for name, other in others.items()}
    found = {(name, mixture) for pair in duplicates(originals, mixed) for name, mixture in [sorted((pair.item_a, pair.item_b), key=len)]}
    heard = {(name, f"{name} under {other}") for name, other in others.items()} | {(other, f"{name} under {other}") for name, other in others.items()}
    assert found <= heard and len(found) >= len(heard) / 2


def test_a_copy_that_many_clips_share_is_still_found():
    jingle = voice(stream(3, "jingle"), 150)
    train = {f"train {k}": noisy(jingle, 30) for k in range(150)}
    found = duplicates(train, {"test": jingle / 2})
    assert any("test" in (pair.item_a, pair.item_b) for pair in found)


@pytest.mark.slow
def test_two_thousand_clips_take_seconds_and_raise_no_alarm():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(2000, SAMPLE_RATE)).astype(np.float32) * 0.1
    start = time.process_time()
    found = duplicates({f"a{k}": table[k] for k in range(1000)}, {f"b{k}": table[k] for k in range(1000, 2000)} | {"copy": noisy(table[7])})
    assert [(pair.item_a, pair.item_b) for pair in found] == [("a7", "copy")]
    assert time.process_time() - start < 20


def weak(item_a: str, item_b: str, information: float = 0.6 * MIN_SUPPORTED_INFORMATION, correlation: float = 0.9) -> Pair:
    return Pair(item_a, item_b, correlation, 0.0, information)


ORIGINS = {f"{source}{k}{variant}": Origin(source, f"{source}{k}") for source in "abc" for k in range(3) for variant in ("", "'")}


def test_weak_pairs_of_two_sources_are_copies_together_and_no_other():
    both = [weak("a0", "b0"), weak("a1", "b2")]
    assert copies_among(both, ORIGINS, THRESHOLD) == both
    assert copies_among([weak("a0", "b0"), weak("a1", "c0")], ORIGINS, THRESHOLD) == [], "of other sources"
    assert copies_among([weak("a0", "b0"), weak("a0'", "b1"), weak("a0", "b2")], ORIGINS, THRESHOLD) == [], "of one stretch"
    assert copies_among([weak("a0", "b0"), weak("a1", "b1", correlation=0.5)], ORIGINS, THRESHOLD) == [], "too different"
    assert copies_among([weak("a0", "b0", MIN_SUPPORTED_INFORMATION)], ORIGINS, THRESHOLD) != [], "enough alone"


def test_short_pieces_in_noise_that_tell_too_little_alone_tell_together():
    voices = takes(8, ["low voice"])
    pieces = {f"{name}/{start}": sound[start : start + 6400] for name, sound in voices.items() for start in (0, 6400)}
    copies = {f"copy of {name}": noisy(piece, 5) for name, piece in pieces.items()}
    pairs = pairs_of([*pieces.items(), *copies.items()], dict.fromkeys(pieces, 1) | dict.fromkeys(copies, 2))
    origins = {name: Origin(name.split("/")[0], name) for name in (*pieces, *copies)}

    def sources(found: list[Pair]) -> set[tuple[str, str]]:
        return {(origins[pair.item_a].source, origins[pair.item_b].source) for pair in found}

    alone, together = sources([pair for pair in pairs if pair.alone(THRESHOLD)]), sources(copies_among(pairs, origins, THRESHOLD))
    assert len(alone) < len(together) and alone <= together <= {(f"copy of {name}", name) for name in voices}


@pytest.fixture
def policy():
    return SimpleNamespace(near_duplicate_correlation=THRESHOLD)


def evidence_of(recordings: pd.DataFrame, policy) -> AuditInput:
    rows = [
        (f"{name}-s", f"{name}-c", name, f"source of {name}", part, 100.0)
        for name, part in zip(recordings.recording_id, recordings.part, strict=True)
    ]
    stimuli = pd.DataFrame(rows, columns=["stimulus_id", "clip_id", "recording_id", "source_id", "part", "duration_ms"])

    class Rain(AuditInput):
        def clip_audio(self):
            return ((clip_id, rain(stream(8, clip_id))) for clip_id in self.stimuli.clip_id)

    return Rain(stimuli, (), policy, recordings=recordings)


def test_a_recording_under_two_names_is_found_wherever_its_clips_were_cut(tmp_path, policy):
    long = np.concatenate([voice(stream(4, k), 130, 5.0) for k in range(5)])
    soundfile.write(tmp_path / "one.wav", long, SAMPLE_RATE)
    soundfile.write(tmp_path / "two.ogg", soxr.resample(0.4 * long[37_000:], SAMPLE_RATE, 44_100), 44_100)
    soundfile.write(tmp_path / "other.wav", np.concatenate([voice(stream(5, k), 130, 5.0) for k in range(5)]), SAMPLE_RATE)
    names = ["one.wav", "two.ogg", "other.wav"]
    recordings = pd.DataFrame({"recording_id": names, "path": [str(tmp_path / name) for name in names], "part": ["train", "test", "test"]})
    finding = near_duplicate_audio(evidence_of(recordings, policy))
    row = finding.offenders.iloc[0]
    assert finding.status == "fail" and len(finding.offenders) == 1 and finding.n_compared == 6
    assert (row.part_a, row.item_a, row.part_b, row.item_b) == ("test", "two.ogg", "train", "one.wav")
    assert (row.source_a, row.source_b) == ("source of two.ogg", "source of one.wav")
    assert "recordings, correlation" in row.detail and "-2.31" in row.detail


def test_recordings_whose_files_are_gone_are_not_counted_as_compared(tmp_path, policy):
    recordings = pd.DataFrame({"recording_id": ["a", "b"], "path": [str(tmp_path / "a.wav")] * 2, "part": ["train", "test"]})
    finding = near_duplicate_audio(evidence_of(recordings, policy))
    assert finding.status == "pass" and finding.n_compared == 2


def test_candidates_that_do_not_fit_into_memory_are_verified_in_turns(monkeypatch):
    originals = takes(2)
    copies = {f"copy of {name}": sound / 2 for name, sound in originals.items()}
    at_once = duplicates(originals, copies)
    monkeypatch.setattr(comparison, "HELD_S", 3)
    assert duplicates(originals, copies) == at_once and len(at_once) == len(originals)
