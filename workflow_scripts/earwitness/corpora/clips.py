"""Which stretches of the recordings become clips, and cutting them as 16 kHz mono.

A source's clips depend on that source's recordings, the settings and the seed alone, never on what else there is.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.audio.files import describe, frame_blocks
from earwitness.audio.io import SAMPLE_RATE, Waveform, read_mono
from earwitness.core.errors import InputError
from earwitness.core.randomness import stream, stream_seed

FRAME_S = 0.02
ACTIVE_RANGE_DB = 30.0
"""A frame is active within this distance of the clip's loudest frame."""

MARGIN_S = 0.05
"""Read on both sides of a clip, so that the resampler's filter sees what it would see in the whole file."""

TRIALS_PER_CLIP = 8
"""Candidates that are listened to for every clip wanted."""


@dataclass(frozen=True)
class ClipSettings:
    """The `clips` settings of the configuration; times in seconds."""

    duration_s: float
    per_source: int
    collar_s: float
    min_gap_s: float
    min_level_dbfs: float
    min_active_fraction_speech: float
    min_active_fraction_sound: float


class Clip(NamedTuple):
    """A row of earwitness.tables.clips.CLIPS and its 16 kHz mono waveform, shape (round(duration_s * 16000),)."""

    row: dict[str, Any]
    samples: Waveform


def frame_levels(samples: npt.NDArray[np.floating], rate: int = SAMPLE_RATE) -> npt.NDArray[np.float64]:
    """RMS in dBFS of every whole 20 ms frame, shape (n_frames,); -inf for digital silence."""
    size = round(FRAME_S * rate)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(np.mean(np.square(frames, dtype=np.float64), axis=1))


def activity(samples: Waveform) -> tuple[float, float]:
    """Level of the loudest 20 ms frame, dBFS, and the share of frames within 30 dB of it (0 for digital silence)."""
    levels = frame_levels(samples)
    loudest = float(levels.max(initial=-np.inf))
    if loudest == -np.inf:
        return loudest, 0.0
    return loudest, float(np.mean(levels >= loudest - ACTIVE_RANGE_DB))


def cut(path: Path, sample_rate: int, start_ms: int, duration_s: float) -> Waveform:
    """The clip that starts at start_ms as 16 kHz mono, reading little more than the clip.

    sample_rate: the file's own. Reading starts where a sample of the file and one of its resampled version coincide, so
    the clip equals the same stretch of the resampled whole. A clip that overshoots full scale is scaled down to it.
    Returns float32, shape (round(duration_s * 16000),). Raises InputError where the file ends before the clip does.
    """
    length = round(duration_s * SAMPLE_RATE)
    grid = math.gcd(sample_rate, SAMPLE_RATE)
    start_s = start_ms / 1000
    read_from = max(0, math.floor((start_s - MARGIN_S) * grid)) / grid
    around = read_mono(path, read_from, start_s + duration_s + MARGIN_S)
    first = round((start_s - read_from) * SAMPLE_RATE)
    samples = around[first : first + length]
    missing = length - len(samples)
    if missing > SAMPLE_RATE // 1000:
        raise InputError(f"{path}: ends before {start_s + duration_s:.3f} s; it changed since it was catalogued: run the catalogue again")
    return np.pad(samples, (0, missing)) / np.float32(max(1.0, np.abs(samples).max()))


def speech_starts(stretches: list[tuple[float, float]], settings: ClipSettings, rng: np.random.Generator) -> list[int]:
    """Candidate starts in ms, in random order: disjoint windows, min_gap_s apart within a stretch, spread over all stretches.

    stretches: start and end in seconds, collar already cut. Every stretch is filled with as many windows as it holds; its
    spare time is shared out between them at random.
    """
    duration, gap = round(settings.duration_s * 1000), round(settings.min_gap_s * 1000)
    starts = []
    for start_s, end_s in stretches:
        start, end = math.ceil(start_s * 1000), math.floor(end_s * 1000)
        count = (end - start + gap) // (duration + gap)
        if count > 0:
            spare = end - start + gap - count * (duration + gap)
            offsets = np.sort(rng.integers(0, spare, size=count, endpoint=True))
            starts += [start + k * (duration + gap) + int(offset) for k, offset in enumerate(offsets)]
    return [starts[k] for k in rng.permutation(len(starts))]


def sound_starts(path: Path, stretches: list[tuple[float, float]], settings: ClipSettings) -> Iterator[int]:
    """Candidate starts in ms, the most energetic first: each window has its energy near its middle.

    Windows are ranked by their energy under a Hann window, and are min_gap_s apart. The file is read block by block.
    """
    power, frame_s = _frame_powers(path)
    width = max(1, math.ceil(settings.duration_s / frame_s))
    if len(power) < width:
        yield from (math.ceil(start * 1000) for start, end in stretches if end - start >= settings.duration_s)
        return
    score = np.convolve(power, np.hanning(width + 2)[1:-1], mode="valid")
    times = np.ceil(np.arange(len(score)) * frame_s * 1000).astype(int)
    ends = times + math.ceil(settings.duration_s * 1000)
    free = np.zeros(len(score), bool)
    for start, end in stretches:
        free |= (times >= start * 1000) & (ends <= end * 1000)
    spacing = (settings.duration_s + settings.min_gap_s) * 1000
    while free.any():
        best = int(np.argmax(np.where(free, score, -np.inf)))
        yield int(times[best])
        free &= np.abs(times - times[best]) >= spacing


