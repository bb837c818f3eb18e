"""Stimuli that a base is made with: random stretches of the base corpus, and of recordings where they are given, presented as the study presents
its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from earwitness.audio.acoustics import amplitude
from earwitness.audio.io import SAMPLE_RATE, Waveform, read_mono
from earwitness.audio.window import Level, Window
from earwitness.core.progress import Progress
from earwitness.core.randomness import stream
from earwitness.corpora.layouts import audio_files, source_files
from earwitness.stimuli.design import StimulusDesign, factorial
from earwitness.stimuli.mixing import heard_stimulus
from earwitness.tables.columns import LABELS

CLIP_S = 1.0

LISTENED_S = 5.0
"""The most of a recorded stretch that one stimulus is looked for in."""

RECORDED_SHARE = 0.5
"""Of a class that recordings are given of, the share of its stimuli that are cut from them."""

SOFTEST_DB = 24.0
"""How far below the factorial set's level a sound may be; the baseline set is presented some 20 dB softer."""


@dataclass(frozen=True)
class BaseCorpus:
    """What a base learns from: speech in VoxConverse's layout and sounds in ESC-50's, presented in a window as the study's
    stimuli are.

    recorded: earwitness.model.learned_recordings.learned_stretches of recordings to learn from besides, None for none.
    """

    speech: Path
    sounds: Path
    window_ms: int
    recorded: pd.DataFrame | None = None

    def files(self) -> list[Path]:
        """Every file of the embedded corpus."""
        return list(map(Path, source_files("voxconverse", self.speech) + source_files("esc50", self.sounds)))

    def recorded_sources(self) -> dict[str, list[list[tuple[str, float, float]]]]:
        """Label -> the recorded stretches of every source: file, start and end in seconds."""
        sources: dict[str, list[list[tuple[str, float, float]]]] = {label: [] for label in LABELS}
        if self.recorded is not None:
            for (label, _), rows in self.recorded.groupby(["label", "source_id"]):
                sources[str(label)].append(list(zip(rows.path, rows.start_s, rows.end_s, strict=True)))
        return sources


@dataclass(frozen=True)
class TrainingStimulus:
    """waveform: 16 kHz mono, of the window's length. is_easy: at least 300 ms and 5 dB."""

    waveform: Waveform
    is_speech: bool
    is_easy: bool


def draw_stimuli(corpus: BaseCorpus, size: int, seed: int, program: str) -> Iterator[TrainingStimulus]:
    """`size` random stretches, speech and sounds in turn, at random durations (40 ms to 1 s, log-uniform), SNRs (-10 to 20 dB), noises
    and levels. Where there are recordings of a class, RECORDED_SHARE of its stimuli are cut from them, each source as often as another.

    program: names the random streams; each stimulus has its own.
    """
    material = {
        "SPEECH": [read_mono(path) for path in audio_files("voxconverse", corpus.speech)],
        "NONSPEECH": [read_mono(path) for path in audio_files("esc50", corpus.sounds)],
    }
    recorded = corpus.recorded_sources()
    for i in Progress(range(size), desc="making stimuli to learn from", unit="stimuli"):
        rng = stream(seed, program, "stimulus", i)
        label = "SPEECH" if i % 2 == 0 else "NONSPEECH"
        if recorded[label] and rng.random() < RECORDED_SHARE:
            samples = _random_stretch(_of_recording(recorded[label], rng), rng)
        else:
            samples = _random_stretch(material[label][rng.integers(len(material[label]))], rng)
        duration_ms, snr_db = round(float(np.exp(rng.uniform(np.log(40), np.log(1000))))), float(rng.uniform(-10, 20))
        design = StimulusDesign(
            conditions=factorial([duration_ms], [snr_db]),
            noise="white" if rng.random() < 0.5 else "pink",
            window=Window(corpus.window_ms, ramp_ms=5.0, floor_dbfs=-85.0, level=Level("peak", float(rng.uniform(-8, -0.5)))),
        )
        [condition] = design.conditions
        waveform = heard_stimulus(f"base-{i}", samples, condition, design, seed) * np.float32(amplitude(-rng.uniform(0, SOFTEST_DB)))
        yield TrainingStimulus(waveform, label == "SPEECH", duration_ms >= 300 and snr_db >= 5)


def _of_recording(sources: list[list[tuple[str, float, float]]], rng: np.random.Generator) -> Waveform:
    """Up to LISTENED_S of a random stretch of a random source."""
    stretches = sources[rng.integers(len(sources))]
    path, start_s, end_s = stretches[rng.integers(len(stretches))]
    first_s = rng.uniform(start_s, max(end_s - LISTENED_S, start_s))
    return read_mono(Path(path), first_s, min(first_s + LISTENED_S, end_s))


def _random_stretch(samples: Waveform, rng: np.random.Generator) -> Waveform:
    """A stretch of CLIP_S around a random 20 ms frame that is within 25 dB of the loudest."""
    frame = SAMPLE_RATE // 50
    power = np.square(samples[: len(samples) // frame * frame], dtype=np.float64).reshape(-1, frame).mean(axis=1)
    middle = int(rng.choice(np.flatnonzero(power >= power.max() * 10**-2.5))) * frame
    length = round(CLIP_S * SAMPLE_RATE)
    start = int(np.clip(middle - length // 2, 0, max(len(samples) - length, 0)))
    return samples[start : start + length]
