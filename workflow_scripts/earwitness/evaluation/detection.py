"""How well speech is found in recordings: detection error rate, and the frames' receiver operating characteristic.

The detection error rate is that of NIST's and pyannote's evaluations: (missed speech + false alarms) / speech, over all recordings together
(Bredin, "pyannote.metrics", Interspeech 2017). Everything is in seconds, so detectors with frames of different lengths compare.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Stretch = tuple[float, float]
"""Start and end in seconds."""

GRID_S = 0.01
"""Frames on which tracks of different steps are compared."""
SAME_S = 0.001
"""Boundaries of one maker differ by less from their usual distance."""
FEWEST_BOUNDARIES = 20
MADE_BY = 0.8
"""Of an annotation's boundaries: from this share on, the detector made it."""


class DetectionErrors(NamedTuple):
    """Seconds of speech, of speech that was missed, and of what was taken for speech, in one or more recordings of duration_s."""

    duration_s: float
    speech_s: float
    missed_s: float
    false_alarm_s: float

    @property
    def error_rate(self) -> float:
        """(missed + false alarms) / speech; nan where there is no speech."""
        return (self.missed_s + self.false_alarm_s) / self.speech_s if self.speech_s else np.nan


def united(stretches: Iterable[Stretch], duration_s: float = np.inf) -> list[Stretch]:
    """The same time as disjoint stretches in order, within the recording."""
    result: list[Stretch] = []
    for start, end in sorted((max(start, 0.0), min(end, duration_s)) for start, end in stretches):
        if end <= start:
            continue
        if result and start <= result[-1][1]:
            result[-1] = result[-1][0], max(result[-1][1], end)
        else:
            result.append((start, end))
    return result


def overlap(one: Sequence[Stretch], other: Sequence[Stretch]) -> float:
    """Seconds that two lists of disjoint stretches in order have in common."""
    total, place = 0.0, 0
    for start, end in one:
        while place < len(other) and other[place][1] <= start:
            place += 1
        for from_s, to_s in other[place:]:
            if from_s >= end:
                break
            total += min(end, to_s) - max(start, from_s)
    return total


def detection_errors(reference: Iterable[Stretch], found: Iterable[Stretch], duration_s: float, collar_s: float = 0.0) -> DetectionErrors:
    """What was found in one recording against who speaks when; overlapping speakers are one speech.

    collar_s: what is left out around the beginning and end of every turn of the reference, half of it on either side.
    """
    turns = list(reference)
    speech, answer = united(turns, duration_s), united(found, duration_s)
    ignored = united(((time - collar_s / 2, time + collar_s / 2) for turn in turns for time in turn), duration_s)
    both = intersection(speech, answer)

    def seconds(stretches: Sequence[Stretch]) -> float:
        return sum(end - start for start, end in stretches) - overlap(stretches, ignored)

    hit = seconds(both)
    return DetectionErrors(seconds([(0.0, duration_s)]), seconds(speech), seconds(speech) - hit, seconds(answer) - hit)


def intersection(one: Sequence[Stretch], other: Sequence[Stretch]) -> list[Stretch]:
    """What two lists of disjoint stretches have in common."""
    found = [(max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) < min(b, d)]
    return sorted(found)


def added(errors: Iterable[DetectionErrors]) -> DetectionErrors:
    """All recordings together."""
    return DetectionErrors(*np.sum([tuple(one) for one in errors], axis=0).tolist())


def on_grid(track: FloatArray, step_s: float, duration_s: float) -> FloatArray:
    """A track's value in the middle of every GRID_S; frames without sound have probability 0."""
    middles = (np.arange(int(round(duration_s / GRID_S, 6))) + 0.5) * GRID_S
    places = np.minimum((middles / step_s).astype(np.int64), len(track) - 1)
    return np.nan_to_num(track)[places]


def speech_on_grid(reference: Iterable[Stretch], duration_s: float) -> npt.NDArray[np.bool_]:
    """Whether there is speech in the middle of every GRID_S."""
    middles = (np.arange(int(round(duration_s / GRID_S, 6))) + 0.5) * GRID_S
    speech = np.zeros(len(middles), dtype=bool)
    for start, end in reference:
        speech |= (middles >= start) & (middles < end)
    return speech


def shared_boundaries(recordings: Iterable[tuple[Iterable[Stretch], Iterable[Stretch], float]]) -> float:
    """The share of an annotation's boundaries that lie at a constant distance from a detector's, to the millisecond; starts and ends may have one
    each.

    recordings: reference, detected speech and duration of each; boundaries at a recording's ends do not count. Near 1 where the detector made the
    annotation, whatever margin was put around; then its error rate says nothing. nan with fewer than FEWEST_BOUNDARIES.
    """
    distances: tuple[list[float], list[float]] = [], []
    for reference, found, duration_s in recordings:
        speech, answer = united(reference, duration_s), united(found, duration_s)
        for kind, of_kind in enumerate(distances):
            own = np.array([stretch[kind] for stretch in answer])
            inside = [stretch[kind] for stretch in speech if GRID_S < stretch[kind] < duration_s - GRID_S]
            of_kind += [float((own - time)[np.abs(own - time).argmin()]) if len(own) else np.inf for time in inside]
    total = sum(map(len, distances))
    if total < FEWEST_BOUNDARIES:
        return np.nan
    most = [max((np.sum(np.abs(np.array(of_kind) - one) < SAME_S) for one in of_kind if np.isfinite(one)), default=0) for of_kind in distances]
    return float(sum(most) / total)


class Roc(NamedTuple):
    """False alarm and hit rates of frames at falling thresholds, each of shape (n_points,), and the area under them."""

    false_alarms: FloatArray
    hits: FloatArray
    thresholds: FloatArray
    area: float


def frame_roc(speech: npt.NDArray[np.bool_], probabilities: FloatArray) -> Roc:
    """The ROC of frames, shape (n_frames,); area nan where a class is absent."""
    if speech.all() or not speech.any():
        return Roc(np.zeros(0), np.zeros(0), np.zeros(0), np.nan)
    thresholds, places = np.unique(-probabilities, return_inverse=True)
    hits = np.concatenate([[0.0], np.cumsum(np.bincount(places, weights=speech)) / speech.sum()])
    false_alarms = np.concatenate([[0.0], np.cumsum(np.bincount(places, weights=~speech)) / (~speech).sum()])
    return Roc(false_alarms, hits, np.concatenate([[1.0], -thresholds]), float(np.trapezoid(hits, false_alarms)))
