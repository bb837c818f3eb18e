"""The level of what a model hears, where that is not the level that the stimuli were made at."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from earwitness.audio.io import SAMPLE_RATE, Waveform, dbfs


@dataclass(frozen=True)
class Level:
    """normalisation: "stimuli" leaves a stimulus as it is; "peak" brings the largest sample of its window to level_dbfs,
    "rms" the RMS of its segment."""

    normalisation: Literal["stimuli", "peak", "rms"] = "stimuli"
    level_dbfs: float = 0.0

    def applied(self, window: Waveform, duration_ms: int) -> Waveform:
        """A stimulus at this level; segment, noise and floor get the same gain, so SNRs stay.

        window: shape (n_samples,), full scale 1, with the segment of `duration_ms` in its middle. Samples may come to lie
        beyond full scale, where they are not clipped. A silent stimulus stays as it is.
        """
        if self.normalisation == "stimuli":
            return window
        length = min(round(duration_ms * SAMPLE_RATE / 1000), len(window))
        first = (len(window) - length) // 2
        level = dbfs(window[first : first + length]) if self.normalisation == "rms" else 20 * np.log10(max(np.abs(window).max(), 1e-12))
        return window * np.float32(10 ** ((self.level_dbfs - level) / 20)) if np.abs(window).max() > 0 else window