def _frame_powers(path: Path) -> tuple[npt.NDArray[np.float64], float]:
    """Mean power over channels of every whole frame of about 20 ms, and the frame's exact length in seconds."""
    about = describe(path)
    size = max(1, round(FRAME_S * about.sample_rate))
    powers = [
        np.mean(np.square(block[: len(block) // size * size].reshape(-1, size * about.channels), dtype=np.float64), axis=1)
        for block in frame_blocks(path, size * 500)
    ]
    return np.concatenate(powers), size / about.sample_rate


def recording_clips(recording: pd.Series, stretches: list[tuple[float, float]], settings: ClipSettings, seed: int) -> list[Clip]:
    """Up to per_source clips of one recording, the best first; empty where nothing is long or active enough.

    recording: a row of earwitness.tables.recordings.RECORDINGS. stretches: its rows of SEGMENTS. Of speech, the candidates with the highest
    active fraction come first; of sounds, the most energetic.
    """
    speech = recording.label == "SPEECH"
    path = Path(recording.path)
    if speech:
        inside = [(start + settings.collar_s, end - settings.collar_s) for start, end in stretches]
        # Named by content: a copy under another name is cut alike, and the audit finds its clips to be duplicates.
        starts = iter(speech_starts(inside, settings, stream(seed, "select_clips", recording.sha256)))
        least_active = settings.min_active_fraction_speech
    else:
        starts = islice(sound_starts(path, stretches, settings), settings.per_source * TRIALS_PER_CLIP)
        least_active = settings.min_active_fraction_sound

    found: list[Clip] = []
    # Sounds come ranked by energy, so the first that pass are the best; speech is ranked by what is heard.
    wanted = settings.per_source * TRIALS_PER_CLIP if speech else settings.per_source
    for start_ms in starts:
        if len(found) == wanted:
            break
        samples = cut(path, int(recording.sample_rate), start_ms, settings.duration_s)
        loudest, active = activity(samples)
        if loudest >= settings.min_level_dbfs and active >= least_active:
            found.append(Clip(_row(recording, start_ms, settings.duration_s, active), samples))
    if speech:
        found.sort(key=lambda clip: -clip.row["active_fraction"])
    return _apart(found, settings)[: settings.per_source]


def _row(recording: pd.Series, start_ms: int, duration_s: float, active: float) -> dict[str, Any]:
    return {
        "clip_id": f"{recording.recording_id}@{start_ms}",
        "recording_id": recording.recording_id,
        "source_id": recording.source_id,
        "label": recording.label,
        "category": recording.category,
        "start_s": start_ms / 1000,
        "end_s": start_ms / 1000 + duration_s,
        "active_fraction": active,
    }


def _apart(clips: list[Clip], settings: ClipSettings) -> list[Clip]:
    """The clips, in order, that are min_gap_s away from all that were taken before; stretches can lie closer than that."""
    spacing = settings.duration_s + settings.min_gap_s - 1e-9
    taken: list[Clip] = []
    for clip in clips:
        if all(abs(clip.row["start_s"] - other.row["start_s"]) >= spacing for other in taken):
            taken.append(clip)
    return taken


def select_clips(
    recordings: pd.DataFrame, segments: pd.DataFrame, settings: ClipSettings, seed: int
) -> Iterator[tuple[str, list[Clip], Counter[str]]]:
    """Yield every source and class with its clips, in order of time within a recording, and how many of its recordings gave none and why.

    recordings, segments: earwitness.tables.recordings.RECORDINGS and SEGMENTS. A source with several recordings is visited in an order
    drawn per recording, and gives one clip of each before a second of any.
    Raises InputError where a recording can no longer be read.
    """
    whose = ["recording_id", "source_id", "label"]
    stretches = {key: list(zip(rows.start_s, rows.end_s, strict=True)) for key, rows in segments.groupby(whose)}
    for (source_id, _), group in recordings.groupby(["source_id", "label"], sort=True):
        order = sorted(range(len(group)), key=lambda k: stream_seed(seed, "select_clips", "order", group.recording_id.iloc[k]))
        offers: list[list[Clip]] = []
        idle: Counter[str] = Counter()
        for recording in (group.iloc[k] for k in order):
            own = stretches.get(tuple(recording[whose]), [])
            collar = settings.collar_s if recording.label == "SPEECH" else 0.0
            if not any(end - start - 2 * collar >= settings.duration_s for start, end in own):
                idle["too short"] += 1
                continue
            clips = recording_clips(recording, own, settings, seed)
            if not clips:
                idle["not active enough"] += 1
                continue
            offers.append(clips)
            if len(offers) == settings.per_source:
                break
        ranked = [clips[rank] for rank in range(settings.per_source) for clips in offers if rank < len(clips)]
        chosen = sorted(ranked[: settings.per_source], key=lambda clip: (clip.row["recording_id"], clip.row["start_s"]))
        yield str(source_id), chosen, idle
