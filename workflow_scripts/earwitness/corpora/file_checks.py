"""Whether an audio file can be used: measured block by block, so that memory does not grow with the file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earwitness.audio.files import Measures, UnreadableAudio, examine


@dataclass(frozen=True)
class Limits:
    """What makes a file broken; the `check` settings of the configuration."""

    min_duration_s: float
    max_clipped_fraction: float
    max_dc_offset: float
    silence_dbfs: float


@dataclass(frozen=True)
class AudioReport:
    """What was measured of one file; numbers are None where the file cannot be read that far.

    reason: why the file is broken, "" where it is sound. remark: what is odd about the file and how it is read all the same, or "".
    duration_s: what can be decoded. rms_dbfs: level of the finite samples of all channels, -inf for digital silence.
    peak: largest |sample|. clipped_fraction: share of samples at full scale. dc_offset: largest |mean| of a channel.
    """

    reason: str
    remark: str = ""
    sample_rate: int | None = None
    channels: int | None = None
    duration_s: float | None = None
    rms_dbfs: float | None = None
    peak: float | None = None
    clipped_fraction: float | None = None
    dc_offset: float | None = None
    non_finite_samples: int | None = None

    def row(self) -> dict[str, Any]:
        """The columns of earwitness.tables.recordings.AUDIO_CHECK that describe the audio."""
        return {name: value for name, value in vars(self).items() if name not in ("reason", "remark")}


def check_audio(path: Path, limits: Limits) -> AudioReport:
    """Read the whole file and report what it holds and what, if anything, makes it useless."""
    try:
        about, measures = examine(path)
    except UnreadableAudio as error:
        return AudioReport(str(error))
    except OSError as error:
        return AudioReport(f"cannot be opened ({error.strerror})")
    remark = "; ".join(about.remarks)
    seen: dict[str, Any] = {"sample_rate": about.sample_rate, "channels": about.channels, "duration_s": about.duration_s}
    if not about.frames:
        return AudioReport("no samples" if not about.truncated else "truncated: no sample of those that the header promises", remark, **seen)
    return AudioReport(
        _reason(about.truncated, about.duration_s, measures, limits),
        remark,
        **seen,
        rms_dbfs=_dbfs(measures.power),
        peak=measures.peak,
        clipped_fraction=measures.clipped / measures.samples,
        dc_offset=measures.dc_offset,
        non_finite_samples=measures.non_finite,
    )


def _dbfs(power: float) -> float:
    return float(10 * np.log10(power)) if power > 0 else -np.inf


def _reason(truncated: str, duration_s: float, measures: Measures, limits: Limits) -> str:
    """The first defect, the most damaging ones first."""
    level, clipped = _dbfs(measures.varying), measures.clipped / measures.samples
    if truncated:
        return f"truncated: {truncated}"
    if measures.non_finite:
        return f"{measures.non_finite} samples are NaN or infinite"
    if duration_s < limits.min_duration_s:
        return f"too short: {duration_s:.3f} s, needs {limits.min_duration_s:g} s"
    if level < limits.silence_dbfs:
        return f"silent: {level:.1f} dBFS, needs {limits.silence_dbfs:g} dBFS"
    if clipped > limits.max_clipped_fraction:
        return f"clipped: {clipped:.2%} of samples at full scale, at most {limits.max_clipped_fraction:.2%}"
    if measures.dc_offset > limits.max_dc_offset:
        return f"DC offset {measures.dc_offset:.3f}, at most {limits.max_dc_offset:g}"
    return ""
