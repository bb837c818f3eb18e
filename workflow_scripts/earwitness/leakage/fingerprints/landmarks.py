"""Landmarks of a waveform, and the hashes of them that survive gain, filtering, coding, noise and a little change of speed."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from earwitness.audio.io import SAMPLE_RATE, Waveform

FRAME, HOP = 512, 128
"""Samples: frames of 32 ms every 8 ms."""

LANDMARK_BANDS = ((1, 121, 60), (121, 250, 30))
"""First and last bin (exclusive; 31.25 Hz each), and landmarks per second: 31 to 3,750 Hz, and above to 7.8 kHz."""

STRETCH, STRETCH_SHARE = 31, 0.5
"""Frames (a quarter of a second), and the share of a band's landmarks that each gets at least. Otherwise one loud event
would take them all, and a copy that begins after it would have others."""

REACH = 2
"""Frames and bins, before and after, over which a landmark is the maximum."""

LOUDEST_SILENCE = 1e-3
"""Spectral magnitude (of a frame, full scale 1) below which there are no landmarks: under one step of 16-bit audio."""

SUCCESSORS_SEEN, SUCCESSORS_PAIRED, ZONE = 24, 4, 31
"""Later landmarks that are looked at, those of them that are nearest, and how far they may be in frames and in bins."""

Integers = npt.NDArray[np.int64]
Magnitudes = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_MOST_FRAMES = 1 << 20
"""More than a waveform has."""

WINDOW = np.hanning(FRAME).astype(np.float32)
"""Of a frame."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The spectral peaks of some waveforms, sorted by waveform, time and bin.

    time: frames, fractional; bin: number of the frequency bin; waveform: number of the waveform; all of shape (n_peaks,).
    """

    time: npt.NDArray[np.float64]
    bin: Integers
    waveform: Integers


class _Peaks(NamedTuple):
    """Local maxima of one band: frame and bin of each, and the magnitudes a frame before, there and a frame after; in the first and last
    frame all are those there."""

    frame: Integers
    bin: Integers
    before: Magnitudes
    at: Magnitudes
    after: Magnitudes


def landmarks(waveforms: Sequence[Waveform]) -> Landmarks:
    """The strongest local maxima of each waveform's magnitude spectrogram, per band; none in silence.

    Many at once take less time than one by one.
    """
    seconds = np.maximum(np.array([len(waveform) for waveform in waveforms]) / SAMPLE_RATE, 0.25)
    peaks = [_peaks(waveform) for waveform in waveforms]
    times, bins, owners = [], [], []
    for band, (first, _, per_second) in enumerate(LANDMARK_BANDS):
        owner = np.repeat(np.arange(len(waveforms)), [len(of_bands[band].frame) for of_bands in peaks])
        found = _Peaks(*(np.concatenate(column) for column in zip(*(of_bands[band] for of_bands in peaks), strict=True)))
        strong = _strongest(found, owner, np.ceil(per_second * seconds).astype(np.int64), STRETCH_SHARE * per_second * STRETCH * HOP / SAMPLE_RATE)
        found, owner = _Peaks._make(column[strong] for column in found), owner[strong]
        times.append(found.frame + _summit(found))
        bins.append(found.bin + first)
        owners.append(owner)
    time, bin, owner = np.concatenate(times), np.concatenate(bins), np.concatenate(owners)
    order = np.lexsort((bin, np.rint(time), owner))
    return Landmarks(time[order], bin[order], owner[order])


def _peaks(waveform: Waveform) -> list[_Peaks]:
    """The local maxima of each band."""
    n_frames = 1 + -(-len(waveform) // HOP)
    padded = np.zeros((n_frames - 1) * HOP + FRAME, np.float32)
    padded[FRAME // 2 : FRAME // 2 + len(waveform)] = waveform
    spectrum = np.abs(fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP] * WINDOW, axis=1))
    found = []
    for first, last, _ in LANDMARK_BANDS:
        band = spectrum[:, first:last]
        at = np.flatnonzero((band == _highest_around(band)) & (band > LOUDEST_SILENCE))
        frame, bin = np.divmod(at, last - first)
        aside = ((frame > 0) & (frame < n_frames - 1)).astype(np.int64)
        found.append(_Peaks(frame, bin, band[frame - aside, bin], band[frame, bin], band[frame + aside, bin]))
    return found


def _highest_around(table: Magnitudes) -> Magnitudes:
    """The maximum over REACH rows and columns before and after each, by maxima of whole tables: several times faster than scipy's filter."""
    padded = np.zeros((len(table) + 2 * REACH, table.shape[1] + 2 * REACH), np.float32)
    padded[REACH:-REACH, REACH:-REACH] = table
    for _ in range(2):
        padded = reduce(np.maximum, (padded[step : len(padded) - 2 * REACH + step] for step in range(2 * REACH + 1))).T
    return padded


