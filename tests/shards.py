"""Shards of noise for tests that only need some stimuli."""

from pathlib import Path

import numpy as np
import pandas as pd

from earwitness.audio.io import encode_flac
from earwitness.core.files import atomic
from earwitness.tables.audio import AudioTableWriter
from earwitness.tables.stimuli import STIMULI

MILLISECONDS = [20, 40, 60, 200, 1000, 61]
"""How long the stimuli of a shard are, in turn."""


def write_shard(path: Path, names: list[str]) -> Path:
    """Write stimuli of these names; the same names give the same sounds."""
    rng = np.random.default_rng(len(names))
    rows = pd.DataFrame({"stimulus_id": names, "label": "SPEECH", "design": "factorial", "duration_ms": 200, "normalisation": "peak"})
    for column in ("clip_id", "recording_id", "source_id", "category", "noise_id", "axis", "band", "room"):
        rows[column] = "x"
    for column in ("snr_db", "achieved_snr_db", "achieved_level_dbfs", "segment_start_s", "segment_end_s"):
        rows[column] = 1.0
    waveforms = [(0.1 * rng.standard_normal(16 * MILLISECONDS[k % 6])).astype(np.float32) for k in range(len(names))]
    with atomic(path) as temporary, AudioTableWriter(temporary, STIMULI) as writer:
        writer.write(rows, [encode_flac(waveform) for waveform in waveforms], names)
    return path
