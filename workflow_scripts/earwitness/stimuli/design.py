"""What a set of stimuli asks for: its conditions of duration, noise, band and room, the window, and the clips that it is made of."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from earwitness.audio.noise_names import RECORDED_NOISES
from earwitness.audio.noises import NoiseKind, Noises
from earwitness.audio.window import Window, window_of
from earwitness.core.errors import InputError
from earwitness.core.randomness import stream_seed
from earwitness.corpora.noise_recordings import noise_recordings

TOLERANCE_DB = 0.1
"""How far an achieved SNR or level may be from the request."""

LOWEST_FLOOR_DBFS = -90.0
"""About one step of 16-bit audio; a lower floor would be rounded to digital silence."""

CONDITION = ["design", "axis", "duration_ms", "snr_db", "band", "room"]
"""Columns of STIMULI that tell the conditions of a design apart."""


@dataclass(frozen=True)
class Condition:
    """One condition of a design, with the values of STIMULI's columns; snr_db None means that no noise is added."""

    name: str
    design: Literal["grid", "factorial"]
    axis: Literal["reference", "duration", "snr", "band", "room", "duration_x_snr"]
    duration_ms: int
    snr_db: float | None = None
    band: str = "clean"
    room: str = "none"

    @property
    def columns(self) -> dict[str, str | int | float]:
        """Columns of STIMULI that tell conditions apart."""
        return {
            "design": self.design,
            "axis": self.axis,
            "duration_ms": self.duration_ms,
            "snr_db": np.nan if self.snr_db is None else float(self.snr_db),
            "band": self.band,
            "room": self.room,
        }


def factorial(durations_ms: Sequence[int], snrs_db: Sequence[float], prefix: str = "") -> tuple[Condition, ...]:
    """Every duration at every SNR; the prefix sets the names of one set apart from those of another."""
    return tuple(
        Condition(f"{prefix}{duration}ms@{snr_db + 0.0:g}dB", "factorial", "duration_x_snr", duration, snr_db)
        for duration in durations_ms
        for snr_db in snrs_db
    )


def grid(durations_ms: Sequence[int], snrs_db: Sequence[float], bands: Sequence[str], rooms: Sequence[str]) -> tuple[Condition, ...]:
    """The unmodified reference, and every value of one axis at a time with the rest as in the reference.

    The reference has the longest duration, no noise, the whole band and no room.
    """
    full = max(durations_ms)
    return (
        Condition("reference", "grid", "reference", full),
        *(Condition(f"duration@{duration}ms", "grid", "duration", duration) for duration in durations_ms),
        *(Condition(f"snr@{snr + 0.0:g}dB", "grid", "snr", full, snr) for snr in snrs_db),
        *(Condition(f"band@{band}", "grid", "band", full, band=band) for band in bands),
        *(Condition(f"room@{room}", "grid", "room", full, room=room) for room in rooms),
    )


@dataclass(frozen=True)
class StimulusDesign:
    """What a set of stimuli asks for.

    conditions: what every clip is presented in. noise: what is added where a condition has an SNR; noise_recordings: the
    folder or table that recorded noise comes from. window: what a segment is put into, and at which level.
    Raises InputError where the settings contradict each other.
    """

    conditions: tuple[Condition, ...]
    noise: NoiseKind
    window: Window
    noise_recordings: str | None = None

    def __post_init__(self) -> None:
        durations, window = [condition.duration_ms for condition in self.conditions], self.window
        if window.floor_dbfs < LOWEST_FLOOR_DBFS:
            raise InputError(
                f"stimuli.floor_dbfs = {window.floor_dbfs:g}: 16-bit audio rounds this floor to silence; set it to at least {LOWEST_FLOOR_DBFS:g}"
            )
        if 2 * window.ramp_ms > min(durations):
            raise InputError(
                f"stimuli.ramp_ms = {window.ramp_ms:g}: two ramps do not fit into the shortest stimulus; set it to at most {min(durations) / 2:g}"
            )
        if max(durations) > window.window_ms:
            raise InputError(f"stimuli.window_ms = {window.window_ms}: shorter than the longest stimulus; set it to at least {max(durations)}")

    @cached_property
    def noises(self) -> Noises:
        """What the noise is drawn from; recordings are listed the first time."""
        if self.noise not in RECORDED_NOISES or self.noise_recordings is None:
            return Noises(self.noise, [], Path())
        place = Path(self.noise_recordings)
        return Noises(self.noise, noise_recordings(place), place if place.is_dir() else place.parent)


def _design(conditions: tuple[Condition, ...], settings: Mapping[str, Any]) -> StimulusDesign:
    return StimulusDesign(conditions, settings["noise"], window_of(settings), settings["noise_recordings"])


def factorial_design(settings: Mapping[str, Any]) -> StimulusDesign:
    """The factorial set: every duration at every SNR. settings: the `stimuli` section of the configuration."""
    return _design(factorial(settings["durations_ms"], settings["snrs_db"]), settings)


def baseline_design(settings: Mapping[str, Any]) -> StimulusDesign:
    """The psychoacoustic baseline: the grid of single conditions and the stratified set.

    settings: the `baseline` section of the configuration, and what it shares with the `stimuli` section.
    """
    conditions = grid(settings["durations_ms"], settings["snrs_db"], settings["bands"], settings["rooms"])
    stratified = settings["stratified"]
    conditions += factorial(stratified["durations_ms"], stratified["snrs_db"], prefix="stratified@")
    return _design(conditions, settings)


DESIGNS: dict[str, Callable[[Mapping[str, Any]], StimulusDesign]] = {"factorial": factorial_design, "baseline": baseline_design}
"""By the name of the set of stimuli."""


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