def _strongest(peaks: _Peaks, owner: Integers, most: Integers, most_of_stretch: float) -> Mask:
    """Which peaks are among the strongest of their waveform, or of their stretch of it.

    most: how many of each waveform, and where the next are as strong, these too; most_of_stretch: how many of each stretch are fewer than that.
    """
    counts = np.bincount(owner, minlength=len(most))
    many = counts > most
    in_waveform = _by_strength(owner, peaks.at)
    last = np.zeros(len(most), np.float32)
    last[many] = peaks.at[in_waveform][(np.cumsum(counts) - counts + most - 1)[many]]
    stretch = owner * _MOST_FRAMES + peaks.frame // STRETCH
    in_stretch = _by_strength(stretch, peaks.at)
    rank = np.empty(len(owner), np.int64)
    rank[in_stretch] = np.arange(len(owner)) - np.searchsorted(stretch, stretch)
    return ~many[owner] | (rank < most_of_stretch) | (peaks.at >= last[owner])


def _by_strength(group: Integers, level: Magnitudes) -> Integers:
    """The order by group and falling level, equals as they come; levels are positive, so their bits are ordered as they are."""
    return np.argsort((group.astype(np.uint64) << np.uint64(32)) | (~level.view(np.uint32)).astype(np.uint64), kind="stable")


def _summit(peaks: _Peaks) -> npt.NDArray[np.float64]:
    """Where between frames each peak is highest, in [-0.5, 0.5], by a parabola through three log magnitudes; 0 at the ends."""
    before, at, after = (np.log(level + 1e-6) for level in (peaks.before, peaks.at, peaks.after))
    return np.clip(0.5 * (before - after) / np.minimum(before - 2 * at + after, -1e-6), -0.5, 0.5)


def hashes(marks: Landmarks) -> tuple[Hashes, Integers, Integers]:
    """The hashes of every landmark with two of its nearest successors in its band, its frame, and the number of its waveform, in no order.

    A hash is made of the band, the first bin, and the differences in frames and bins to the other two, in 31 bits.
    """
    found, frames, owners = [], [], []
    for band, (first, last, _) in enumerate(LANDMARK_BANDS):
        chosen = (marks.bin >= first) & (marks.bin < last)
        time, bin, owner = marks.time[chosen], marks.bin[chosen] - first, marks.waveform[chosen]
        place, later, higher = _successors(time, bin, owner)
        for j, k in itertools.combinations(range(SUCCESSORS_PAIRED), 2):
            rows = np.flatnonzero(place[k] < SUCCESSORS_SEEN)
            value = 2 * bin[rows] + band
            for table, size in ((later[j], 32), (later[k], 32), (higher[j] + 32, 64), (higher[k] + 32, 64)):
                value = value * size + table[rows]
            found.append(value)
            frames.append(np.rint(time[rows]).astype(np.int64))
            owners.append(owner[rows])
    return np.concatenate(found).astype(np.uint64), np.concatenate(frames), np.concatenate(owners)


def _successors(time: npt.NDArray[np.float64], bin: Integers, owner: Integers) -> tuple[Integers, Integers, Integers]:
    """The nearest successors of every landmark of a band, in order: how many landmarks later each is, less one, and how many frames later and bins
    higher, all of shape (SUCCESSORS_PAIRED, n); the first is SUCCESSORS_SEEN where there are fewer."""
    count, none = len(time), np.int16(np.iinfo(np.int16).max)
    later, higher, distance = (np.empty((SUCCESSORS_SEEN, count), np.int16) for _ in range(3))
    beyond = np.zeros(SUCCESSORS_SEEN, np.int64)
    times, bins, owners = np.concatenate([time, beyond]), np.concatenate([bin, beyond]).astype(np.int16), np.concatenate([owner, beyond - 1])
    for step in range(SUCCESSORS_SEEN):
        after = slice(step + 1, step + 1 + count)
        later[step] = np.clip(np.rint(times[after] - time), -1, ZONE + 1)
        higher[step] = bins[after] - bins[:count]
        away = np.abs(higher[step])
        usable = (owners[after] == owner) & (later[step] >= 0) & (later[step] <= ZONE) & (away <= ZONE)
        # Twice the distance, and of equals the first: no two of a landmark are the same.
        distance[step] = np.where(usable, (2 * later[step] + away) * 32 + step, none)
    place = np.empty((SUCCESSORS_PAIRED, count), np.int64)
    for nth in range(SUCCESSORS_PAIRED):
        nearest = distance.min(axis=0)
        place[nth] = np.where(nearest < none, nearest % 32, SUCCESSORS_SEEN)
        distance[distance == nearest] = none
    place.sort(axis=0)
    there = np.minimum(place, SUCCESSORS_SEEN - 1)
    frames, steps = (np.take_along_axis(table, there, axis=0).astype(np.int64) for table in (later, higher))
    return place, frames, steps
