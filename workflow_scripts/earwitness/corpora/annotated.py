"""Recordings in which it is known throughout who speaks when: annotated in RTTM, or sounds without any voice."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from earwitness.core.folders import files_below
from earwitness.core.randomness import stream
from earwitness.corpora.rttm import read_rttm

Stretch = tuple[float, float]


@dataclass(frozen=True)
class AnnotatedRecording:
    """speech: turns of all speakers in seconds, which may overlap; none in a recording of other sounds. source_ids: whoever is heard in it."""

    recording_id: str
    path: Path
    duration_s: float
    source_ids: tuple[str, ...]
    speech: tuple[Stretch, ...]


def annotated_recordings(recordings: pd.DataFrame, split: pd.DataFrame, part: str, seconds: float, seed: int) -> list[AnnotatedRecording]:
    """Recordings of one part of a split, about `seconds` with speech and as much without, less where there is less of one kind.

    recordings: earwitness.tables.recordings.RECORDINGS of one or more data sets. A recording with speech counts where an RTTM file of its name
    lies beside it or anywhere below the folder above; one whose sources are not all in the part does not. Where there are more, a random draw.
    """
    of_part = set(split.source_id[split.part == part])
    speech, sounds = [], []
    for (recording_id, path), rows in recordings.groupby(["recording_id", "path"]):
        if not set(rows.source_id) <= of_part:
            continue
        about = str(recording_id), Path(str(path)), float(rows.duration_s.iloc[0]), tuple(sorted(set(rows.source_id)))
        if (rows.label == "NONSPEECH").all():
            sounds.append(AnnotatedRecording(*about, ()))
        elif annotation := rttm_of(about[1]):
            speech.append(AnnotatedRecording(*about, tuple((turn.start_s, turn.end_s) for turn in read_rttm(annotation).turns)))
    return balanced(speech, sounds, seconds, seed)


def balanced(speech: Sequence[AnnotatedRecording], sounds: Sequence[AnnotatedRecording], seconds: float, seed: int) -> list[AnnotatedRecording]:
    """About as many seconds of each kind: `seconds`, or as many as there are of both. No recording's place in the draw depends on others."""
    most = min(seconds, *(sum(one.duration_s for one in kind) for kind in (speech, sounds)))
    chosen = []
    for kind in (speech, sounds):
        total = 0.0
        for recording in sorted(kind, key=lambda one: stream(seed, "annotated", one.recording_id).random()):
            if total < most:
                chosen.append(recording)
                total += recording.duration_s
    return chosen


def rttm_of(path: Path) -> Path | None:
    """The annotation of a recording: an RTTM file of its stem beside it, or below the folder above it."""
    beside = path.with_suffix(".rttm")
    return beside if beside.is_file() else _rttm_below(path.parent.parent).get(path.stem)


@cache
def _rttm_below(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in files_below(folder, (".rttm",))}
