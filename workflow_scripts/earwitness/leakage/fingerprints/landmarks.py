"""Landmarks of a waveform, and the hashes of them that survive gain, filtering, coding, noise and a little change of speed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from earwitness.audio.io import SAMPLE_RATE, Waveform

FRAME, HOP = 512, 128
"""Samples: frames of 32 ms every 8 ms."""

LANDMARK_BANDS = ((1, 121, 60), (121, 250, 30))
"""First and last bin (exclusive; 31.25 Hz each), and landmarks per second: 31 to 3,750 Hz, and above to 7.8 kHz."""

STRETCH, STRETCH_SHARE = 31, 0.5
"""Frames (a quarter of a second), and the share of a band's landmarks that each has at least: or else one loud event has
them all, and a copy that begins after it has others."""

REACH = 2
"""Frames and bins, before and after, over which a landmark is the maximum."""

LOUDEST_SILENCE = 1e-3
"""Spectral magnitude (of a frame, full scale 1) below which there are no landmarks: under one step of 16-bit audio."""

SUCCESSORS_SEEN, SUCCESSORS_PAIRED, ZONE = 24, 4, 31
"""Later landmarks that are looked at, those of them that are nearest, and how far they may be in frames and in bins."""

Integers = npt.NDArray[np.int64]
Magnitudes = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]

WINDOW = np.hanning(FRAME).astype(np.float32)
"""Of a frame."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The spectral peaks of one piece of audio, sorted by time and bin.

    time: frames, fractional; bin: number of the frequency bin; both of shape (n_peaks,).
    """

    time: npt.NDArray[np.float64]
    bin: Integers


def landmarks(waveform: Waveform) -> Landmarks:
    """The strongest local maxima of a waveform's magnitude spectrogram, per band; none in silence."""
    n_frames = 1 + -(-len(waveform) // HOP)
    padded = np.zeros((n_frames - 1) * HOP + FRAME, np.float32)
    padded[FRAME // 2 : FRAME // 2 + len(waveform)] = waveform
    spectrum = np.abs(fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP] * WINDOW, axis=1))
    times, bins = [], []
    for first, last, per_second in LANDMARK_BANDS:
        band = spectrum[:, first:last]
        highest = _highest_around(_highest_around(band).T).T
        peaks = np.flatnonzero((band == highest) & (band > LOUDEST_SILENCE))
        kept = int(np.ceil(per_second * max(len(waveform) / SAMPLE_RATE, 0.25)))
        if len(peaks) > kept:
            height, stretch = band.ravel()[peaks], peaks // ((last - first) * STRETCH)
            by_stretch = np.lexsort((-height, stretch))
            rank = np.empty(len(peaks), np.int64)
            rank[by_stretch] = np.arange(len(peaks)) - np.searchsorted(stretch, stretch)
            of_its_stretch = rank < STRETCH_SHARE * per_second * STRETCH * HOP / SAMPLE_RATE
            peaks = peaks[of_its_stretch | (height >= -np.partition(-height, kept - 1)[kept - 1])]
        time, bin = np.divmod(peaks, last - first)
        times.append(time + _summit(band, time, bin))
        bins.append(bin + first)
    time, bin = np.concatenate(times), np.concatenate(bins)
    order = np.lexsort((bin, np.rint(time)))
    return Landmarks(time[order], bin[order])


def _highest_around(table: Magnitudes) -> Magnitudes:
    """The maximum over REACH rows before and after each, by whole-row maxima: several times faster than scipy's filter."""
    padded = np.zeros((len(table) + 2 * REACH, table.shape[1]), np.float32)
    padded[REACH:-REACH] = table
    highest = padded[: len(table)].copy()
    for row in range(1, 2 * REACH + 1):
        np.maximum(highest, padded[row : row + len(table)], out=highest)
    return highest


def _summit(band: Magnitudes, time: Integers, bin: Integers) -> npt.NDArray[np.float64]:
    """Where between frames each peak is highest, in [-0.5, 0.5], by a parabola through three log magnitudes."""
    summit = np.zeros(len(time))
    inside = (time > 0) & (time < len(band) - 1)
    before, at, after = (np.log(band[time[inside] + step, bin[inside]] + 1e-6) for step in (-1, 0, 1))
    summit[inside] = np.clip(0.5 * (before - after) / np.minimum(before - 2 * at + after, -1e-6), -0.5, 0.5)
    return summit


def hashes(marks: Landmarks) -> tuple[Hashes, Integers]:
    """The hashes of every landmark with two of its nearest successors in its band, and the frame of the landmark.

    A hash is made of the band, the first bin, and the differences in frames and bins to the other two, in 31 bits.
    """
    found, frames = [], []
    for band, (first, last, _) in enumerate(LANDMARK_BANDS):
        chosen = (marks.bin >= first) & (marks.bin < last)
        time, bin = marks.time[chosen], marks.bin[chosen] - first
        seen = np.arange(len(time))[:, None] + np.arange(1, SUCCESSORS_SEEN + 1)
        exists = seen < len(time)
        seen = np.where(exists, seen, 0)
        later, higher = np.rint(time[seen] - time[:, None]).astype(np.int64), bin[seen] - bin[:, None]
        usable = exists & (later >= 0) & (later <= ZONE) & (np.abs(higher) <= ZONE)
        distance = np.where(usable, later + 0.5 * np.abs(higher), np.inf)
        nearest = np.sort(np.argsort(distance, axis=1, kind="stable")[:, :SUCCESSORS_PAIRED], axis=1)
        later, higher, usable = (np.take_along_axis(table, nearest, axis=1) for table in (later, higher, usable))
        for j in range(SUCCESSORS_PAIRED):
            for k in range(j + 1, SUCCESSORS_PAIRED):
                rows = np.flatnonzero(usable[:, j] & usable[:, k])
                value = 2 * bin[rows] + band
                for table, size in ((later[:, j], 32), (later[:, k], 32), (higher[:, j] + 32, 64), (higher[:, k] + 32, 64)):
                    value = value * size + table[rows]
                found.append(value)
                frames.append(np.rint(time[rows]).astype(np.int64))
    return np.concatenate(found).astype(np.uint64), np.concatenate(frames)
