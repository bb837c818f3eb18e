"""Levels, ramps, noise, band limits and signal-to-noise ratios of waveforms.

Waveforms are float64 arrays of shape (n_samples,), full scale 1, unless a function says otherwise. Levels are in dB
relative to full scale: a constant 1 has a peak and an RMS of 0 dBFS.
"""

from functools import cache
from typing import Literal, overload

import numpy as np
import numpy.typing as npt
import scipy

from earwitness.audio.io import SAMPLE_RATE
from earwitness.core.errors import InputError

Samples = npt.NDArray[np.float64]
NoiseColour = Literal["white", "pink", "speech_shaped"]

LOWEST_PINK_HZ = 20.0
"""Pink noise has no power below this; otherwise a third of it would be too low to hear, and would not mask anything."""

SPEECH_SPECTRUM_DB = {
    63: 38.6, 80: 43.5, 100: 54.4, 125: 57.7, 160: 56.8, 200: 60.2, 250: 60.3, 315: 59.0, 400: 62.1, 500: 62.1, 630: 60.5,
    800: 56.8, 1000: 53.7, 1250: 53.0, 1600: 52.0, 2000: 48.7, 2500: 48.1, 3150: 46.8, 4000: 45.6, 5000: 44.5, 6300: 44.3,
    8000: 43.7,
}  # fmt: skip
"""Centre of a third of an octave in Hz -> its level in dB SPL in speech of 70 dB SPL, the mean over men, women and twelve
languages (Byrne et al. 1994, An international comparison of long-term average speech spectra, J. Acoust. Soc. Am. 96,
2108-2120, table II)."""

ACTIVITY_FRAME = SAMPLE_RATE // 100
ACTIVITY_MARGIN_DB = 15.9
ACTIVITY_HANGOVER = 20
"""What counts as active: frames in samples, dB below the active level, and frames after the last loud one."""

FILTER_ORDER = 6


def samples_of(milliseconds: float) -> int:
    """Samples in a stretch of time at 16 kHz."""
    return round(milliseconds * SAMPLE_RATE / 1000)


@overload
def amplitude(level_db: float) -> float: ...


@overload
def amplitude(level_db: npt.NDArray[np.floating]) -> Samples: ...


def amplitude(level_db: float | npt.NDArray[np.floating]) -> float | Samples:
    """The factor on amplitudes that a level in dB means; for an array, of each."""
    return 10 ** (level_db / 20)


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


def active_samples(samples: Samples) -> npt.NDArray[np.bool_]:
    """Which samples belong to the active part of a waveform, shape (n_samples,); all of them where it is silent.

    After ITU-T P.56, with its margin and hangover, but in frames of 10 ms (the last may be shorter) in place of its
    envelope, so that it is defined for 20 ms too. A frame is loud where its mean power is no more than 15.9 dB below the
    active level, which is the mean power of the active frames; active are the loud frames and those up to 200 ms after one.
    The least such level is found by leaving out frames until none is too soft: each pass can only raise it.
    """
    starts = np.arange(0, len(samples), ACTIVITY_FRAME)
    lengths = np.diff(starts, append=len(samples))
    energy = np.add.reduceat(np.square(samples), starts)
    frames = np.arange(len(starts))
    active = np.ones(len(starts), dtype=bool)
    while True:
        level = energy[active].sum() / lengths[active].sum()
        loud = energy / lengths >= level * 10 ** (-ACTIVITY_MARGIN_DB / 10)
        last_loud = np.maximum.accumulate(np.where(loud, frames, -ACTIVITY_HANGOVER - 1))
        remaining = frames - last_loud <= ACTIVITY_HANGOVER
        if (remaining == active).all():
            return np.repeat(active, lengths)
        active = remaining


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


def coloured_noise(colour: NoiseColour, length: int, rng: np.random.Generator) -> Samples:
    """Gaussian noise with an RMS of exactly 1 over its length.

    colour: "white" has the same power at every frequency up to 8 kHz; "pink" has the same power in every octave from
    20 Hz up; "speech_shaped" has the long-term average spectrum of speech, SPEECH_SPECTRUM_DB, from 56 Hz up.
    Noise that is not white is shaped over at least a second and then cut, so that its spectrum does not depend on its length.
    length: in samples, at least 1. Returns shape (length,).
    """
    if colour == "white":
        noise = rng.standard_normal(length)
    else:
        shaped = scipy.fft.next_fast_len(max(length, SAMPLE_RATE), real=True)
        noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(shaped)) * _spectral_gains(colour, shaped), shaped)[:length]
    return noise / np.sqrt(mean_square(noise))


@cache
def _spectral_gains(colour: NoiseColour, length: int) -> Samples:
    """Amplitude of each frequency of a real Fourier transform of `length` samples."""
    frequencies = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    gains = np.zeros_like(frequencies)
    if colour == "pink":
        audible = frequencies >= LOWEST_PINK_HZ
        gains[audible] = frequencies[audible] ** -0.5
    else:
        centres = np.array(list(SPEECH_SPECTRUM_DB), dtype=np.float64)
        audible = frequencies >= centres[0] * 2 ** (-1 / 6)
        levels = np.interp(np.log(frequencies[audible]), np.log(centres), list(SPEECH_SPECTRUM_DB.values()))
        # The width of a third of an octave is proportional to its centre.
        gains[audible] = amplitude(levels) * frequencies[audible] ** -0.5
    return gains


def limit_band(samples: Samples, low_hz: float, high_hz: float) -> Samples:
    """Keep what lies between two frequencies, without shifting anything in time.

    A Butterworth band-pass of order 6 for each edge, run forwards and backwards: zero phase, -6 dB at the edges, 72 dB
    per octave beyond. The waveform is continued by its mirror image for up to 0.1 s at both ends.
    0 < low_hz < high_hz < 8000. Returns the same shape.
    """
    return scipy.signal.sosfiltfilt(_band_filter(low_hz, high_hz), samples, padlen=min(len(samples) - 1, SAMPLE_RATE // 10))


@cache
def _band_filter(low_hz: float, high_hz: float) -> Samples:
    return scipy.signal.butter(FILTER_ORDER, (low_hz, high_hz), "bandpass", fs=SAMPLE_RATE, output="sos")


def scale_to_snr(noise: Samples, signal_power: float, snr_db: float) -> Samples:
    """The noise, scaled so that the signal's power over the mean square of the result is snr_db.

    Both must have some power.
    """
    return noise * np.sqrt(signal_power / mean_square(noise)) / amplitude(snr_db)


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
