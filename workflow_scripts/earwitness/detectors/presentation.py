"""How a stretch of a recording is brought before a detector's model: as the stimuli that its adapter was trained on were."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.audio.window import Level, Window, window_of
from earwitness.core.randomness import stream


@dataclass(frozen=True)
class Presentation:
    """window: that of the stimuli. shortest_ms, longest_ms: the stimuli's durations. level: what the recipe's adapter hears stimuli at."""

    window: Window
    shortest_ms: int
    longest_ms: int
    level: Level = field(default_factory=Level)

    def present(self, stretch: Waveform) -> Waveform:
        """The window that the model hears, float32, shape (samples of the window,); the floor is the same draw for every stretch.

        stretch: 16 kHz mono, full scale 1, at most the longest stimulus.
        """
        presented = self.window.presented(stretch, stream(0, "presentation", "floor"))
        return self.level.applied(presented, round(1000 * len(stretch) / SAMPLE_RATE))


def presentation_of(stimuli: Mapping[str, Any], recipe: Mapping[str, Any]) -> Presentation:
    """How a recipe's adapter hears the factorial set. stimuli, recipe: sections of the configuration."""
    durations = stimuli["durations_ms"]
    level = Level(recipe["normalisation"], recipe["level_dbfs"])
    return Presentation(window_of(stimuli), shortest_ms=min(durations), longest_ms=max(durations), level=level)
