"""What an audit looks at: the stimuli of a split with their provenance and audio, their clips and recordings, the policy."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pandas as pd
import soundfile

from earwitness.audio.io import Waveform, decode_flac
from earwitness.audio.speaker_embedding import CAMPPLUS
from earwitness.core.arguments import settings_of
from earwitness.core.errors import InputError
from earwitness.leakage.workers import Workers
from earwitness.tables.audio import iterate_encoded_audio
from earwitness.tables.clips import CLIPS
from earwitness.tables.files import read_table
from earwitness.tables.recordings import RECORDINGS, SEGMENTS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI

Batch = list[tuple[str, Waveform]]
"""Names and 16 kHz mono waveforms."""
Result = TypeVar("Result")

BATCH = 128
"""Clips or stimuli that one call of a function over audio receives, at most."""

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
    voice_false_alarms: float
    speaker_model: str

    @property
    def model_files(self) -> list[Path]:
        """The files that decide what is heard as one voice; none where that is CAM++, whose weights are known.

        Raises InputError where one is missing.
        """
        path = Path(self.speaker_model)
        if self.speaker_model != CAMPPLUS and not path.is_file():
            raise InputError(f"{path}: no such file; name {CAMPPLUS} or an ONNX file as audit.speaker_model")
        return [] if self.speaker_model == CAMPPLUS else [path]

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> "Policy":
        """Raises InputError where a key is missing or unknown, speaker_model is no name, or another value no finite number of at least 0."""
        policy = settings_of(cls, "audit policy", settings)
        if not isinstance(settings["speaker_model"], str) or not settings["speaker_model"]:
            raise InputError(f"audit policy: speaker_model = {settings['speaker_model']!r}; give campplus or the path of an ONNX file")
        for key, value in settings.items():
            if key == "speaker_model":
                continue
            # A guard of NaN would make every comparison false, and so let every leak pass.
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                raise InputError(f"audit policy: {key} = {value!r}; give a finite number of at least 0")
        return policy


class OnePass:
    """What several checks ask of all clips, so that these are decoded once: computed with the first, kept for the others until they ask.

    functions: from batches of clips, as over_clips takes them; the same function is one, and so are partials of equal arguments.
    """

    def __init__(self, functions: Iterable[Callable[[Batch], Any]] = ()) -> None:
        self._functions = {_identity(function): function for function in functions}
        self._kept: dict[Any, deque[Any]] = {}

    def has(self, function: Callable[[Batch], Any]) -> bool:
        return _identity(function) in self._functions

    def results(self, function: Callable[[Batch], Any], over: Callable[[Callable[[Batch], list[Any]]], Iterator[list[Any]]]) -> Iterator[Any]:
        """function(batch) for all batches, once. over: applies a function to them; called with the first."""
        asked = _identity(function)
        del self._functions[asked]
        if asked in self._kept:
            kept = self._kept.pop(asked)
            while kept:
                yield kept.popleft()
            return
        others = {name: other for name, other in self._functions.items() if name not in self._kept}
        found = {name: deque[Any]() for name in others}
        for own, *theirs in over(partial(_all_of, [function, *others.values()])):
            for results, result in zip(found.values(), theirs, strict=True):
                results.append(result)
            yield own
        # Only here is every batch among them.
        self._kept |= found


def _identity(function: Callable[[Batch], Any]) -> Any:
    return (function.func, function.args, tuple(function.keywords.items())) if isinstance(function, partial) else function


def _all_of(functions: Sequence[Callable[[Batch], Any]], batch: Batch) -> list[Any]:
    return [function(batch) for function in functions]


@dataclass(frozen=True, eq=False)
class AuditInput:
    """The audited data, as every check of a split receives them.

    stimuli: one row per stimulus of the split; columns of earwitness.tables.stimuli.STIMULI and `part`.
    clip_files: tables of clips with audio (earwitness.tables.clips.CLIPS) that hold every clip of `stimuli`.
    recordings: earwitness.tables.recordings.RECORDINGS, one row per source in each recording that `stimuli` were cut from.
    shards: tables of stimuli with audio (earwitness.tables.stimuli.STIMULI) that hold every stimulus of `stimuli`.
    segments: earwitness.tables.recordings.SEGMENTS, where in its recordings each source is alone; empty where they cannot be listened to.
    altered: what to yield for a clip_id or stimulus_id and its stored waveform; None yields what is stored.
    workers: who computes functions over audio; altered audio is left to this process.
    code: folder of the scripts that split and fit; None where there is none to look at.
    folds: every fold of the cross-validation that the split is one of, by name (earwitness.tables.splits.SPLIT); none where it is of none.
    unread: files of the items that are not among the stimuli, since their audio cannot be read.
    together: what the checks that run ask of all clips.
    """

    stimuli: pd.DataFrame
    clip_files: tuple[Path, ...]
    policy: Policy
    recordings: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(RECORDINGS.columns)))
    shards: tuple[Path, ...] = ()
    segments: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(SEGMENTS.columns)))
    altered: Callable[[str, Waveform], Waveform] | None = None
    workers: Workers = field(default_factory=Workers)
    code: Path | None = None
    folds: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    together: OnePass = field(default_factory=OnePass)

    def clip_audio(self) -> Iterator[tuple[str, Waveform]]:
        """Yield clip_id and 16 kHz mono waveform of every clip that the split uses, once; memory stays bounded.

        Raises InputError where a clip's audio cannot be decoded.
        """
        return (named for encoded in self._encoded_clips() for named in self._decoded(encoded))

    def stimulus_audio(self) -> Iterator[tuple[str, Waveform]]:
        """Yield stimulus_id and 16 kHz mono waveform of every stimulus of the split, once; memory stays bounded.

        Raises InputError where a stimulus's audio cannot be decoded.
        """
        return (named for encoded in self._encoded_stimuli() for named in self._decoded(encoded))

    def over_clips(self, function: Callable[[Batch], Result], only: Set[str] | None = None) -> Iterator[Result]:
        """Yield function(batch) for batches of the clips, in order, computed by the workers.

        function must be picklable where there are several workers. only: the clips wanted; None for all.
        Raises InputError where a clip's audio cannot be decoded.
        """
        if only is None and self.together.has(function):
            return self.together.results(function, self._over_clips)
        return self._over_clips(function, only)

    def _over_clips(self, function: Callable[[Batch], Result], only: Set[str] | None = None) -> Iterator[Result]:
        return self._over(function, only, self.clip_audio, self._encoded_clips)

    def over_stimuli(self, function: Callable[[Batch], Result], only: Set[str] | None = None) -> Iterator[Result]:
        """The same (see over_clips) for stimuli."""
        return self._over(function, only, self.stimulus_audio, self._encoded_stimuli)

    def _over(
        self,
        function: Callable[[Batch], Result],
        only: Set[str] | None,
        audio: Callable[[], Iterator[tuple[str, Waveform]]],
        encoded: Callable[[Set[str] | None], Iterator["_Encoded"]],
    ) -> Iterator[Result]:
        if self.workers.jobs > 1 and self.altered is None:
            return self.workers.map(partial(_on_decoded, function), encoded(only))
        return map(function, in_batches(named for named in audio() if only is None or named[0] in only))

    def _encoded_clips(self, only: Set[str] | None = None) -> Iterator["_Encoded"]:
        return _encoded("clip_id", self.clip_files, set(self.stimuli.clip_id) if only is None else only)

    def _encoded_stimuli(self, only: Set[str] | None = None) -> Iterator["_Encoded"]:
        return _encoded("stimulus_id", self.shards, set(self.stimuli.stimulus_id) if only is None else only)

    def _decoded(self, encoded: "_Encoded") -> Batch:
        stored = _decoded(encoded)
        return stored if self.altered is None else [(name, self.altered(name, waveform)) for name, waveform in stored]


class _Encoded(NamedTuple):
    """Clips or stimuli of one file: their names and FLAC bytes."""

    path: Path
    what: str
    audio: list[tuple[str, bytes]]


def _encoded(key: str, files: tuple[Path, ...], wanted: Set[str]) -> Iterator[_Encoded]:
    for path in files:
        for audio in iterate_encoded_audio(path, key, wanted, BATCH):
            yield _Encoded(path, key.removesuffix("_id"), audio)


def _decoded(encoded: _Encoded) -> Batch:
    try:
        return [(name, decode_flac(flac)) for name, flac in encoded.audio]
    except soundfile.LibsndfileError as error:
        what = f"the audio of a {encoded.what} cannot be decoded ({error.error_string})"
        raise InputError(f"{encoded.path}: {what}; make the file again") from error


def _on_decoded(function: Callable[[Batch], Result], encoded: _Encoded) -> Result:
    return function(_decoded(encoded))


def in_batches(audio: Iterable[tuple[str, Waveform]]) -> Iterator[Batch]:
    """Named waveforms in lists of at most BATCH."""
    remaining = iter(audio)
    while batch := list(islice(remaining, BATCH)):
        yield batch


@dataclass(frozen=True, eq=False)
class Audited:
    """A split as the audit takes it, however it was stored.

    name: what the split is called; subject: role, name and SHA-256 of every file it consists of, the split's own first.
    impossible: check -> why this split cannot tell; such a check is not run.
    """

    data: AuditInput
    name: str
    subject: list[dict[str, str]]
    impossible: Mapping[str, str] = field(default_factory=dict)


def load_audit_input(
    split: Path,
    index: Path,
    clip_files: list[Path],
    recording_files: list[Path],
    shards: list[Path],
    policy: Policy,
    segment_files: Sequence[Path] = (),
) -> AuditInput:
    """Read a split, the index of the stimuli it was made from, their clips and their recordings, and join them.

    split: earwitness.tables.splits.SPLIT; index: earwitness.tables.stimuli.STIMULI; clip_files: earwitness.tables.clips.CLIPS and audio;
    recording_files: earwitness.tables.recordings.RECORDINGS; shards: earwitness.tables.stimuli.STIMULI and audio;
    segment_files: earwitness.tables.recordings.SEGMENTS, none where the recordings cannot be listened to.
    Raises InputError where a file is missing or malformed, a stimulus is not in the index, a stimulus, clip or recording
    is in no file or in two, or the tables contradict each other: an audit of inconsistent provenance would prove nothing.
    """
    for path in (split, index, *clip_files, *recording_files, *shards, *segment_files):
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
    recordings = _one_row_each(stimuli.recording_id, recordings, recording_files, split, ("source_id", "label"))
    heard = _one_row_each(stimuli.stimulus_id, pd.concat([read_table(path, STIMULI) for path in shards], ignore_index=True), shards, split)
    _require_agreement(stimuli, heard, "stimulus_id", ["clip_id", "source_id", "label"], f"{index} and the shards")
    data = AuditInput(stimuli, tuple(clip_files), policy, recordings.reset_index(drop=True), tuple(shards))
    if not segment_files:
        return data
    return replace(data, segments=pd.concat([read_table(path, SEGMENTS) for path in segment_files], ignore_index=True))


def _one_row_each(used: pd.Series, table: pd.DataFrame, files: list[Path], split: Path, of_each: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of a table for the items of a split; raises InputError unless every item has exactly one, of each value of other columns."""
    key, names = str(used.name), ", ".join(path.name for path in files)
    what, rows = key.removesuffix("_id"), table[table[key].isin(used)]
    _require(~rows.duplicated([key, *of_each]), rows[key], f"{what} {{}} is in the {what} files twice ({names}); name each file once")
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
