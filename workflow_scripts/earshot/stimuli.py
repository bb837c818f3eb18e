"""The factorial stimuli: every clip at every duration and signal-to-noise ratio, in a fixed window, at a fixed level."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import pandas as pd
from tqdm import tqdm

from earshot.acoustics import (
    NoiseKind,
    Samples,
    amplitude,
    coloured_noise,
    loudest_stretch,
    mean_square,
    normalise_peak,
    normalise_rms,
    peak_dbfs,
    power_ratio_db,
    raised_cosine_ramp,
    scale_to_snr,
)
from earshot.audio import SAMPLE_RATE, Waveform, dbfs, decode_flac, encode_flac
from earshot.errors import InputError
from earshot.files import atomic
from earshot.randomness import stream_seed
from earshot.tables import CLIPS, LABELS, STIMULI, AudioTableWriter, iterate_audio, read_table, validate

TOLERANCE_DB = 0.1
"""How far an achieved SNR or level may be from the request."""

LOWEST_FLOOR_DBFS = -90.0
"""About one step of 16-bit audio; a lower floor would be rounded to digital silence."""

ROWS_PER_GROUP = 128
"""Stimuli held in memory at a time, and the row group of a shard."""


@dataclasses.dataclass(frozen=True)
class FactorialDesign:
    """What a factorial set asks for; the fields are the `stimuli` section of the configuration.

    durations_ms, window_ms, ramp_ms: milliseconds. snrs_db: dB. The levels are in dB relative to full scale:
    floor_dbfs is the RMS of the noise floor over the window, peak_dbfs the peak of a whole stimulus, rms_dbfs the RMS of
    a stimulus over its segment; normalisation says which of the last two holds.
    Raises InputError where the settings contradict each other.
    """

    durations_ms: list[int]
    snrs_db: list[float]
    noise: NoiseKind
    window_ms: int
    floor_dbfs: float
    ramp_ms: float
    normalisation: Literal["peak", "rms"]
    peak_dbfs: float
    rms_dbfs: float

    def __post_init__(self) -> None:
        if self.floor_dbfs < LOWEST_FLOOR_DBFS:
            raise InputError(
                f"stimuli.floor_dbfs = {self.floor_dbfs:g}: 16-bit audio rounds this floor to silence; set it to at least {LOWEST_FLOOR_DBFS:g}"
            )
        if 2 * self.ramp_ms > min(self.durations_ms):
            raise InputError(
                f"stimuli.ramp_ms = {self.ramp_ms:g}: two ramps do not fit into the shortest stimulus; "
                f"set it to at most {min(self.durations_ms) / 2:g}"
            )
        if max(self.durations_ms) > self.window_ms:
            raise InputError(f"stimuli.window_ms = {self.window_ms}: shorter than the longest stimulus; set it to at least {max(self.durations_ms)}")

    @property
    def level_dbfs(self) -> float:
        """The level that every stimulus is brought to."""
        return self.peak_dbfs if self.normalisation == "peak" else self.rms_dbfs


def samples_of(milliseconds: float) -> int:
    """Samples in a stretch of time at 16 kHz."""
    return round(milliseconds * SAMPLE_RATE / 1000)


def shard_of(clip_id: str, shards: int) -> int:
    """The shard, in 0..shards-1, of a clip and all its stimuli; it does not depend on the other clips."""
    return stream_seed(0, "shard", clip_id) % shards


def make_clip_stimuli(clip: pd.Series, samples: Waveform, design: FactorialDesign, seed: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield a row of STIMULI and its FLAC bytes for every duration and SNR of one clip.

    clip: a row of CLIPS. samples: its audio, 16 kHz mono, shape (n_samples,), full scale 1.
    The segment, the loudest stretch of its duration, is the same at every SNR. Noise and floor are drawn anew for every
    stimulus, from a stream named by clip, duration and SNR. Both level and SNR in the row are measured on the decoded
    FLAC; whatever sounds besides the segment (noise, floor, rounding) counts as noise.
    Raises InputError where the clip is too short or silent, or where a level or an SNR cannot be met in 16-bit audio.
    """
    for duration_ms in design.durations_ms:
        length = samples_of(duration_ms)
        # Resampling may leave a clip one sample short.
        if len(samples) < length - 1:
            raise InputError(
                f"clip {clip.clip_id} lasts {len(samples) / SAMPLE_RATE:.3f} s, too short for a stimulus of {duration_ms} ms; "
                "raise clips.duration_s or lower stimuli.durations_ms"
            )
        start = loudest_stretch(samples, length) if len(samples) > length else 0
        ramp = raised_cosine_ramp(length, samples_of(design.ramp_ms))
        segment = np.zeros(length)
        segment[: len(samples)] = samples[start : start + length]
        segment *= ramp
        for snr_db in design.snrs_db:
            condition = f"{duration_ms}ms@{snr_db + 0.0:g}dB"
            stimulus_id = f"{quote(clip.clip_id, safe=' :+,=@')}@{condition}@{design.noise}"
            noise_seed = stream_seed(seed, "factorial_stimuli", clip.clip_id, condition)
            audio, achieved_snr_db, achieved_level_dbfs = _mix(stimulus_id, segment, ramp, snr_db, design, np.random.default_rng(noise_seed))
            start_s = clip.start_s + start / SAMPLE_RATE
            yield (
                {
                    "stimulus_id": stimulus_id,
                    **{name: clip[name] for name in ("clip_id", "recording_id", "source_id", "label", "category")},
                    "noise_id": f"{design.noise}:{noise_seed:016x}",
                    "design": "factorial",
                    "axis": "duration_x_snr",
                    "duration_ms": duration_ms,
                    "snr_db": snr_db,
                    "band": "clean",
                    "room": "none",
                    "normalisation": design.normalisation,
                    "achieved_snr_db": achieved_snr_db,
                    "achieved_level_dbfs": achieved_level_dbfs,
                    "segment_start_s": start_s,
                    "segment_end_s": start_s + length / SAMPLE_RATE,
                },
                audio,
            )


