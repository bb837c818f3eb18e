"""Stimulus sets: clips under the conditions of a design, in a fixed window, at a fixed level, and their audit.

SNR is the power of the active part of the segment (`earwitness.audio.acoustics.active_samples`) over the power of the noise over
the whole segment. A condition's band limit comes first, on the whole clip; then the segment is cut, heard in the room, cut
again where it would ring on, and ramped; noise and level come last.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.signal import fftconvolve
from tqdm import tqdm

from earwitness.audio.acoustics import (
    Samples,
    active_samples,
    amplitude,
    coloured_noise,
    limit_band,
    loudest_stretch,
    mean_square,
    normalise_peak,
    normalise_rms,
    peak_dbfs,
    power_ratio_db,
    raised_cosine_ramp,
    scale_to_snr,
)
from earwitness.audio.io import SAMPLE_RATE, Waveform, dbfs, decode_flac, encode_flac
from earwitness.audio.noises import NoiseKind, Noises
from earwitness.core.errors import InputError
from earwitness.core.files import atomic
from earwitness.core.randomness import stream_seed
from earwitness.stimuli.conditions import BANDS_HZ, Condition, factorial, grid, room_response
from earwitness.tables.audio import AudioTableWriter, iterate_audio
from earwitness.tables.clips import CLIPS
from earwitness.tables.columns import LABELS
from earwitness.tables.files import read_table, validate
from earwitness.tables.stimuli import STIMULI

TOLERANCE_DB = 0.1
"""How far an achieved SNR or level may be from the request."""

LOWEST_FLOOR_DBFS = -90.0
"""About one step of 16-bit audio; a lower floor would be rounded to digital silence."""

ROWS_PER_GROUP = 128
"""Stimuli held in memory at a time, and the row group of a shard."""

CONDITION = ["design", "axis", "duration_ms", "snr_db", "band", "room"]
"""Columns of STIMULI that tell the conditions of a design apart."""


@dataclasses.dataclass(frozen=True)
class StimulusDesign:
    """What a set of stimuli asks for.

    conditions: what every clip is presented in. noise: what is added where a condition has an SNR; noise_recordings: the
    folder that recorded noise comes from. window_ms, ramp_ms: milliseconds. The levels are in dB relative to full scale:
    floor_dbfs is the RMS of the noise floor over the window, peak_dbfs the peak of a whole stimulus, rms_dbfs the RMS of
    a stimulus over its segment; normalisation says which of the last two holds.
    Raises InputError where the settings contradict each other.
    """

    conditions: tuple[Condition, ...]
    noise: NoiseKind
    window_ms: int
    floor_dbfs: float
    ramp_ms: float
    normalisation: Literal["peak", "rms"]
    peak_dbfs: float
    rms_dbfs: float
    noise_recordings: str | None = None

    def __post_init__(self) -> None:
        durations = [condition.duration_ms for condition in self.conditions]
        if self.floor_dbfs < LOWEST_FLOOR_DBFS:
            raise InputError(
                f"stimuli.floor_dbfs = {self.floor_dbfs:g}: 16-bit audio rounds this floor to silence; set it to at least {LOWEST_FLOOR_DBFS:g}"
            )
        if 2 * self.ramp_ms > min(durations):
            raise InputError(
                f"stimuli.ramp_ms = {self.ramp_ms:g}: two ramps do not fit into the shortest stimulus; set it to at most {min(durations) / 2:g}"
            )
        if max(durations) > self.window_ms:
            raise InputError(f"stimuli.window_ms = {self.window_ms}: shorter than the longest stimulus; set it to at least {max(durations)}")

    @property
    def level_dbfs(self) -> float:
        """The level that every stimulus is brought to."""
        return self.peak_dbfs if self.normalisation == "peak" else self.rms_dbfs

    @cached_property
    def noises(self) -> Noises:
        """What the noise is drawn from; a folder of recordings is listed the first time."""
        return Noises(self.noise, Path(self.noise_recordings) if self.noise_recordings else None)


_PRESENTATION = [field.name for field in dataclasses.fields(StimulusDesign) if field.name != "conditions"]


def factorial_design(settings: Mapping[str, Any]) -> StimulusDesign:
    """The factorial set: every duration at every SNR. settings: the `stimuli` section of the configuration."""
    return StimulusDesign(factorial(settings["durations_ms"], settings["snrs_db"]), **{name: settings[name] for name in _PRESENTATION})


def baseline_design(settings: Mapping[str, Any]) -> StimulusDesign:
    """The psychoacoustic baseline: the grid of single conditions and the stratified set.

    settings: the `baseline` section of the configuration, and what it shares with the `stimuli` section.
    """
    conditions = grid(settings["durations_ms"], settings["snrs_db"], settings["bands"], settings["rooms"])
    stratified = settings["stratified"]
    conditions += factorial(stratified["durations_ms"], stratified["snrs_db"], prefix="stratified@")
    return StimulusDesign(conditions, **{name: settings[name] for name in _PRESENTATION})


DESIGNS: dict[str, Callable[[Mapping[str, Any]], StimulusDesign]] = {"factorial": factorial_design, "baseline": baseline_design}
"""By the name of the set of stimuli."""


def samples_of(milliseconds: float) -> int:
    """Samples in a stretch of time at 16 kHz."""
    return round(milliseconds * SAMPLE_RATE / 1000)


def shard_of(clip_id: str, shards: int) -> int:
    """The shard, in 0..shards-1, of a clip and all its stimuli; it does not depend on the other clips."""
    return stream_seed(0, "shard", clip_id) % shards


def shard_clips(clip_ids: Collection[str], shard: int, shards: int) -> set[str]:
    """Those of the clips whose stimuli belong to one shard."""
    return {clip_id for clip_id in clip_ids if shard_of(clip_id, shards) == shard}


def choose_clips(clips: pd.DataFrame, counts: Mapping[str, int], seed: int) -> list[str]:
    """Draw clips of each class: one of every source before a second of any.

    clips: CLIPS. counts: label -> how many. Every source and clip has its place in an order of its own, so another source
    moves at most one clip of its class. Returns clip ids.
    Raises InputError where a class has fewer clips.
    """
    keyed = clips.assign(
        clip_order=clips.clip_id.map(lambda clip_id: stream_seed(seed, "make_baseline_stimuli", "clip", clip_id)),
        source_order=clips.source_id.map(lambda source_id: stream_seed(seed, "make_baseline_stimuli", "source", source_id)),
    ).sort_values("clip_order")
    keyed["turn"] = keyed.groupby("source_id").cumcount()
    keyed = keyed.sort_values(["turn", "source_order"])
    chosen: list[str] = []
    for label, count in counts.items():
        of_label = keyed.clip_id[keyed.label == label]
        if len(of_label) < count:
            raise InputError(
                f"the baseline needs {count} {label} clips, its data sets have {len(of_label)}; add recordings, raise clips.per_source, "
                f"or lower baseline.{'speech' if label == 'SPEECH' else 'sound'}_clips"
            )
        chosen += of_label.head(count).tolist()
    return chosen


def make_clip_stimuli(clip: pd.Series, samples: Waveform, design: StimulusDesign, seed: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield a row of STIMULI and its FLAC bytes for every condition of the design.

    clip: a row of CLIPS. samples: its audio, 16 kHz mono, shape (n_samples,), full scale 1.
    The segment, the loudest stretch of its duration in the clip as it is, is the same in every condition of one
    duration. Noise and floor are drawn anew for every stimulus, from a stream named by clip and condition. Both level and
    SNR in the row are measured on the decoded FLAC; whatever sounds besides the segment (noise, floor, rounding) counts
    as noise. Where no noise is added, the SNR is NaN.
    Raises InputError where the clip is too short or silent, or where a level or an SNR cannot be met in 16-bit audio.
    """
    starts = {duration_ms: _segment_start(clip.clip_id, samples, duration_ms) for duration_ms in {c.duration_ms for c in design.conditions}}
    for condition in design.conditions:
        length, start = samples_of(condition.duration_ms), starts[condition.duration_ms]
        ramp = raised_cosine_ramp(length, samples_of(design.ramp_ms))
        segment = _heard_segment(samples, start, length, condition) * ramp
        stimulus_id = f"{quote(clip.clip_id, safe=' :+,=@')}@{condition.name}" + ("" if condition.snr_db is None else f"@{design.noise}")
        noise_seed = stream_seed(seed, "stimuli", clip.clip_id, condition.name)
        mixed = _mix(stimulus_id, segment, ramp, condition.snr_db, design, noise_seed)
        start_s = clip.start_s + start / SAMPLE_RATE
        yield (
            {
                "stimulus_id": stimulus_id,
                **{name: clip[name] for name in ("clip_id", "recording_id", "source_id", "label", "category")},
                "noise_id": mixed.noise_id,
                **condition.columns,
                "normalisation": design.normalisation,
                "achieved_snr_db": mixed.achieved_snr_db,
                "achieved_level_dbfs": mixed.achieved_level_dbfs,
                "segment_start_s": start_s,
                "segment_end_s": start_s + length / SAMPLE_RATE,
            },
            mixed.audio,
        )


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
    """A finished stimulus: FLAC bytes, the noise in it, achieved SNR and level."""

    audio: bytes
    noise_id: str
    achieved_snr_db: float
    achieved_level_dbfs: float


