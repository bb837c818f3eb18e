"""What an audit looks at: the stimuli of a split with their provenance, the audio of their clips, and the policy."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
import soundfile

from earshot.audio import Waveform
from earshot.errors import InputError
from earshot.tables import CLIPS, SPLIT, STIMULI, iterate_audio, read_table

CUT_TOLERANCE_S = 0.01
"""Seconds by which a stimulus's segment may stick out of its clip (rounding to samples, twice)."""


@dataclass(frozen=True)
class Policy:
    """What the audit tolerates; one field per key of the configuration's `audit`."""

    adjacency_guard_s: float
    min_sources_per_class: int

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> "Policy":
        """Raises InputError where a key is missing or unknown, or a value is no finite number of at least 0."""
        known = [field.name for field in fields(cls)]
        for key in sorted(set(settings) ^ set(known)):
            raise InputError(f"audit policy: {'unknown' if key in settings else 'missing'} key {key}; give {', '.join(known)}")
        for key, value in settings.items():
            # A guard of NaN would make every comparison false, and so let every leak pass.
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                raise InputError(f"audit policy: {key} = {value!r}; give a finite number of at least 0")
        return cls(**settings)


@dataclass(frozen=True, eq=False)
class AuditInput:
    """The evidence that every check receives.

    stimuli: one row per stimulus of the split; columns of earshot.tables.STIMULI and `part`.
    clip_files: tables of clips with audio (earshot.tables.CLIPS) that hold every clip of `stimuli`.
    """

    stimuli: pd.DataFrame
    clip_files: tuple[Path, ...]
    policy: Policy

    def clip_audio(self) -> Iterator[tuple[str, Waveform]]:
        """Yield clip_id and 16 kHz mono waveform of every clip that the split uses, once; memory stays bounded.

        Raises InputError where a clip's audio cannot be decoded.
        """
        used = set(self.stimuli.clip_id)
        for path in self.clip_files:
            try:
                for rows, waveforms in iterate_audio(path, CLIPS):
                    for clip_id, waveform in zip(rows.clip_id, waveforms, strict=True):
                        if clip_id in used:
                            yield clip_id, waveform
            except soundfile.LibsndfileError as error:
                raise InputError(f"{path}: the audio of a clip cannot be decoded ({error.error_string}); make the clips again") from error


def load_audit_input(split: Path, index: Path, clip_files: list[Path], policy: Policy) -> AuditInput:
    """Read a split, the index of the stimuli it was made from, and their clips, and join them.

    split: earshot.tables.SPLIT; index: earshot.tables.STIMULI; clip_files: earshot.tables.CLIPS and audio.
    Raises InputError where a file is missing or malformed, a stimulus is not in the index, a clip is in no clips file or
    in two, or the tables contradict each other: an audit of inconsistent provenance would prove nothing.
    """
    for path in (split, index, *clip_files):
        if not path.is_file():
            raise InputError(f"{path}: no such file; the audit needs the split, the index of its stimuli and their clips")
    assigned = read_table(split, SPLIT)
    stimuli = read_table(index, STIMULI)
    clips = pd.concat([read_table(path, CLIPS) for path in clip_files], ignore_index=True)

    _require(assigned.stimulus_id.isin(stimuli.stimulus_id), assigned.stimulus_id, f"{split}: stimulus {{}} is not in {index}; make the split again")
    stimuli = stimuli.merge(assigned[["stimulus_id", "part"]], on="stimulus_id", validate="one_to_one")
    _require_agreement(stimuli, assigned, "stimulus_id", ["clip_id", "source_id", "label"], f"{split} and {index}")

    names = ", ".join(path.name for path in clip_files)
    clips = clips[clips.clip_id.isin(stimuli.clip_id)]
    _require(~clips.clip_id.duplicated(), clips.clip_id, f"clip {{}} is in the clips files twice ({names}); name each file once")
    _require(
        stimuli.clip_id.isin(clips.clip_id),
        stimuli.clip_id,
        f"{split}: clip {{}} is in none of the clips files ({names}); name the file that holds it",
    )
    _require_agreement(stimuli, clips, "clip_id", ["recording_id", "source_id", "label"], f"{index} and the clips files")
    _require(stimuli.segment_end_s > stimuli.segment_start_s, stimuli.stimulus_id, f"{index}: the segment of stimulus {{}} ends before it starts")
    cut_from = stimuli[["clip_id"]].merge(clips, on="clip_id", how="left")
    inside = (stimuli.segment_start_s >= cut_from.start_s - CUT_TOLERANCE_S) & (stimuli.segment_end_s <= cut_from.end_s + CUT_TOLERANCE_S)
    _require(inside, stimuli.stimulus_id, f"{index}: the segment of stimulus {{}} is not inside its clip; segment times are seconds in the recording")
    return AuditInput(stimuli, tuple(clip_files), policy)


def _require(holds: pd.Series, items: pd.Series, message: str) -> None:
    """Raise InputError with the first item for which `holds` is false, and how many there are."""
    broken = items[~holds].unique()
    if len(broken):
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise InputError(message.format(f"{broken[0]}{more}"))


def _require_agreement(left: pd.DataFrame, right: pd.DataFrame, key: str, columns: list[str], where: str) -> None:
    """Raise InputError where two tables say different things about one item; `right` holds every key of `left` once."""
    other = left[[key]].merge(right[[key, *columns]], on=key, how="left")
    for column in columns:
        _require(left[column].eq(other[column]), left[key], f"{where} disagree on the {column} of {key.removesuffix('_id')} {{}}; make both again")
