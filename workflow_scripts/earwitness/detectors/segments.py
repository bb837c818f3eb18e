"""From a probability track to segments of speech: two thresholds, and the shortest speech and silence that count."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earwitness.core.errors import InputError

FloatArray = npt.NDArray[np.float64]


class Segment(NamedTuple):
    """A stretch of speech; seconds in the recording. probability: the mean of its frames."""

    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True)
class SegmentRule:
    """How frames become segments.

    A segment begins with the first frame of at least `onset` and ends before the first one below `offset`. A silence shorter than
    min_silence_s between two segments is filled, and then a segment shorter than min_speech_s is dropped, in that order. onset, offset:
    probabilities, offset not above onset.
    """

    onset: float = 0.5
    offset: float = 0.5
    min_speech_s: float = 0.0
    min_silence_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.offset <= self.onset <= 1:
            raise InputError(f"an onset of {self.onset:g} with an offset of {self.offset:g}: give probabilities, and an offset not above the onset")
        if min(self.min_speech_s, self.min_silence_s) < 0:
            raise InputError("the shortest speech and silence cannot be negative; give seconds from 0")


class Segmenter:
    """Finds segments while the track comes; holds no more than one.

    step_s: duration of a frame; frame k lasts from k to k + 1 steps. A frame that is not a number is one of silence.
    """

    def __init__(self, rule: SegmentRule, step_s: float):
        self._rule, self._step = rule, step_s
        self._frame, self._sum = 0, 0.0
        self._speaking = False
        # Frame, and sum of the probabilities before it.
        self._start: tuple[int, float] | None = None
        self._after = 0, 0.0

    def add(self, probabilities: npt.ArrayLike) -> Iterator[Segment]:
        """Take the next frames; yield the segments that nothing later can change."""
        for value in np.nan_to_num(np.asarray(probabilities, dtype=np.float64)).tolist():
            here = self._frame, self._sum
            if self._speaking and value < self._rule.offset:
                self._speaking, self._after = False, here
            elif not self._speaking and value >= self._rule.onset:
                self._speaking, self._start = True, self._start or here
            self._frame, self._sum = self._frame + 1, self._sum + value
            silence_s = round((self._frame - self._after[0]) * self._step, 9)
            if self._start and not self._speaking and silence_s >= self._rule.min_silence_s:
                yield from self._finish(np.inf)

    def end(self, duration_s: float) -> Iterator[Segment]:
        """The last segment of a recording of this length, which may end within its last frame."""
        if self._speaking:
            self._speaking, self._after = False, (self._frame, self._sum)
        yield from self._finish(duration_s)

    def _finish(self, duration_s: float) -> Iterator[Segment]:
        if self._start is None:
            return
        (first, before), (after, total), self._start = self._start, self._after, None
        start_s, end_s = first * self._step, min(after * self._step, duration_s)
        if end_s > start_s and round(end_s - start_s, 9) >= self._rule.min_speech_s:
            yield Segment(start_s, end_s, (total - before) / (after - first))


def segments_of(tracks: Iterable[npt.ArrayLike], step_s: float, rule: SegmentRule, duration_s: float) -> Iterator[Segment]:
    """The segments of a recording from its track, in pieces of any length."""
    segmenter = Segmenter(rule, step_s)
    for piece in tracks:
        yield from segmenter.add(piece)
    yield from segmenter.end(duration_s)
