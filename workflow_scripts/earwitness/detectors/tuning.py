"""Choosing on development recordings how a track becomes segments."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from earwitness.audio.streaming import mono_blocks
from earwitness.core.errors import InputError
from earwitness.core.progress import Progress
from earwitness.corpora.annotated import AnnotatedRecording
from earwitness.detectors.segments import SegmentRule, segments_of
from earwitness.detectors.tracks import FloatArray, FrameDetector, smoothed
from earwitness.evaluation.detection import DetectionErrors, Roc, added, detection_errors, frame_roc, on_grid, shared_boundaries, speech_on_grid
from earwitness.tables.detection import DETECTION_TRACKS
from earwitness.tables.files import validate

ONSETS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
OFFSET_SHARES = (1.0, 0.75, 0.5, 0.25)
"""Offset as a share of the onset."""
MIN_SPEECH_S = (0.0, 0.1, 0.25, 0.5)
MIN_SILENCE_S = (0.0, 0.1, 0.25, 0.5, 1.0)


class Tuned(NamedTuple):
    """A rule, and what it makes of the development recordings."""

    rule: SegmentRule
    errors: DetectionErrors


@dataclass(frozen=True)
class Followed:
    """Recordings, and the track of each, in the same order."""

    recordings: Sequence[AnnotatedRecording]
    tracks: Sequence[FloatArray]
    step_s: float

    def errors(self, rule: SegmentRule) -> list[DetectionErrors]:
        """What a rule makes of the tracks, by recording."""
        found = zip(self.recordings, self.found(rule), strict=True)
        return [detection_errors(recording.speech, stretches, recording.duration_s) for recording, stretches in found]

    def found(self, rule: SegmentRule) -> list[list[tuple[float, float]]]:
        """The segments that a rule makes of the tracks, by recording: start and end in seconds."""
        return [
            [(one.start_s, one.end_s) for one in segments_of([track], self.step_s, rule, recording.duration_s)]
            for recording, track in zip(self.recordings, self.tracks, strict=True)
        ]

    def shared_boundaries(self, rule: SegmentRule) -> float:
        """earwitness.evaluation.detection.shared_boundaries of what a rule makes of the tracks."""
        found = zip(self.recordings, self.found(rule), strict=True)
        return shared_boundaries((recording.speech, stretches, recording.duration_s) for recording, stretches in found)

    def roc(self) -> Roc:
        """The ROC of the frames of all recordings together."""
        speech = [speech_on_grid(recording.speech, recording.duration_s) for recording in self.recordings]
        tracks = [on_grid(track, self.step_s, recording.duration_s) for recording, track in zip(self.recordings, self.tracks, strict=True)]
        return frame_roc(np.concatenate(speech), np.concatenate(tracks))

    def smoothed(self, width: int) -> "Followed":
        """The same with every frame the mean over `width` of them."""
        return replace(self, tracks=[np.concatenate(list(smoothed([track], width))) for track in self.tracks])


def tracks_table(followed: Followed) -> pd.DataFrame:
    """earwitness.tables.detection.DETECTION_TRACKS of recordings that were followed."""
    of_each = [
        pd.DataFrame({"recording_id": recording.recording_id, "frame": range(len(track)), "probability": track})
        for recording, track in zip(followed.recordings, followed.tracks, strict=True)
    ]
    return validate(pd.concat(of_each, ignore_index=True) if of_each else pd.DataFrame(columns=list(DETECTION_TRACKS.columns)), DETECTION_TRACKS)


def recorded(tracks: pd.DataFrame, recordings: Sequence[AnnotatedRecording], step_s: float) -> Followed:
    """Recordings as they were followed. tracks: DETECTION_TRACKS; step_s: from frame to frame. Raises InputError where one is not there."""
    found = {str(name): rows.sort_values("frame").probability.to_numpy(np.float64) for name, rows in tracks.groupby("recording_id")}
    if missing := [recording.recording_id for recording in recordings if recording.recording_id not in found]:
        raise InputError(f"recording {missing[0]} ({len(missing)} such) was not followed; run follow_recordings again")
    return Followed(recordings, [found[recording.recording_id] for recording in recordings], step_s)


def follow_all(detector: FrameDetector, recordings: Sequence[AnnotatedRecording]) -> Followed:
    """Hear recordings one by one. Raises InputError where one cannot be read."""
    tracks = []
    with Progress(total=round(sum(recording.duration_s for recording in recordings)), desc=detector.name, unit="s of sound") as progress:
        for recording in recordings:
            tracks.append(np.concatenate(list(detector.follow(mono_blocks(recording.path)))))
            progress.update(round(recording.duration_s))
    return Followed(recordings, tracks, detector.step_s)


def tune_rule(followed: Followed) -> Tuned:
    """The rule with the lowest detection error rate over all recordings together.

    First both thresholds are chosen, then both durations, then the thresholds again; of equal rules the one closest to one half without
    shortest durations wins, which comes first.
    """

    def best(rules: Sequence[SegmentRule]) -> Tuned:
        judged = [Tuned(rule, added(followed.errors(rule))) for rule in rules]
        return min(judged, key=lambda tuned: round(tuned.errors.error_rate, 9))

    onsets = sorted(ONSETS, key=lambda onset: abs(onset - 0.5))
    thresholds = list(product(onsets, OFFSET_SHARES))
    found = best([SegmentRule(onset, share * onset) for onset, share in thresholds])
    found = best([replace(found.rule, min_speech_s=speech, min_silence_s=silence) for speech, silence in product(MIN_SPEECH_S, MIN_SILENCE_S)])
    return best([found.rule, *(replace(found.rule, onset=onset, offset=share * onset) for onset, share in thresholds)])