def _mix(stimulus_id: str, segment: Samples, ramp: Samples, snr_db: float | None, design: StimulusDesign, noise_seed: int) -> _Mixed:
    """Segment and noise in the middle of the window, at the level asked for."""
    if not mean_square(segment):
        raise InputError(f"stimulus {stimulus_id}: its clip is silent; leave it out with a higher clips.min_level_dbfs")
    rng = np.random.default_rng(noise_seed)
    active = active_samples(segment)
    noise, noise_id = np.zeros_like(segment), "none"
    if snr_db is not None:
        drawn, noise_id = design.noises.draw(len(segment), noise_seed, rng)
        noise = scale_to_snr(drawn * ramp, mean_square(segment[active]), snr_db)
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
    if not abs(achieved_level_dbfs - design.level_dbfs) <= TOLERANCE_DB:
        raise InputError(
            f"stimulus {stimulus_id}: the achieved {design.normalisation} level is {achieved_level_dbfs:.2f} dBFS, asked for {design.level_dbfs:g}, "
            f"too soft for 16-bit audio; raise stimuli.{design.normalisation}_dbfs"
        )
    achieved_snr_db = np.nan
    if snr_db is not None:
        achieved_snr_db = _achieved_snr_db(decoded[during], gain * segment, gain * noise, floor[during], active)
        if not abs(achieved_snr_db - snr_db) <= TOLERANCE_DB:
            raise InputError(
                f"stimulus {stimulus_id}: the achieved SNR is {achieved_snr_db:.2f} dB, asked for {snr_db:g}: "
                "the softer of segment and noise drowns in the floor; lower stimuli.floor_dbfs, or ask for a less extreme SNR"
            )
    return _Mixed(audio, noise_id, achieved_snr_db, achieved_level_dbfs)


