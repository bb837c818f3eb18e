"""The part of a stimulus that sounds, and simple measures of it."""

import numpy as np
import numpy.typing as npt

from earwitness.audio.acoustics import mean_square
from earwitness.audio.io import SAMPLE_RATE, Waveform

FRAME = SAMPLE_RATE // 50
ACTIVE_RANGE_DB = 30.0
BANDWIDTH_SHARE = 0.95

FloatArray = npt.NDArray[np.float64]


def frame_levels(waveform: Waveform) -> FloatArray:
    """Level of every 20 ms frame in dB relative to full scale, not below -120; the last frame is filled with zeros."""
    frames = np.pad(waveform, (0, -len(waveform) % FRAME)).reshape(-1, FRAME)
    return 10 * np.log10(np.maximum(np.mean(np.square(frames, dtype=np.float64), axis=1), 1e-12))


def sounding(levels: FloatArray) -> tuple[int, int]:
    """First frame and last frame plus one that are within 30 dB of the loudest."""
    active = np.flatnonzero(levels >= levels.max() - ACTIVE_RANGE_DB)
    return int(active[0]), int(active[-1]) + 1


def acoustics(waveform: Waveform) -> npt.NDArray[np.float32]:
    """Level (dB re full scale), bandwidth (octaves re 1 kHz, below which 95 % of the power lies) and duration (ms) of the sounding part,
    which runs from the first to the last 20 ms frame within 30 dB of the loudest; shape (3,)."""
    first, last = sounding(frame_levels(waveform))
    part = waveform[first * FRAME : last * FRAME].astype(np.float64)
    power = np.abs(np.fft.rfft(part)) ** 2
    below = np.cumsum(power) >= BANDWIDTH_SHARE * power.sum()
    edge = max(int(below.argmax()), 1) * SAMPLE_RATE / len(part)
    return np.array([10 * np.log10(max(mean_square(part), 1e-12)), np.log2(edge / 1000), 1000 * len(part) / SAMPLE_RATE], dtype=np.float32)