def _mix(
    stimulus_id: str, segment: Samples, ramp: Samples, snr_db: float, design: FactorialDesign, rng: np.random.Generator
) -> tuple[bytes, float, float]:
    """Segment and noise in the middle of the window, at the level asked for: FLAC bytes, achieved SNR and level."""
    if not mean_square(segment):
        raise InputError(f"stimulus {stimulus_id}: its clip is silent; leave it out with a higher clips.min_level_dbfs")
    noise = scale_to_snr(coloured_noise(design.noise, len(segment), rng) * ramp, segment, snr_db)
    floor = amplitude(design.floor_dbfs) * coloured_noise("white", samples_of(design.window_ms), rng)
    first = (len(floor) - len(segment)) // 2
    during = slice(first, first + len(segment))

    mixture = np.zeros_like(floor)
    mixture[during] = segment + noise

    try:
        if design.normalisation == "peak":
            gain = normalise_peak(mixture, floor, design.peak_dbfs)
        else:
            gain = normalise_rms(mixture[during], floor[during], design.rms_dbfs)
    except InputError as error:
        raise InputError(f"stimulus {stimulus_id}: {error}") from error
    window = gain * mixture + floor
    if (excess := peak_dbfs(window)) > 1e-9:
        raise InputError(
            f"stimulus {stimulus_id} would clip: its peak is {excess:.1f} dB above full scale at stimuli.rms_dbfs = {design.rms_dbfs:g}; "
            f"set that to {np.floor(10 * (design.rms_dbfs - excess)) / 10:g} or lower, or stimuli.normalisation to peak"
        )

    audio = encode_flac(window.astype(np.float32))
    decoded = decode_flac(audio).astype(np.float64)
    achieved_level_dbfs = peak_dbfs(decoded) if design.normalisation == "peak" else dbfs(decoded[during])
    achieved_snr_db = power_ratio_db(decoded[during] - floor[during] - gain * noise, decoded[during] - gain * segment)
    if not abs(achieved_snr_db - snr_db) <= TOLERANCE_DB:
        raise InputError(
            f"stimulus {stimulus_id}: the achieved SNR is {achieved_snr_db:.2f} dB, asked for {snr_db:g}: "
            "the softer of segment and noise drowns in the floor; lower stimuli.floor_dbfs, or ask for a less extreme SNR"
        )
    if not abs(achieved_level_dbfs - design.level_dbfs) <= TOLERANCE_DB:
        raise InputError(
            f"stimulus {stimulus_id}: the achieved {design.normalisation} level is {achieved_level_dbfs:.2f} dBFS, asked for {design.level_dbfs:g}, "
            f"too soft for 16-bit audio; raise stimuli.{design.normalisation}_dbfs"
        )
    return audio, achieved_snr_db, achieved_level_dbfs


