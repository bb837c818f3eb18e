"""Reading audio files, and audio inside tables."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from earwitness.audio.files import UnreadableAudio, describe, read_frames
from earwitness.core.errors import InputError

SAMPLE_RATE = 16_000
"""Hz; the rate of every clip and stimulus, which is what the model's processor expects."""

Waveform = npt.NDArray[np.float32]


def read_mono(path: Path, start_s: float = 0.0, end_s: float | None = None) -> Waveform:
    """Read part of an audio file as 16 kHz mono.

    start_s, end_s: seconds in the file; end_s None means to the end of what can be decoded. Channels are averaged, or where
    that would cancel them the loudest is taken; see earwitness.audio.files.Description, which also tells what is wrong with a file.
    Returns float32, shape (n_samples,), full scale 1; n_samples = round((end_s - start_s) * 16000) within one sample.
    Raises InputError where the file cannot be read.
    """
    try:
        about = describe(path)
        mono = about.mono(read_frames(path, start_s, end_s))
    except UnreadableAudio as error:
        raise InputError(f"{path}: {error}; replace or remove the file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}); replace or remove the file") from error
    if about.sample_rate != SAMPLE_RATE and len(mono):
        mono = soxr.resample(mono, about.sample_rate, SAMPLE_RATE, quality="VHQ")
    return np.ascontiguousarray(mono, dtype=np.float32)


def encode_flac(samples: Waveform, subtype: str = "PCM_16") -> bytes:
    """Encode 16 kHz mono samples as FLAC bytes; subtype PCM_16 or PCM_24."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype=subtype)
    return buffer.getvalue()


def decode_flac(content: bytes) -> Waveform:
    """Decode what `encode_flac` made; float32, shape (n_samples,)."""
    return soundfile.read(io.BytesIO(content), dtype="float32")[0]


def dbfs(samples: npt.NDArray[np.floating]) -> float:
    """RMS level in dB relative to full scale 1; -inf for silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10 * np.log10(power) if power > 0 else -np.inf