def _achieved_snr_db(decoded: Samples, segment: Samples, noise: Samples, floor: Samples, active: npt.NDArray[np.bool_]) -> float:
    """What is left of the decoded stimulus without noise and floor, where active, over what is left without the segment."""
    return power_ratio_db((decoded - floor - noise)[active], decoded - segment)


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

    with tqdm(total=len(clip_ids), desc="making", unit="clip", mininterval=5) as progress:
        for path in clip_files:
            for rows, waveforms in iterate_audio(path, CLIPS, keep=is_wanted):
                for (_, clip), samples in zip(rows.iterrows(), waveforms, strict=True):
                    yield from make_clip_stimuli(clip, samples, design, seed)
                    progress.update()


def audit_stimuli(shards: list[Path], design: StimulusDesign) -> pd.DataFrame:
    """The rows of all shards (STIMULI, sorted by stimulus_id), checked against what the design asks for.

    Raises InputError naming the stimulus where two have one name or an SNR or level is off by more than 0.1 dB, and
    naming the class and condition where one has no stimulus.
    """
    index = pd.concat([read_table(path, STIMULI) for path in shards], ignore_index=True).sort_values("stimulus_id", ignore_index=True)
    if index.empty:
        raise InputError("there are no stimuli: no clip was selected; check sources and clips in the configuration, and results/recordings")
    if (twice := index.stimulus_id.duplicated()).any():
        raise InputError(f"stimulus {index.stimulus_id[twice].iloc[0]} was made more than once; two clips have the same clip_id")

    noisy = index.snr_db.notna()
    for what, achieved, asked in (
        ("SNR", index.achieved_snr_db[noisy], index.snr_db[noisy]),
        ("level", index.achieved_level_dbfs, pd.Series(design.level_dbfs, index.index)),
    ):
        error = (achieved - asked).abs()
        off = error[~(error <= TOLERANCE_DB)]
        if len(off):
            raise InputError(
                f"stimulus {index.stimulus_id[off.index[0]]}: its {what} is {off.iloc[0]:.2f} dB from the request, {len(off)} stimuli in all; "
                "make the shards again with the settings of this run"
            )
    _require_every_condition(index, design)
    return validate(index, STIMULI)


def _require_every_condition(index: pd.DataFrame, design: StimulusDesign) -> None:
    asked = pd.DataFrame([{"label": label, **condition.columns} for label in LABELS for condition in design.conditions])
    made = index[["label", *CONDITION]].drop_duplicates()
    both = asked.merge(made, on=["label", *CONDITION], how="outer", indicator=True)
    for row in both[both._merge != "both"].to_dict("records"):
        noise = "no noise" if np.isnan(row["snr_db"]) else f"{row['snr_db']:g} dB"
        cell = f"{row['label']} {{}} at {row['duration_ms']} ms, {noise}, band {row['band']}, room {row['room']}"
        if row["_merge"] == "right_only":
            raise InputError(f"there are {cell.format('stimuli')}, which the design does not ask for; make the shards again")
        raise InputError(f"there is no {cell.format('stimulus')}; check that sources with {row['label']} recordings are on, and the clips settings")
