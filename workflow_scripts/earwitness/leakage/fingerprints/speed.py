"""Copies that were played faster or slower: how much, by their landmarks, and their correlation once that is undone.

A copy at another speed drifts away from its original by 10 ms a second and per cent, so that nothing correlates. Over a few
frames the drift is small, so the index still proposes the pair, and many landmarks coincide.
"""

import numpy as np
import numpy.typing as npt
import soxr

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.leakage.fingerprints.alignment import MIN_SUPPORTED_INFORMATION, Alignment, aligned_correlation, least_overlap
from earwitness.leakage.fingerprints.landmarks import HOP, Integers, Landmarks, landmarks

MIN_SHARE, LEAST_SHARE, DRIFT_S = 0.45, 0.25, 3.0
"""Share of landmarks that coincide from which another speed is tried; unrelated sounds have half of that. After so many seconds a
copy has drifted apart from its original, so of longer audio a smaller share is asked for, down to the second number."""

SPEEDS = 1 + np.arange(-30, 31) / 1000
"""Tried: up to 3 % slower and faster."""

EQUAL = len(SPEEDS) // 2
"""The place of no change among them."""

LEAST_CHANGE, LEAST_GAIN = 0.002, 1.1
"""How far from 1 a speed is, and how many times as many landmarks coincide with it as without."""

MOST_CHANGE = 1.5 * float(abs(SPEEDS - 1).max())
"""How far from 1 an estimate may be."""

NEAR_FRAMES, NEAR_BINS = 0.75, 1.5
"""How far coinciding landmarks may be apart once the speed is undone."""

MIN_MATCHED = 12
"""Landmarks."""

TRIES, STEP_S = 4, 0.00025
"""Speeds tried on either side of the estimate, apart by what moves the end of the audio by this many seconds."""


def worth_another_speed(share: float, seconds: float) -> bool:
    """May audio be a copy at another speed, by its length and the share of its landmarks that coincide?"""
    return share >= max(LEAST_SHARE, MIN_SHARE * min(1.0, DRIFT_S / seconds))


def may_overlap(a: int, b: int, shift: int) -> bool:
    """Can waveforms of those lengths (samples) overlap for long enough to be judged, at the shift or at any that another speed leads to?

    Matched landmarks are near the shift (see relative_speed); the speed moves what they agree on, and the end of the second waveform.
    """
    moved = 3 * HOP + (abs(SPEEDS - 1).max() + 2 * MOST_CHANGE) * max(a, b)
    overlap = min(a, b + shift) - max(0, shift)
    return bool(overlap + moved >= least_overlap(min(a, b * (1 - MOST_CHANGE))))


def aligned_at_other_speed(a: Waveform, b: Waveform, shift: int) -> Alignment:
    """Compare two waveforms of which one may be a faster or slower copy of the other.

    shift: samples by which the audio comes later in `a`, somewhere in it.
    Returns the alignment of `a` with `b` at the speed of `a`; correlation and information are 0 where no other speed fits better.
    """
    best = Alignment(0.0, float(shift), 0.0)
    if not may_overlap(len(a), len(b), shift):
        return best
    found = relative_speed(landmarks([a]), landmarks([b]), shift / HOP)
    if found is None:
        return best
    estimate, offset = found
    for step in sorted(range(-TRIES, TRIES + 1), key=abs):
        speed = estimate + step * STEP_S * SAMPLE_RATE / min(len(a), len(b))
        undone = soxr.resample(b, SAMPLE_RATE, SAMPLE_RATE * speed).astype(np.float32)
        alignment = aligned_correlation(a, undone, round(offset * HOP))
        if alignment.information > best.information:
            best = alignment._replace(speed=speed)
        elif best.information >= MIN_SUPPORTED_INFORMATION:
            break
    return best


def relative_speed(a: Landmarks, b: Landmarks, shift: float) -> tuple[float, float] | None:
    """How many times as fast as `a` the audio of `b` is, and by how many frames it comes later in `a` once that is undone.

    shift: the same in frames, right somewhere in the audio. None where most landmarks coincide at an equal speed, or too few at all.
    """
    if not len(a.time) or not len(b.time):
        return None
    most = abs(SPEEDS - 1).max()
    reach = 2 + most * max(a.time[-1], b.time[-1])
    near = (np.abs(a.time[:, None] - b.time - shift) <= reach) & (np.abs(a.bin[:, None] - b.bin) <= NEAR_BINS + most * b.bin)
    i, j = np.nonzero(near)
    offsets = a.time[i] - SPEEDS[:, None] * b.time[j]
    usable = np.abs(b.bin[j] - SPEEDS[:, None] * a.bin[i]) <= NEAR_BINS
    needed = max(MIN_MATCHED, LEAST_GAIN * _most_agreeing(offsets[EQUAL], usable[EQUAL])[0])
    # Few speeds can have so many matches, and only these are looked at closely.
    matches = {k: _most_agreeing(offsets[k], usable[k]) for k in np.flatnonzero(_at_most_agreeing(offsets, usable) >= needed).tolist()}
    best = max(matches, key=lambda k: matches[k][0], default=EQUAL)
    if best == EQUAL or matches[best][0] < needed:
        return None
    speed, offset = float(SPEEDS[best]), matches[best][1]
    for _ in range(2):
        fits = (np.abs(a.time[i] - speed * b.time[j] - offset) <= NEAR_FRAMES) & (np.abs(b.bin[j] - speed * a.bin[i]) <= NEAR_BINS)
        # Landmarks of one moment tell no speed.
        if fits.sum() < MIN_MATCHED or np.ptp(b.time[j][fits]) == 0:
            return None
        speed, offset = map(float, np.polyfit(b.time[j][fits], a.time[i][fits], 1))
    return (speed, offset) if LEAST_CHANGE <= abs(speed - 1) <= MOST_CHANGE else None


def _at_most_agreeing(offsets: npt.NDArray[np.float64], usable: npt.NDArray[np.bool_]) -> Integers:
    """A bound on the number that _most_agreeing finds, for every row: offsets in two neighbouring bins of its width."""
    bins = np.floor((offsets - offsets.min(initial=0.0)) / (2 * NEAR_FRAMES)).astype(np.int64)
    n_bins = int(bins.max(initial=0)) + 2
    row = np.arange(len(offsets))[:, None] * n_bins
    counts = np.bincount((row + bins)[usable], minlength=len(offsets) * n_bins).reshape(len(offsets), n_bins)
    return (counts[:, :-1] + counts[:, 1:]).max(axis=1)


def _most_agreeing(offsets: npt.NDArray[np.float64], usable: npt.NDArray[np.bool_]) -> tuple[int, float]:
    """How many usable offsets lie within NEAR_FRAMES of one another's middle, at most, and that middle."""
    ordered = np.sort(offsets[usable])
    if not len(ordered):
        return 0, 0.0
    last = np.searchsorted(ordered, ordered + 2 * NEAR_FRAMES, side="right")
    counts = last - np.arange(len(ordered))
    first = int(np.argmax(counts))
    return int(counts[first]), float(ordered[first : last[first]].mean())
