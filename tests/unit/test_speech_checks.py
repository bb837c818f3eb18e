import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

import numpy as np
import pandas as pd
import pytest
from spoken import spoken

from earwitness.leakage.audit_input import AuditInput, Policy
from earwitness.leakage.checks.speech_content import longest_run, speech_in_clips, speech_in_nonspeech

POLICY = Policy(**dict.fromkeys((key.name for key in fields(Policy)), 1) | {"speech_in_nonspeech_probability": 0.5})
RATE = 16_000


@dataclass(frozen=True, eq=False)
class InMemory(AuditInput):
    """Evidence whose clips are a dictionary of waveforms."""

    audio: dict[str, np.ndarray] = field(default_factory=dict)

    def clip_audio(self) -> Iterator[tuple[str, np.ndarray]]:
        return iter(self.audio.items())


def check(**clips: tuple[str, np.ndarray]):
    """The finding on clips, given as name=(label, waveform), each presented twice."""
    rows = [(name, f"source-{name}", label, "test") for name, (label, _) in clips.items()]
    stimuli = pd.DataFrame(rows * 2, columns=["clip_id", "source_id", "label", "part"])
    return speech_in_nonspeech(InMemory(stimuli, (), POLICY, audio={name: samples for name, (_, samples) in clips.items()}))


@pytest.fixture(scope="module")
def speech():
    return spoken(seconds=1.0)


@pytest.fixture(scope="module")
def noise():
    return 0.2 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)


def test_speech_is_speech_and_noise_is_not(speech, noise):
    finding = check(a=("SPEECH", speech), b=("NONSPEECH", noise))
    assert finding.status == "pass" and finding.n_compared == 2 and finding.statistic == 0


def test_a_speech_clip_labelled_nonspeech_is_listed_with_its_score(speech, noise):
    finding = check(a=("SPEECH", speech), b=("NONSPEECH", noise), c=("NONSPEECH", speech))
    assert finding.status == "fail" and finding.statistic == 1
    row = finding.offenders.iloc[0]
    assert (row.part_a, row.item_a, row.source_a) == ("test", "c", "source-c")
    heard = re.fullmatch(r"NONSPEECH, but (0\.\d\d) s of speech heard, probability up to (\d\.\d{3})", row.detail)
    assert heard is not None and float(heard[1]) > 0.5 and float(heard[2]) > 0.9
    assert finding.reason.startswith("1 of 2 NONSPEECH clips seem to hold speech; in 0 of 1 SPEECH clips")


def test_speech_somewhere_in_a_long_sound_is_found(speech, noise):
    mixed = np.concatenate([0.05 * noise, speech, 0.05 * noise])
    assert check(a=("NONSPEECH", mixed)).offenders.item_a.tolist() == ["a"]


def test_a_speech_clip_without_speech_is_listed_apart(speech, noise):
    finding = check(a=("SPEECH", noise), b=("SPEECH", speech))
    assert finding.status == "fail" and finding.offenders.item_a.tolist() == ["a"]
    assert finding.offenders.detail.iloc[0].startswith("SPEECH, but none heard")


def test_a_clip_too_short_to_hear_speech_in_is_not_called_silent(noise):
    assert check(a=("SPEECH", noise[: RATE // 10])).status == "pass"


def test_clips_without_audio_are_not_taken_as_compared(noise):
    stimuli = pd.DataFrame([("a", "s", "SPEECH", "test"), ("b", "t", "NONSPEECH", "test")], columns=["clip_id", "source_id", "label", "part"])
    finding = speech_in_nonspeech(InMemory(stimuli, (), POLICY, audio={"a": noise}))
    assert finding.status == "not_run" and finding.reason == "1 of 2 clips have no audio"


def test_what_is_heard_in_a_clip_does_not_depend_on_the_others(speech, noise):
    clips = [("a", speech), ("b", noise), ("c", speech[:5000]), ("d", speech)]
    together = pd.DataFrame(speech_in_clips(clips, 0.5)).set_index("clip_id")
    for name, samples in clips:
        (alone,) = speech_in_clips([(name, samples)], 0.5)
        assert alone.speech_s == together.speech_s[name] and alone.highest == pytest.approx(together.highest[name], abs=1e-4)
    assert together.duration_s["c"] == 5000 / RATE and together.speech_s["c"] <= 5000 / RATE


def test_the_longest_run_is_the_longest():
    assert longest_run(np.array([True, False, True, True, False])) == 2
    assert longest_run(np.zeros(3, bool)) == longest_run(np.zeros(0, bool)) == 0
