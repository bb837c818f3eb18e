"""Whether an audio file can be used: measured block by block, so that memory does not grow with the file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile

FULL_SCALE = 0.999
"""Samples at least this large (full scale 1) count as clipped."""

BLOCK_FRAMES = 1 << 18

UNKNOWN_LENGTH = 0x7FFF0000
"""Programs that write WAV to a pipe put a size at least this large in the header, since they cannot know it."""


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

    reason: why the file is broken, "" where it is sound.
    rms_dbfs: level of the finite samples of all channels, -inf for digital silence. peak: largest |sample|.
    clipped_fraction: share of samples at full scale. dc_offset: largest |mean| of a channel.
    """

    reason: str
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
        return {name: value for name, value in vars(self).items() if name != "reason"}


def check_audio(path: Path, limits: Limits) -> AudioReport:
    """Read the whole file and report what it holds and what, if anything, makes it useless."""
    try:
        if path.stat().st_size == 0:
            return AudioReport("empty file")
        missing = _missing_share(path)
        with soundfile.SoundFile(path) as file:
            return _measure(file, limits, missing)
    except soundfile.LibsndfileError as error:
        return AudioReport(f"not readable as audio ({error.error_string.rstrip('.')})")
    except OSError as error:
        return AudioReport(f"cannot be opened ({error.strerror})")


def _measure(file: soundfile.SoundFile, limits: Limits, missing: float) -> AudioReport:
    count = finite_count = clipped = 0
    peak = energy = 0.0
    sums = np.zeros(file.channels)
    for block in file.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True):
        count += block.size
        finite = np.isfinite(block)
        if not finite.all():
            block = np.where(finite, block, 0)
        finite_count += int(finite.sum())
        magnitude = np.abs(block)
        clipped += int(np.count_nonzero(magnitude >= FULL_SCALE))
        peak = max(peak, float(magnitude.max(initial=0.0)))
        energy += float(np.sum(np.square(block, dtype=np.float64)))
        sums += block.sum(axis=0, dtype=np.float64)
    frames = count // file.channels
    seen = {"sample_rate": file.samplerate, "channels": file.channels, "duration_s": frames / file.samplerate}
    if not frames:
        return AudioReport("no samples" if not missing else "truncated: no sample of those that the header promises", **seen)
    power = energy / finite_count if finite_count else 0.0
    report = AudioReport(
        reason="",
        **seen,
        rms_dbfs=float(10 * np.log10(power)) if power > 0 else -np.inf,
        peak=peak,
        clipped_fraction=clipped / count,
        dc_offset=float(np.abs(sums).max() / frames),
        non_finite_samples=count - finite_count,
    )
    promised = max(missing, 1 - frames / file.frames if file.frames > frames else 0.0)
    return AudioReport(**{**vars(report), "reason": _reason(report, limits, promised)})


def _reason(report: AudioReport, limits: Limits, missing: float) -> str:
    """The first defect, the most damaging ones first."""
    assert report.duration_s is not None and report.rms_dbfs is not None
    assert report.clipped_fraction is not None and report.dc_offset is not None
    if missing:
        return f"truncated: {missing:.1%} of what the header promises is missing"
    if report.non_finite_samples:
        return f"{report.non_finite_samples} samples are NaN or infinite"
    if report.duration_s < limits.min_duration_s:
        return f"too short: {report.duration_s:.3f} s, needs {limits.min_duration_s:g} s"
    if report.rms_dbfs < limits.silence_dbfs:
        return f"silent: {report.rms_dbfs:.1f} dBFS, needs {limits.silence_dbfs:g} dBFS"
    if report.clipped_fraction > limits.max_clipped_fraction:
        return f"clipped: {report.clipped_fraction:.2%} of samples at full scale, at most {limits.max_clipped_fraction:.2%}"
    if report.dc_offset > limits.max_dc_offset:
        return f"DC offset {report.dc_offset:.3f}, at most {limits.max_dc_offset:g}"
    return ""


def _missing_share(path: Path) -> float:
    """Share of a WAV file's data chunk that lies beyond the end of the file, which libsndfile passes over in silence.

    0 for whole files, for headers that do not state a length, and for other formats, which libsndfile checks itself.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:] != b"WAVE":
            return 0.0
        order: Literal["big", "little"] = "big" if head[:4] == b"RIFX" else "little"
        long_length = 0
        while len(chunk := stream.read(8)) == 8:
            name, length = chunk[:4], int.from_bytes(chunk[4:], order)
            if name == b"ds64":
                body = stream.read(length)
                long_length = int.from_bytes(body[8:16], order)
                stream.seek(length % 2, 1)
            elif name == b"data":
                start = stream.tell()
                if length == 0xFFFFFFFF and long_length:
                    length = long_length
                elif length >= UNKNOWN_LENGTH and start + length > size:
                    return 0.0
                return max(0.0, (start + length - size) / length) if length else 0.0
            else:
                stream.seek(length + length % 2, 1)
    return 0.0
