"""A recording, the probability of speech in it, and the segments that were found, as a picture."""

import importlib.util
from pathlib import Path

import numpy as np

from earwitness.audio.io import SAMPLE_RATE
from earwitness.audio.streaming import mono_blocks
from earwitness.core.errors import InputError
from earwitness.core.files import atomic
from earwitness.detectors.formats import Answered
from earwitness.detectors.segments import Segment, SegmentRule

COLUMNS = 2000
"""Points along the time axis at most, whatever the recording's length."""


def draw(recording: Answered, path: Path, picture: Path, rule: SegmentRule) -> None:
    """Draw a recording while it is heard.

    path: the recording's file. picture: where the PNG goes. Raises InputError where matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError('--plot needs matplotlib, which is not installed here: pip install "earwitness[report]"')
    from matplotlib.figure import Figure

    probabilities: list[np.ndarray] = []
    segments: list[Segment] = []
    for piece in recording:
        probabilities.append(piece.probabilities.astype(np.float32))
        segments += piece.segments
    track, duration = np.nan_to_num(np.concatenate(probabilities)), recording.until_s
    bin_s = max(duration / COLUMNS, 1 / SAMPLE_RATE)
    low, high = _envelope(path, bin_s)
    figure = Figure(figsize=(10, 4), layout="constrained")
    sound, answer = figure.subplots(2, sharex=True, height_ratios=[1, 1])
    sound.fill_between(np.arange(len(low)) * bin_s, low, high, color="#6b6b6b", linewidth=0.3)
    sound.set(ylabel="amplitude", ylim=(-1, 1))
    answer.step(np.arange(len(track) + 1) * recording.step_s, np.append(track, track[-1:]), where="post", color="#0072b2", linewidth=1)
    answer.axhline(rule.onset, color="#6b6b6b", linewidth=0.8, linestyle="--")
    answer.axhline(rule.offset, color="#6b6b6b", linewidth=0.8, linestyle=":")
    answer.set(ylabel="probability of speech", xlabel="time (s)", ylim=(-0.02, 1.02), xlim=(0, duration))
    for panel in (sound, answer):
        for segment in segments:
            panel.axvspan(segment.start_s, segment.end_s, color="#0072b2", alpha=0.15, linewidth=0)
    sound.set_title(f"{Path(recording.name).name}: {len(segments)} segments of speech, shaded", parse_math=False)
    with atomic(picture) as temporary:
        figure.savefig(temporary, dpi=150)


def _envelope(path: Path, bin_s: float) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest sample of every bin_s."""
    size = max(round(bin_s * SAMPLE_RATE), 1)
    low, high, rest = [], [], np.zeros(0, np.float32)
    for block in mono_blocks(path):
        joined = np.concatenate([rest, block])
        whole = len(joined) // size * size
        bins = joined[:whole].reshape(-1, size)
        low.append(bins.min(axis=1))
        high.append(bins.max(axis=1))
        rest = joined[whole:]
    return np.concatenate(low), np.concatenate(high)
