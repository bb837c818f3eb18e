"""The window in which a sound is heard: ramped, in the middle of a soft noise floor, at a set level. Stimuli and detectors use the same one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from earwitness.audio.acoustics import (
    Samples,
    amplitude,
    coloured_noise,
    normalise_peak,
    normalise_rms,
    peak_dbfs,
    raised_cosine_ramp,
    samples_of,
)
from earwitness.audio.io import Waveform, dbfs, encode_flac


def middle(window: int, length: int) -> slice:
    """Where a segment of `length` samples lies in a window of `window` samples."""
    first = (window - length) // 2
    return slice(first, first + length)


@dataclass(frozen=True)
class Level:
    """normalisation: "peak" brings the largest sample of a window to level_dbfs, "rms" the RMS of its segment; "stimuli" leaves it as it is."""

    normalisation: Literal["stimuli", "peak", "rms"] = "stimuli"
    level_dbfs: float = 0.0

    def measured(self, window: npt.NDArray[np.floating], during: slice) -> float:
        """The level, in dBFS, that a window with its segment at `during` has; -inf where it is silent."""
        return dbfs(window[during]) if self.normalisation == "rms" else peak_dbfs(window)

    def applied(self, window: Waveform, duration_ms: int) -> Waveform:
        """A stimulus at this level; segment, noise and floor get the same gain, so SNRs stay.

        window: shape (n_samples,), full scale 1, with the segment of `duration_ms` in its middle. Samples may come to lie
        beyond full scale, where they are not clipped. A silent stimulus stays as it is.
        """
        if self.normalisation == "stimuli" or not np.any(window):
            return window
        level = self.measured(window, middle(len(window), min(samples_of(duration_ms), len(window))))
        return window * np.float32(amplitude(self.level_dbfs - level))


class Mixture(NamedTuple):
    """A window before it is coded: samples = gain * sound + floor, with the sound at `during`."""

    samples: Samples
    gain: float
    floor: Samples
    during: slice


@dataclass(frozen=True)
class Window:
    """window_ms, ramp_ms: milliseconds. floor_dbfs: RMS of the noise floor over the window. level: of the finished window; "peak" or "rms"."""

    window_ms: int
    ramp_ms: float
    floor_dbfs: float
    level: Level

    def ramp(self, length: int) -> Samples:
        """The envelope of a segment, shape (length,). Raises InputError where two ramps do not fit into it."""
        return raised_cosine_ramp(length, samples_of(self.ramp_ms))

    def mixed(self, sound: Samples, rng: np.random.Generator, within_full_scale: bool = False) -> Mixture:
        """A sound in the middle of the floor, at the level.

        sound: segment and noise, with their ramps, shape (n_samples,); it has some power and fits into the window. The floor
        is white noise, drawn from rng. within_full_scale: where the level would clip, full scale is the level.
        Raises InputError where the floor alone reaches the level.
        """
        floor = amplitude(self.floor_dbfs) * coloured_noise("white", samples_of(self.window_ms), rng)
        during = middle(len(floor), len(sound))
        placed = np.zeros_like(floor)
        placed[during] = sound
        if self.level.normalisation == "peak":
            gain = normalise_peak(placed, floor, self.level.level_dbfs)
        else:
            gain = normalise_rms(placed[during], floor[during], self.level.level_dbfs)
        if within_full_scale:
            gain /= max(1.0, float(np.max(np.abs(gain * placed + floor))))
        return Mixture(gain * placed + floor, gain, floor, during)

    def presented(self, segment: Waveform, rng: np.random.Generator) -> Waveform:
        """A segment as the stimulus made of it without noise would be heard: 16 bits, shape (samples of the window,).

        segment: 16 kHz mono, full scale 1, shape (n_samples,). Raises InputError as `mixed`.
        """
        sound = segment.astype(np.float64) * self.ramp(len(segment))
        return as_coded(self.mixed(sound, rng, within_full_scale=True).samples)

    def is_silent(self, segment: Waveform) -> bool:
        """Whether nothing in a segment is above the floor that it would be put into."""
        return not len(segment) or float(np.max(np.abs(segment))) <= amplitude(self.floor_dbfs)


def coded(window: Samples) -> bytes:
    """A window as stimuli are stored: FLAC of 16 bits."""
    return encode_flac(window.astype(np.float32))


def as_coded(window: Samples) -> Waveform:
    """What is read of a window within full scale that was stored as `coded` stores it, without doing so."""
    full_scale = np.float32(0x8000)
    rounded = np.clip(np.rint(window.astype(np.float32) * full_scale), -full_scale, full_scale - 1)
    # Integers have no negative zero; adding zero makes it a positive one.
    return (rounded + np.float32(0)) / full_scale


def window_of(settings: Mapping[str, Any]) -> Window:
    """The window of the configuration's `stimuli` section, or of the `baseline` section and what it shares."""
    level = Level(settings["normalisation"], settings[f"{settings['normalisation']}_dbfs"])
    return Window(settings["window_ms"], settings["ramp_ms"], settings["floor_dbfs"], level)
