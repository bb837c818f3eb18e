"""What every detector gives of a recording: a track, the probability of speech frame by frame, while the recording is read."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earwitness.audio.io import Waveform
from earwitness.detectors.segments import SegmentRule

FloatArray = npt.NDArray[np.float64]
Follow = Callable[[Iterable[Waveform]], Iterator[FloatArray]]
"""Blocks of 16 kHz mono of any length to the probabilities of the frames that they complete, nan where there is no sound at all; the last frame
may be shorter than the others."""


@dataclass(frozen=True)
class FrameDetector:
    """step_s: duration of a frame. rule: how its frames become segments. shortest_s: duration of the shortest sound that it was trained on."""

    name: str
    step_s: float
    rule: SegmentRule
    follow: Follow
    shortest_s: float = 0.0


def in_pieces(blocks: Iterable[Waveform], size: int) -> Iterator[Waveform]:
    """The same samples in blocks of whole multiples of `size`, the last filled with zeros; nothing for no samples."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        joined = np.concatenate([rest, block])
        whole = len(joined) // size * size
        if whole:
            yield joined[:whole]
        rest = joined[whole:]
    if len(rest):
        yield np.pad(rest, (0, size - len(rest)))


def smoothed(pieces: Iterable[FloatArray], width: int) -> Iterator[FloatArray]:
    """A track whose frames are means over the `width` frames around each, fewer at its ends.

    width: odd. A frame without sound counts as 0 for others, and stays nan itself.
    """
    if width == 1:
        yield from pieces
        return
    half, held, given, first = width // 2, np.zeros(0), 0, 0

    def means(until: int) -> FloatArray:
        frames = np.arange(given, until)
        low, high = np.maximum(frames - half - first, 0), np.minimum(frames + half + 1 - first, len(held))
        sums = np.concatenate([[0.0], np.cumsum(np.nan_to_num(held))])
        values = (sums[high] - sums[low]) / (high - low)
        return np.where(np.isnan(held[frames - first]), np.nan, values)

    for piece in pieces:
        held = np.concatenate([held, piece])
        if (until := first + len(held) - half) > given:
            yield means(until)
            given = until
            keep = max(given - half, 0)
            held, first = held[keep - first :], keep
    if (until := first + len(held)) > given:
        yield means(until)
