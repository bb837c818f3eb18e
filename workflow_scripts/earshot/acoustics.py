"""Levels, ramps, noise and signal-to-noise ratios of waveforms.

Waveforms are float64 arrays of shape (n_samples,), full scale 1, unless a function says otherwise. Levels are in dB
relative to full scale: a constant 1 has a peak and an RMS of 0 dBFS.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.fft import next_fast_len

from earshot.audio import SAMPLE_RATE
from earshot.errors import InputError

Samples = npt.NDArray[np.float64]
NoiseKind = Literal["white", "pink"]

LOWEST_PINK_HZ = 20.0
"""Pink noise has no power below this; otherwise a third of it would be too low to hear, and would not mask anything."""


def amplitude(level_db: float) -> float:
    """The factor on amplitudes that a level in dB means."""
    return float(10 ** (level_db / 20))


def mean_square(samples: npt.NDArray[np.floating]) -> float:
    """Mean power; the squares are summed in float64."""
    return float(np.mean(np.square(samples, dtype=np.float64)))


def power_ratio_db(signal: npt.NDArray[np.floating], noise: npt.NDArray[np.floating]) -> float:
    """Ratio of the mean squares of two waveforms in dB; +-inf where one is silent, NaN where both are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(10 * np.log10(np.float64(mean_square(signal)) / mean_square(noise)))


def peak_dbfs(samples: npt.NDArray[np.floating]) -> float:
    """Level of the largest absolute sample; -inf for silence."""
    with np.errstate(divide="ignore"):
        return float(20 * np.log10(np.max(np.abs(samples)).astype(np.float64)))


def loudest_stretch(samples: npt.NDArray[np.floating], length: int) -> int:
    """First sample of the stretch of `length` samples with the most energy; the earliest of equals.

    length: in 1..n_samples.
    """
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    return int(np.argmax(energy[length:] - energy[:-length]))


def raised_cosine_ramp(length: int, ramp: int) -> Samples:
    """An envelope that rises from 0 to 1 over the first `ramp` samples and falls over the last, as half a cosine period.

    length, ramp: in samples. Returns shape (length,), values in (0, 1], the same read from either end.
    Raises InputError where the two ramps do not fit into the length.
    """
    if 2 * ramp > length:
        raise InputError(f"two ramps of {ramp} samples do not fit into {length} samples; shorten the ramps (stimuli.ramp_ms)")
    envelope = np.ones(length)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / max(ramp, 1))
    envelope[:ramp] = rise
    envelope[length - ramp :] = rise[::-1]
    return envelope


def coloured_noise(kind: NoiseKind, length: int, rng: np.random.Generator) -> Samples:
    """Gaussian noise with an RMS of exactly 1 over its length.

    kind: "white" has the same power at every frequency up to 8 kHz; "pink" has the same power in every octave from
    20 Hz up. Pink noise is shaped over at least a second and then cut, so that its spectrum does not depend on its length.
    length: in samples, at least 1. Returns shape (length,).
    """
    if kind == "white":
        noise = rng.standard_normal(length)
    else:
        shaped = next_fast_len(max(length, SAMPLE_RATE), real=True)
        frequencies = np.fft.rfftfreq(shaped, 1 / SAMPLE_RATE)
        gains = np.zeros_like(frequencies)
        audible = frequencies >= LOWEST_PINK_HZ
        gains[audible] = frequencies[audible] ** -0.5
        noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(shaped)) * gains, shaped)[:length]
    return noise / np.sqrt(mean_square(noise))


def scale_to_snr(noise: Samples, signal: Samples, snr_db: float) -> Samples:
    """The noise, scaled so that the mean square of `signal` over that of the result is snr_db.

    Both waveforms must have some power, and are compared over their whole length.
    """
    return noise * np.sqrt(mean_square(signal) / mean_square(noise)) / amplitude(snr_db)


def normalise_peak(signal: Samples, floor: Samples, level_dbfs: float) -> float:
    """The gain at which the peak of gain * signal + floor is level_dbfs.

    signal, floor: the same length; signal has some power.
    The peak is a convex function of the gain, made of straight pieces: Newton's method, begun above the answer, goes
    down to it and ends on it exactly.
    Raises InputError where the floor alone reaches the level.
    """
    target, highest_floor = amplitude(level_dbfs), float(np.max(np.abs(floor)))
    if highest_floor >= target:
        raise InputError(f"the noise floor alone reaches the peak level of {level_dbfs:g} dBFS; lower stimuli.floor_dbfs or raise stimuli.peak_dbfs")
    gain = (target + highest_floor) / float(np.max(np.abs(signal)))
    while True:
        mixture = gain * signal + floor
        loudest = int(np.argmax(np.abs(mixture)))
        slope = np.sign(mixture[loudest]) * signal[loudest]
        step = (abs(mixture[loudest]) - target) / slope
        gain -= step
        if step <= 1e-12 * gain:
            return float(gain)


def normalise_rms(signal: Samples, floor: Samples, level_dbfs: float) -> float:
    """The gain at which the RMS of gain * signal + floor is level_dbfs.

    signal, floor: the same length; signal has some power.
    Raises InputError where the floor alone reaches the level.
    """
    excess = amplitude(level_dbfs) ** 2 - mean_square(floor)
    if excess <= 0:
        raise InputError(f"the noise floor alone reaches the RMS level of {level_dbfs:g} dBFS; lower stimuli.floor_dbfs or raise stimuli.rms_dbfs")
    power, cross = mean_square(signal), float(np.mean(signal * floor))
    return float((np.sqrt(cross**2 + power * excess) - cross) / power)
