"""A batch of waveforms as one tensor, which every family begins with."""

from collections.abc import Sequence

import torch

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.errors import InputError


def stacked(waveforms: Sequence[Waveform], longest: int, width: int | None = None) -> torch.Tensor:
    """Waveforms (16 kHz mono) with silence behind them, float32 (waveforms, width) on the CPU; width: samples, by default of the longest.

    Raises InputError where a waveform is empty, longer than `longest` samples, or not finite.
    """
    most = max(map(len, waveforms))
    if most > longest:
        raise InputError(f"a stimulus of {most / SAMPLE_RATE:.2f} s is longer than the model's {longest / SAMPLE_RATE:.0f} s; shorten it")
    if not min(map(len, waveforms)):
        raise InputError("a stimulus has no samples; remake the stimuli")
    samples = torch.zeros(len(waveforms), width or most)
    for row, waveform in zip(samples, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    if not torch.isfinite(samples).all():
        raise InputError("a stimulus has samples that are not finite; remake the stimuli")
    return samples
