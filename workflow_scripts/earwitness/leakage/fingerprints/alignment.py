"""Are two waveforms copies? Their correlation at the best lag, and how far it can be trusted."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.leakage.fingerprints.landmarks import FRAME, HOP, WINDOW

CORRELATED_BANDS_HZ = ((20.0, 500.0), (300.0, 3400.0), (20.0, 7600.0))
"""Bands in which pairs are correlated, the best one counts: a copy may have lost its upper half, or all but its rumble in
noise."""

SLACK = 2 * HOP
"""Samples by which the lag may differ from the shift that the hashes agree on."""

MIN_OVERLAP_S, MIN_OVERLAP_SHARE = 0.5, 0.75
"""Seconds of overlap that are judged, or this share of the shorter waveform where that is less; unrelated tones agree for a while."""

LOST_BETWEEN_LAGS = 1.7
"""How much higher than at whole samples the correlation may be between them."""

FEWEST_JUDGED = 0.3
"""Correlation below which a pair is not looked at any closer."""

OCTAVE_BINS = ((2, 4), (6, 9), (12, 17), (20, 32), (36, 64), (68, 126), (130, 250))
"""First and last bin (exclusive) of the bands of a frame, about an octave each, 62 Hz to 7.8 kHz, further apart than the
two bins of a tone's main lobe: one tone is in one band."""

QUIET, FEWEST_FRAMES = 1e-4, 15
"""A frame this much below the loudest, in power, on either side tells nothing; fewer frames than that count as that many."""

MOST_INFORMATION = 2.0
"""Nats; more counts as that much, or two pure tones of one pitch would need no support."""

MIN_SUPPORTED_INFORMATION = 0.4
"""Nats, for an overlap of a second or more, and more for a shorter one, as unrelated short sounds agree further by chance.
Set on synthetic sounds and on one half of some real recordings; see benchmarks/README.md for the other."""

LONGEST_WEIGHT = 2.0
"""Of an overlap of four seconds or more."""

LEAST_AGREEMENT = 0.3
"""Agreement of short frames from which a pair counts together with others of the same two sources. What agrees less has at
most two octave bands in common, which every stretch of two tones of one pitch has: that does not add up."""

QUARTERS = np.arange(-3, 4) / 4
"""Samples: where between whole lags the correlation is looked at."""

TURNED_TOGETHER = 128
"""Bins in a row whose phases are turned by one factor each and a common one."""

Spectrum = npt.NDArray[np.complexfloating]


class Alignment(NamedTuple):
    """How alike two waveforms are where they overlap, and at which lag.

    correlation: absolute value, in [0, 1]; lag: samples; information: nats that support the correlation (see
    MIN_SUPPORTED_INFORMATION); inverted: one waveform is the other times a negative number; speed: how many times as fast
    as the first the audio of the second is.
    """

    correlation: float
    lag: float
    information: float
    inverted: bool = False
    speed: float = 1.0


def aligned_correlation(a: Waveform, b: Waveform, shift: int) -> Alignment:
    """Compare two waveforms where they overlap.

    shift: samples by which the audio comes later in `a`, right within SLACK.
    Returns the absolute normalised cross-correlation of the best band with its support, both 0 where the overlap is too
    short or silent, or only a tone or click agrees (see LEAST_AGREEMENT). A copy of the opposite polarity sounds the same,
    so the sign only decides `inverted`.
    """
    left, right = (a[shift:], b) if shift >= 0 else (a, b[-shift:])
    n = min(len(left), len(right))
    unlike = Alignment(0.0, float(shift), 0.0)
    if n < least_overlap(min(len(a), len(b))):
        return unlike
    size = fft.next_fast_len(n + SLACK, real=True)
    # Without a taper, a tone that both have leaks into every frequency.
    taper = _taper(n)
    spectra = [fft.rfft(side[:n] * taper, size) for side in (left, right)]
    cross = spectra[0] * spectra[1].conj()
    powers = [np.square(spectrum.real) + np.square(spectrum.imag) for spectrum in spectra]
    best, lag, sign = 0.0, 0.0, 1.0
    for low, high in CORRELATED_BANDS_HZ:
        band = slice(math.ceil(low * size / SAMPLE_RATE), math.ceil(high * size / SAMPLE_RATE))
        scale = math.sqrt(math.prod(float(power[band].sum(dtype=np.float64)) for power in powers))
        if scale <= 0:
            continue
        correlation, at = _highest_correlation(cross, band, size, scale, max(best, FEWEST_JUDGED))
        if abs(correlation) > best:
            best, lag, sign = min(abs(correlation), 1.0), at, math.copysign(1.0, correlation)
    if best == 0.0:
        return unlike
    coarse, fine = _turning(-2 * np.pi * lag / size, 0, len(cross))
    delayed = fft.irfft(spectra[1] * np.outer(coarse, fine).ravel()[: len(cross)].astype(np.complex64), size)[:n]
    information = min(-math.log(max(1 - best**2, 1e-9)), MOST_INFORMATION) * _weight(n / SAMPLE_RATE)
    agreement = sign * _frame_agreement(left[:n] * taper, delayed)
    if agreement < LEAST_AGREEMENT and information * agreement < MIN_SUPPORTED_INFORMATION:
        return unlike
    return Alignment(best, shift + lag, information * agreement, sign < 0)


