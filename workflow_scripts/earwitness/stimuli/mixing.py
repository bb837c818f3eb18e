"""How a stimulus is made: a clip's segment under a condition, in its window, at its level.

SNR is the power of the active part of the segment (`earwitness.audio.acoustics.active_samples`) over the power of the noise over
the whole segment. A condition's band limit comes first, on the whole clip; then the segment is cut, heard in the room, cut
again where it would ring on, and ramped; noise and level come last.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.signal import fftconvolve

from earwitness.audio.acoustics import (
    Samples,
    active_samples,
    limit_band,
    loudest_stretch,
    mean_square,
    peak_dbfs,
    power_ratio_db,
    samples_of,
    scale_to_snr,
)
from earwitness.audio.io import SAMPLE_RATE, Waveform, decode_flac
from earwitness.audio.rooms import room_response
from earwitness.audio.window import Level, Mixture, as_coded, coded
from earwitness.core.errors import InputError
from earwitness.core.files import atomic
from earwitness.core.progress import Progress
from earwitness.core.randomness import stream_seed
from earwitness.stimuli.design import TOLERANCE_DB, Condition, StimulusDesign
from earwitness.tables.audio import AudioTableWriter, iterate_audio
from earwitness.tables.clips import CLIPS
from earwitness.tables.stimuli import STIMULI

BANDS_HZ: dict[str, tuple[float, float] | None] = {"clean": None, "telephone": (300.0, 3_400.0), "am_radio": (100.0, 5_000.0)}
"""Band -> its edges. Telephone: the narrow band of ITU-T G.711 and G.712. AM radio: a broadcast channel of 10 kHz carries 5 kHz
of sound, and small receivers give little below 100 Hz."""

ROWS_PER_GROUP = 128
"""Stimuli held in memory at a time, and the row group of a shard."""


class ClippingError(InputError):
    """Stimuli that would clip; excess_db: stimulus -> its peak above full scale, in dB; level_dbfs: the RMS level asked for."""

    def __init__(self, excess_db: Mapping[str, float], level_dbfs: float) -> None:
        self.excess_db = excess_db
        worst = max(excess_db, key=lambda name: excess_db[name])
        more = f" (and {len(excess_db) - 1} more, by less)" if len(excess_db) > 1 else ""
        super().__init__(
            f"stimulus {worst} would clip{more}: its peak is {excess_db[worst]:.2f} dB above full scale at stimuli.rms_dbfs = {level_dbfs:g}; "
            f"set that to {np.floor(10 * (level_dbfs - excess_db[worst])) / 10:g} or lower, or stimuli.normalisation to peak"
        )


def make_clip_stimuli(clip: pd.Series, samples: Waveform, design: StimulusDesign, seed: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield a row of STIMULI and its FLAC bytes for every condition of the design.

    clip: a row of CLIPS. samples: its audio, 16 kHz mono, shape (n_samples,), full scale 1.
    The segment, the loudest stretch of its duration in the clip as it is, is the same in every condition of one
    duration. Noise and floor are drawn anew for every stimulus, from a stream named by clip and condition. Both level and
    SNR in the row are measured on the decoded FLAC; whatever sounds besides the segment (noise, floor, rounding) counts
    as noise. Where no noise is added, the SNR is NaN.
    Raises InputError where the clip is too short or silent, or where a level or an SNR cannot be met in 16-bit audio; ClippingError, of all
    conditions, where stimuli would clip.
    """
    clipped: dict[str, float] = {}
    starts = {duration_ms: _segment_start(clip.clip_id, samples, duration_ms) for duration_ms in {c.duration_ms for c in design.conditions}}
    for condition in design.conditions:
        start = starts[condition.duration_ms]
        try:
            mixed = _mix(clip.clip_id, samples, start, condition, design, seed)
        except ClippingError as error:
            clipped |= error.excess_db
            continue
        stored = _stored(mixed, condition.snr_db, design.window.level)
        start_s = clip.start_s + start / SAMPLE_RATE
        yield (
            {
                "stimulus_id": mixed.stimulus_id,
                **{name: clip[name] for name in ("clip_id", "recording_id", "source_id", "label", "category")},
                "noise_id": mixed.noise_id,
                **condition.columns,
                "normalisation": design.window.level.normalisation,
                "achieved_snr_db": stored.achieved_snr_db,
                "achieved_level_dbfs": stored.achieved_level_dbfs,
                "segment_start_s": start_s,
                "segment_end_s": start_s + len(mixed.segment) / SAMPLE_RATE,
            },
            stored.audio,
        )
    if clipped:
        raise ClippingError(clipped, design.window.level.level_dbfs)


