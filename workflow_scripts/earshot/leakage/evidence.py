"""What an audit looks at: the stimuli of a split with their provenance and audio, their clips and recordings, the policy."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
import soundfile

from earshot.audio import Waveform
from earshot.errors import InputError
from earshot.tables import CLIPS, RECORDINGS, SPLIT, STIMULI, iterate_audio, read_table

CUT_TOLERANCE_S = 0.01
"""Seconds by which a stimulus's segment may stick out of its clip (rounding to samples, twice)."""


@dataclass(frozen=True)
class Policy:
    """What the audit tolerates; one field per key of the configuration's `audit`."""

    adjacency_guard_s: float
    min_sources_per_class: int
    near_duplicate_correlation: float
    shortcut_auc_warn: float
    speech_in_nonspeech_probability: float

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
    recordings: earshot.tables.RECORDINGS, one row per recording that `stimuli` were cut from.
    shards: tables of stimuli with audio (earshot.tables.STIMULI) that hold every stimulus of `stimuli`.
    altered: what to yield for a clip_id or stimulus_id and its stored waveform; None yields what is stored.
    """

    stimuli: pd.DataFrame
    clip_files: tuple[Path, ...]
    policy: Policy
    recordings: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(RECORDINGS.columns)))
    shards: tuple[Path, ...] = ()
    altered: Callable[[str, Waveform], Waveform] | None = None

    def clip_audio(self) -> Iterator[tuple[str, Waveform]]:
        """Yield clip_id and 16 kHz mono waveform of every clip that the split uses, once; memory stays bounded.

        Raises InputError where a clip's audio cannot be decoded.
        """
        return self._audio_of("clip_id", self.clip_files, CLIPS)

    def stimulus_audio(self) -> Iterator[tuple[str, Waveform]]:
        """Yield stimulus_id and 16 kHz mono waveform of every stimulus of the split, once; memory stays bounded.

        Raises InputError where a stimulus's audio cannot be decoded.
        """
        return self._audio_of("stimulus_id", self.shards, STIMULI)

    def _audio_of(self, key: str, files: tuple[Path, ...], schema: pa.DataFrameSchema) -> Iterator[tuple[str, Waveform]]:
        wanted, what = set(self.stimuli[key]), key.removesuffix("_id")
        for path in files:
            try:
                for rows, waveforms in iterate_audio(path, schema, keep=lambda rows: rows[key].isin(wanted)):
                    for item, waveform in zip(rows[key], waveforms, strict=True):
                        yield item, waveform if self.altered is None else self.altered(item, waveform)
            except soundfile.LibsndfileError as error:
                raise InputError(f"{path}: the audio of a {what} cannot be decoded ({error.error_string}); make the file again") from error


@dataclass(frozen=True, eq=False)
class Audited:
    """A split as the audit takes it, however it was stored.

    name: what the split is called; subject: role, name and SHA-256 of every file it consists of, the split's own first.
    impossible: check -> why this split cannot tell; such a check is not run.
    """

    evidence: AuditInput
    name: str
    subject: list[dict[str, str]]
    impossible: Mapping[str, str] = field(default_factory=dict)


def load_audit_input(split: Path, index: Path, clip_files: list[Path], recording_files: list[Path], shards: list[Path], policy: Policy) -> AuditInput:
    """Read a split, the index of the stimuli it was made from, their clips and their recordings, and join them.

    split: earshot.tables.SPLIT; index: earshot.tables.STIMULI; clip_files: earshot.tables.CLIPS and audio;
    recording_files: earshot.tables.RECORDINGS; shards: earshot.tables.STIMULI and audio.
    Raises InputError where a file is missing or malformed, a stimulus is not in the index, a stimulus, clip or recording
    is in no file or in two, or the tables contradict each other: an audit of inconsistent provenance would prove nothing.
    """
    for path in (split, index, *clip_files, *recording_files, *shards):
        if not path.is_file():
            raise InputError(f"{path}: no such file; the audit needs the split, the index and audio of its stimuli, their clips and recordings")
    assigned = read_table(split, SPLIT)
    stimuli = read_table(index, STIMULI)
    clips = pd.concat([read_table(path, CLIPS) for path in clip_files], ignore_index=True)

    _require(assigned.stimulus_id.isin(stimuli.stimulus_id), assigned.stimulus_id, f"{split}: stimulus {{}} is not in {index}; make the split again")
    stimuli = stimuli.merge(assigned[["stimulus_id", "part"]], on="stimulus_id", validate="one_to_one")
    _require_agreement(stimuli, assigned, "stimulus_id", ["clip_id", "source_id", "label"], f"{split} and {index}")

    clips = _one_row_each(stimuli.clip_id, clips, clip_files, split)
    _require_agreement(stimuli, clips, "clip_id", ["recording_id", "source_id", "label"], f"{index} and the clips files")
    _require(stimuli.segment_end_s > stimuli.segment_start_s, stimuli.stimulus_id, f"{index}: the segment of stimulus {{}} ends before it starts")
    cut_from = stimuli[["clip_id"]].merge(clips, on="clip_id", how="left")
    inside = (stimuli.segment_start_s >= cut_from.start_s - CUT_TOLERANCE_S) & (stimuli.segment_end_s <= cut_from.end_s + CUT_TOLERANCE_S)
    _require(inside, stimuli.stimulus_id, f"{index}: the segment of stimulus {{}} is not inside its clip; segment times are seconds in the recording")
    recordings = pd.concat([read_table(path, RECORDINGS) for path in recording_files], ignore_index=True)
    recordings = _one_row_each(stimuli.recording_id, recordings, recording_files, split)
    heard = _one_row_each(stimuli.stimulus_id, pd.concat([read_table(path, STIMULI) for path in shards], ignore_index=True), shards, split)
    _require_agreement(stimuli, heard, "stimulus_id", ["clip_id", "source_id", "label"], f"{index} and the shards")
    return AuditInput(stimuli, tuple(clip_files), policy, recordings.reset_index(drop=True), tuple(shards))


def _one_row_each(used: pd.Series, table: pd.DataFrame, files: list[Path], split: Path) -> pd.DataFrame:
    """The rows of a table for the items of a split; raises InputError unless every item has exactly one."""
    key, names = str(used.name), ", ".join(path.name for path in files)
    what, rows = key.removesuffix("_id"), table[table[key].isin(used)]
    _require(~rows[key].duplicated(), rows[key], f"{what} {{}} is in the {what} files twice ({names}); name each file once")
    _require(used.isin(rows[key]), used, f"{split}: {what} {{}} is in none of the {what} files ({names}); name the file that holds it")
    return rows


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