def least_overlap(shorter: float) -> float:
    """Samples of overlap from which two waveforms are judged, by the length of the shorter."""
    return max(min(MIN_OVERLAP_S * SAMPLE_RATE, MIN_OVERLAP_SHARE * shorter), 2 * SLACK)


def _weight(seconds: float) -> float:
    """How much an overlap of that length counts: in full at a second, and then with its root, as the mean over frames errs."""
    return min(seconds, math.sqrt(seconds), LONGEST_WEIGHT)


@lru_cache(maxsize=64)
def _taper(n: int) -> Waveform:
    return np.hanning(n).astype(np.float32)


def _highest_correlation(cross: Spectrum, band: slice, size: int, scale: float, needed: float) -> tuple[float, float]:
    """The correlation of a band that is furthest from 0 within SLACK, to a quarter of a sample, and its lag; 0 where it is
    nearer to 0 than `needed`."""
    only = np.zeros_like(cross)
    only[band] = cross[band]
    by_lag = fft.irfft(only, size)
    near = np.concatenate([by_lag[-SLACK:], by_lag[:SLACK]])
    distance = np.abs(near)
    whole = int(np.argmax(distance)) - SLACK
    # irfft halves the sum over bins and divides by the size.
    if LOST_BETWEEN_LAGS * float(distance.max()) * size / 2 < needed * scale:
        return 0.0, 0.0
    # To either side, where the audio was resampled in between.
    within = cross[band]
    table = np.zeros((-(-len(within) // TURNED_TOGETHER), TURNED_TOGETHER), np.complex128)
    table.reshape(-1)[: len(within)] = within
    lags = whole + QUARTERS
    first, quarter = (_turning(2 * np.pi * lag / size, band.start, len(within)) for lag in (lags[0], 0.25))
    coarse, fine = (np.cumprod([start, *[step] * (len(lags) - 1)], axis=0) for start, step in zip(first, quarter, strict=True))
    sums = [float(value) / scale for value in np.sum((coarse @ table) * fine, axis=1).real]
    at = int(np.argmax(np.abs(sums)))
    return (sums[at], float(lags[at])) if abs(sums[at]) >= needed else (0.0, 0.0)


def _turning(angle: float, first: int, count: int) -> tuple[npt.NDArray[np.complex128], npt.NDArray[np.complex128]]:
    """exp(i k angle) for `count` numbers k from `first` on, in rows of TURNED_TOGETHER: what each row's first is, and what the others are to it.

    Their outer product has them all, for a hundredth of the exponentials.
    """
    rows = first + TURNED_TOGETHER * np.arange(-(-count // TURNED_TOGETHER))
    return np.exp(1j * angle * rows), np.exp(1j * angle * np.arange(TURNED_TOGETHER))


def _frame_agreement(a: Waveform, b: Waveform) -> float:
    """The mean correlation of frames in octave bands, each counting the same: near 0 where two aligned waveforms of one
    length share only a tone or a click."""
    frames = [fft.rfft(np.lib.stride_tricks.sliding_window_view(side, FRAME)[:: FRAME // 2] * WINDOW, axis=1) for side in (a, b)]
    edges = np.ravel(OCTAVE_BINS)
    products, *powers = (
        np.add.reduceat(table, edges, axis=1)[:, ::2]
        for table in ((frames[0] * frames[1].conj()).real, *(np.square(np.abs(side)) for side in frames))
    )
    sounding = np.logical_and(*(power.sum(axis=1) > QUIET * power.sum(axis=1).max(initial=0.0) for power in powers))
    scale = np.sqrt(np.prod(powers, axis=0))
    correlations = products / np.where(scale > 0, scale, 1)
    return float(correlations[sounding].sum()) / len(OCTAVE_BINS) / max(int(sounding.sum()), FEWEST_FRAMES)