def heard_stimulus(clip_id: str, samples: Waveform, condition: Condition, design: StimulusDesign, seed: int) -> Waveform:
    """What is read of a stimulus that make_clip_stimuli made, without storing it; its level and SNR are not measured.

    Raises InputError where the clip is too short or silent, or where the stimulus would clip.
    """
    return as_coded(_mix(clip_id, samples, _segment_start(clip_id, samples, condition.duration_ms), condition, design, seed).mixture.samples)


def _segment_start(clip_id: str, samples: Waveform, duration_ms: int) -> int:
    """First sample of the loudest stretch of a duration."""
    length = samples_of(duration_ms)
    # Resampling may leave a clip one sample short.
    if len(samples) < length - 1:
        raise InputError(
            f"clip {clip_id} lasts {len(samples) / SAMPLE_RATE:.3f} s, too short for a stimulus of {duration_ms} ms; "
            "raise clips.duration_s or lower stimuli.durations_ms"
        )
    return loudest_stretch(samples, length) if len(samples) > length else 0


def _heard_segment(samples: Waveform, start: int, length: int, condition: Condition) -> Samples:
    """A segment of the clip as the condition's band and room let it be heard, before ramps."""
    edges_hz = BANDS_HZ[condition.band]
    heard = samples.astype(np.float64) if edges_hz is None else limit_band(samples.astype(np.float64), *edges_hz)
    segment = np.zeros(length)
    segment[: len(heard)] = heard[start : start + length]
    if condition.room == "none":
        return segment
    return fftconvolve(segment, room_response(condition.room)[:length])[:length]


@dataclasses.dataclass(frozen=True)
class _Mixed:
    """A stimulus before it is stored: its ramped segment and noise, shape (n_samples,), which of these samples are active, and both in the window."""

    stimulus_id: str
    segment: Samples
    noise: Samples
    noise_id: str
    active: npt.NDArray[np.bool_]
    mixture: Mixture


def _mix(clip_id: str, samples: Waveform, start: int, condition: Condition, design: StimulusDesign, seed: int) -> _Mixed:
    """Segment and noise in the middle of the window, at the level asked for."""
    length = samples_of(condition.duration_ms)
    ramp = design.window.ramp(length)
    segment = _heard_segment(samples, start, length, condition) * ramp
    stimulus_id = f"{quote(clip_id, safe=' :+,=@')}@{condition.name}" + ("" if condition.snr_db is None else f"@{design.noise}")
    noise_seed = stream_seed(seed, "stimuli", clip_id, condition.name)
    if not mean_square(segment):
        raise InputError(f"stimulus {stimulus_id}: its clip is silent; leave it out with a higher clips.min_level_dbfs")
    rng = np.random.default_rng(noise_seed)
    active = active_samples(segment)
    noise, noise_id = np.zeros_like(segment), "none"
    if condition.snr_db is not None:
        drawn, noise_id = design.noises.draw(len(segment), noise_seed, rng)
        noise = scale_to_snr(drawn * ramp, mean_square(segment[active]), condition.snr_db)
    try:
        mixture = design.window.mixed(segment + noise, rng)
    except InputError as error:
        raise InputError(f"stimulus {stimulus_id}: {error}") from error
    if (excess := peak_dbfs(mixture.samples)) > 1e-9:
        raise ClippingError({stimulus_id: excess}, design.window.level.level_dbfs)
    return _Mixed(stimulus_id, segment, noise, noise_id, active, mixture)


