"""Synthetic speech as 16 kHz mono, for tests of what hears it."""

import numpy as np
import soxr

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.corpora.synthesis import voices


def spoken(seconds: float, speaker: int = 0, seed: int = 0) -> Waveform:
    """The beginning of what one voice says, peak 0.5."""
    who = voices.speaker("base", speaker, seed)
    samples = np.concatenate(voices.speak(who, voices.pseudo_sentences(who, 2, seed), seed))
    start = voices.active_stretches(samples, voices.RATE)[0][0]
    speech = soxr.resample(samples[round(start * voices.RATE) :], voices.RATE, SAMPLE_RATE)[: round(seconds * SAMPLE_RATE)]
    return (0.5 * speech / np.abs(speech).max()).astype(np.float32)