def write_factorial_shard(clip_files: list[Path], output: Path, design: FactorialDesign, seed: int, shard: int, shards: int) -> int:
    """Write the stimuli of every clip that belongs to one shard; return how many there are.

    clip_files: CLIPS tables with audio. shard: in 0..shards-1.
    The same clips, design and seed give the same bytes. A shard without clips is a valid table without rows.
    Raises InputError as make_clip_stimuli does, and leaves no file then.
    """
    written = 0
    with atomic(output) as temporary, AudioTableWriter(temporary, STIMULI, allow_empty=True) as writer:
        stimuli = _shard_stimuli(clip_files, design, seed, shard, shards)
        while group := list(itertools.islice(stimuli, ROWS_PER_GROUP)):
            rows = pd.DataFrame([row for row, _ in group])
            writer.write(rows, [audio for _, audio in group], [f"{name}.flac" for name in rows.stimulus_id])
            written += len(rows)
    return written


def _shard_stimuli(clip_files: list[Path], design: FactorialDesign, seed: int, shard: int, shards: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    def in_shard(clips: pd.DataFrame) -> pd.Series:
        return clips.clip_id.map(lambda clip_id: shard_of(clip_id, shards) == shard).astype(bool)

    clips = sum(int(in_shard(read_table(path, CLIPS)).sum()) for path in clip_files)
    with tqdm(total=clips, desc=f"shard {shard}", unit="clip", mininterval=5) as progress:
        for path in clip_files:
            for rows, waveforms in iterate_audio(path, CLIPS, keep=in_shard):
                for (_, clip), samples in zip(rows.iterrows(), waveforms, strict=True):
                    yield from make_clip_stimuli(clip, samples, design, seed)
                    progress.update()


def audit_stimuli(shards: list[Path], design: FactorialDesign) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check what was achieved against what the design asks for.

    Returns the rows of all shards (STIMULI, sorted by stimulus_id) and a summary per class and condition (STIMULUS_SUMMARY).
    Raises InputError naming the stimulus where two have one name or an SNR or level is off by more than 0.1 dB, and
    naming the class and condition where one has no stimulus.
    """
    index = pd.concat([read_table(path, STIMULI) for path in shards], ignore_index=True).sort_values("stimulus_id", ignore_index=True)
    if index.empty:
        raise InputError("there are no stimuli: no clip was selected; check sources and clips in the configuration, and results/recordings")
    if (twice := index.stimulus_id.duplicated()).any():
        raise InputError(f"stimulus {index.stimulus_id[twice].iloc[0]} was made more than once; two clips have the same clip_id")

    errors = index.assign(
        snr_error_db=(index.achieved_snr_db - index.snr_db).abs(), level_error_db=(index.achieved_level_dbfs - design.level_dbfs).abs()
    )
    for name, what in (("snr_error_db", "SNR"), ("level_error_db", "level")):
        off = errors[~(errors[name] <= TOLERANCE_DB)]
        if len(off):
            raise InputError(
                f"stimulus {off.stimulus_id.iloc[0]}: its {what} is {off[name].iloc[0]:.2f} dB from the request, {len(off)} stimuli in all; "
                "make the shards again with the settings of this run"
            )

    summary = (
        errors.groupby(["label", "duration_ms", "snr_db"])
        .agg(
            n=("stimulus_id", "size"),
            n_sources=("source_id", "nunique"),
            max_abs_snr_error_db=("snr_error_db", "max"),
            max_abs_level_error_db=("level_error_db", "max"),
        )
        .reset_index()
    )
    made = set(summary[["label", "duration_ms", "snr_db"]].itertuples(index=False, name=None))
    asked = set(itertools.product(LABELS, design.durations_ms, map(float, design.snrs_db)))
    for label, duration_ms, snr_db in sorted(asked ^ made):
        cell = f"{duration_ms} ms, {snr_db:g} dB"
        if (label, duration_ms, snr_db) in made:
            raise InputError(f"there are {label} stimuli at {cell}, which the design does not ask for; make the shards again")
        raise InputError(f"class {label} has no stimulus at {cell}; check that sources with {label} recordings are on, and the clips settings")
    return validate(index, STIMULI), summary