@dataclasses.dataclass(frozen=True)
class _Stored:
    """A finished stimulus: FLAC bytes, achieved SNR and level."""

    audio: bytes
    achieved_snr_db: float
    achieved_level_dbfs: float


def _stored(mixed: _Mixed, snr_db: float | None, level: Level) -> _Stored:
    """A stimulus as it is stored, with the level and the SNR that it is found to have; snr_db: what was asked for."""
    audio = coded(mixed.mixture.samples)
    decoded = decode_flac(audio).astype(np.float64)
    achieved_level_dbfs = level.measured(decoded, mixed.mixture.during)
    if not abs(achieved_level_dbfs - level.level_dbfs) <= TOLERANCE_DB:
        raise InputError(
            f"stimulus {mixed.stimulus_id}: the achieved {level.normalisation} level is {achieved_level_dbfs:.2f} dBFS, asked for "
            f"{level.level_dbfs:g}, too soft for 16-bit audio; raise stimuli.{level.normalisation}_dbfs"
        )
    achieved_snr_db = np.nan
    if snr_db is not None:
        achieved_snr_db = _achieved_snr_db(decoded, mixed)
        if not abs(achieved_snr_db - snr_db) <= TOLERANCE_DB:
            raise InputError(
                f"stimulus {mixed.stimulus_id}: the achieved SNR is {achieved_snr_db:.2f} dB, asked for {snr_db:g}: "
                "the softer of segment and noise drowns in the floor; lower stimuli.floor_dbfs, or ask for a less extreme SNR"
            )
    return _Stored(audio, achieved_snr_db, achieved_level_dbfs)


def _achieved_snr_db(decoded: Samples, mixed: _Mixed) -> float:
    """What is left of the decoded stimulus without noise and floor, where active, over what is left without the segment."""
    mixture = mixed.mixture
    heard, floor = decoded[mixture.during], mixture.floor[mixture.during]
    return power_ratio_db((heard - floor - mixture.gain * mixed.noise)[mixed.active], heard - mixture.gain * mixed.segment)


def write_shard(clip_files: list[Path], output: Path, design: StimulusDesign, seed: int, clip_ids: Collection[str]) -> int:
    """Write the stimuli of some clips; return how many there are.

    clip_files: CLIPS tables with audio, which hold the clips called clip_ids.
    The same clips, design and seed give the same bytes. A shard without clips is a valid table without rows.
    Raises InputError as make_clip_stimuli does, and leaves no file then.
    """
    written = 0
    with atomic(output) as temporary, AudioTableWriter(temporary, STIMULI, allow_empty=True) as writer:
        stimuli = _stimuli_of(clip_files, design, seed, clip_ids)
        while group := list(islice(stimuli, ROWS_PER_GROUP)):
            rows = pd.DataFrame([row for row, _ in group])
            writer.write(rows, [audio for _, audio in group], [f"{name}.flac" for name in rows.stimulus_id])
            written += len(rows)
    return written


def _stimuli_of(clip_files: list[Path], design: StimulusDesign, seed: int, clip_ids: Collection[str]) -> Iterator[tuple[dict[str, Any], bytes]]:
    def is_wanted(clips: pd.DataFrame) -> pd.Series:
        return clips.clip_id.isin(clip_ids)

    clipped: dict[str, float] = {}
    with Progress(total=len(clip_ids), desc="making stimuli", unit="clips") as progress:
        for path in clip_files:
            for rows, waveforms in iterate_audio(path, CLIPS, keep=is_wanted):
                for (_, clip), samples in zip(rows.iterrows(), waveforms, strict=True):
                    try:
                        yield from make_clip_stimuli(clip, samples, design, seed)
                    except ClippingError as error:
                        # One message for all, so that one change of the level is enough.
                        clipped |= error.excess_db
                    progress.update()
    if clipped:
        raise ClippingError(clipped, design.window.level.level_dbfs)
