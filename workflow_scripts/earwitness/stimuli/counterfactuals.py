"""Stimuli changed in what should not matter: where they lie in their window, how long it is, how loud they are; and what they say."""

import numpy as np
import pandas as pd

from earwitness.audio.acoustics import amplitude, samples_of
from earwitness.audio.io import Waveform
from earwitness.audio.window import middle
from earwitness.core.randomness import stream

MOST_STIMULI = 200
"""Stimuli that a model is asked about, half of each class; each in every variant."""

GAIN_DB = 6.0

CHANGES = ("earlier", "later", "less padded", "more padded", "quieter", "louder")
"""Variants whose answer should stay the same."""

CARRIER = "carrier"
"""The variant without a class: noise in the place, of the length and at the level of the segment."""


def probed(stimuli: pd.DataFrame, seed: int) -> pd.DataFrame:
    """At most MOST_STIMULI rows, drawn without regard to anything but their class; columns stimulus_id and label."""
    drawn = [
        rows.sort_values("stimulus_id").iloc[np.sort(stream(seed, "probe_counterfactuals", label).permutation(len(rows))[: MOST_STIMULI // 2])]
        for label, rows in stimuli.groupby("label")
    ]
    return pd.concat(drawn, ignore_index=True)


def variants(stimulus_id: str, waveform: Waveform, duration_ms: int, seed: int, longest: int) -> dict[str, Waveform]:
    """A stimulus as it is ("original") and in every variant.

    waveform: 16 kHz mono, the segment of duration_ms in its middle. longest: samples that the model hears at most.
    "earlier" and "later" move the segment by half of the room before it, floor included; "less padded" loses that much at
    both ends, and "more padded" gains as much, mirrored, as far as the model hears it; "quieter" and "louder" are 6 dB
    softer and louder (not clipped).
    """
    length = min(samples_of(duration_ms), len(waveform))
    during = middle(len(waveform), length)
    segment = waveform[during]
    noise = stream(seed, "probe_counterfactuals", stimulus_id).standard_normal(length)
    carrier = waveform.copy()
    carrier[during] = noise * np.sqrt(np.mean(np.square(segment, dtype=np.float64)) / np.mean(np.square(noise)))
    gain = np.float32(amplitude(GAIN_DB))
    room, gained = during.start // 2, min(during.start // 2, max(longest - len(waveform), 0) // 2)
    return {
        "original": waveform,
        "earlier": np.roll(waveform, -room),
        "later": np.roll(waveform, room),
        "less padded": waveform[room : len(waveform) - room],
        "more padded": np.concatenate([waveform[:gained][::-1], waveform, waveform[len(waveform) - gained :][::-1]]),
        "quieter": waveform / gain,
        "louder": waveform * gain,
        CARRIER: carrier,
    }
