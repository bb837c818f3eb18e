"""How a sound is brought before the model: as the stimuli that its adapter was trained on were, in a window at a fixed level."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from earwitness.audio.acoustics import Samples, amplitude, coloured_noise, normalise_peak, normalise_rms, raised_cosine_ramp
from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.audio.levels import Level
from earwitness.core.randomness import stream

SHORTEST_MS = 20
"""Nothing shorter can be a stimulus."""


@dataclass(frozen=True)
class Presentation:
    """window_ms, ramp_ms: milliseconds. Levels as in earwitness.stimuli.mixing.StimulusDesign. shortest_ms, longest_ms: the stimuli's durations.
    level: what the recipe's adapter hears stimuli at."""

    window_ms: int
    floor_dbfs: float
    ramp_ms: float
    normalisation: str
    peak_dbfs: float
    rms_dbfs: float
    shortest_ms: int
    longest_ms: int
    level: Level = field(default_factory=Level)

    @property
    def longest(self) -> int:
        """Samples of the longest stimulus."""
        return round(self.longest_ms * SAMPLE_RATE / 1000)

    def stretches(self, n_samples: int) -> list[tuple[int, int]]:
        """First sample and end of the stretches that a sound is cut into: itself, or where it is longer than the longest
        stimulus, stretches of that length, each half a length after the one before and the last at the sound's end."""
        if n_samples <= self.longest:
            return [(0, n_samples)]
        starts = [*range(0, n_samples - self.longest, self.longest // 2), n_samples - self.longest]
        return [(start, start + self.longest) for start in starts]

    def is_silent(self, stretch: Waveform) -> bool:
        """Whether nothing in a stretch is above the floor that it would be put into."""
        return not len(stretch) or float(np.max(np.abs(stretch))) <= amplitude(self.floor_dbfs)

    def present(self, stretch: Waveform) -> Waveform:
        """The window that the model hears: a stretch, ramped, in the middle of the floor, at the set level (full scale, if that clips).

        stretch: 16 kHz mono, full scale 1, at most the longest stimulus. The floor is the same draw for every stretch.
        Returns float32, shape (samples of the window,).
        """
        floor = amplitude(self.floor_dbfs) * coloured_noise("white", round(self.window_ms * SAMPLE_RATE / 1000), stream(0, "presentation", "floor"))
        first = (len(floor) - len(stretch)) // 2
        during = slice(first, first + len(stretch))
        segment: Samples = stretch.astype(np.float64) * raised_cosine_ramp(len(stretch), round(self.ramp_ms * SAMPLE_RATE / 1000))
        sound = np.zeros_like(floor)
        sound[during] = segment
        if self.normalisation == "peak":
            gain = normalise_peak(sound, floor, self.peak_dbfs)
        else:
            gain = normalise_rms(segment, floor[during], self.rms_dbfs)
            loudest = float(np.max(np.abs(gain * sound + floor)))
            gain /= max(1.0, loudest)
        return self.level.applied((gain * sound + floor).astype(np.float32), round(1000 * len(stretch) / SAMPLE_RATE))


def presentation_of(stimuli: Mapping[str, Any], recipe: Mapping[str, Any]) -> Presentation:
    """How a recipe's adapter hears the factorial set. stimuli, recipe: sections of the configuration."""
    shared = ("window_ms", "floor_dbfs", "ramp_ms", "normalisation", "peak_dbfs", "rms_dbfs")
    durations = stimuli["durations_ms"]
    level = Level(recipe["normalisation"], recipe["level_dbfs"])
    return Presentation(**{name: stimuli[name] for name in shared}, shortest_ms=min(durations), longest_ms=max(durations), level=level)
