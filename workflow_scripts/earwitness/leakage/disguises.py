"""How one sound comes to be in two places and is not the same to the bit: what the self-test plants, and the benchmark counts."""

import io
from collections.abc import Callable

import numpy as np
import soundfile
import soxr
from scipy import signal

from earwitness.audio.acoustics import amplitude
from earwitness.audio.io import SAMPLE_RATE, Waveform

Disguise = Callable[[Waveform, Waveform], Waveform]
"""From a 16 kHz mono waveform, and another to lie over it, to a changed copy."""

SHIFT_S = 0.3
"""Seconds of silence before a shifted copy."""

FASTER = 1.01
TELEPHONE_HZ = (300.0, 3400.0)


def rms(waveform: Waveform) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


def through_rate(waveform: Waveform, rate: int) -> Waveform:
    """Resampled to a rate in Hz and back."""
    return soxr.resample(soxr.resample(waveform, SAMPLE_RATE, rate), rate, SAMPLE_RATE).astype(np.float32)


def coded(waveform: Waveform, container: str, subtype: str, rate: int = SAMPLE_RATE) -> Waveform:
    """Written to a file of that rate in Hz and format of libsndfile, and read again."""
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(waveform, SAMPLE_RATE, rate), rate, format=container, subtype=subtype)
    file.seek(0)
    return soxr.resample(soundfile.read(file, dtype="float32")[0], rate, SAMPLE_RATE).astype(np.float32)


def over(waveform: Waveform, other: Waveform, snr_db: float) -> Waveform:
    """The sum with another sound, repeated to the length, that is `snr_db` softer."""
    laid = np.resize(other, len(waveform))
    return (waveform + laid * (rms(waveform) / max(rms(laid), 1e-9)) * amplitude(-snr_db)).astype(np.float32)


def noisy(waveform: Waveform, snr_db: float) -> Waveform:
    """With white noise, the same in every call."""
    return over(waveform, np.random.default_rng(0).normal(size=len(waveform)).astype(np.float32), snr_db)


def telephone(waveform: Waveform) -> Waveform:
    """Through 300 to 3400 Hz and 8 kHz mu-law."""
    band = signal.sosfilt(signal.butter(4, TELEPHONE_HZ, "bandpass", fs=SAMPLE_RATE, output="sos"), waveform).astype(np.float32)
    return coded(band, "WAV", "ULAW", 8000)


def at_speed(waveform: Waveform, speed: float) -> Waveform:
    """Played faster, and so higher, by a factor."""
    return soxr.resample(waveform, SAMPLE_RATE * speed, SAMPLE_RATE).astype(np.float32)


DISGUISES: dict[str, Disguise] = {
    "inverted": lambda waveform, _: np.float32(-0.7) * waveform,
    "12 dB softer": lambda waveform, _: waveform / np.float32(4),
    "12 dB louder, clipped": lambda waveform, _: np.clip(4 * waveform / np.abs(waveform).max(initial=1e-9), -1, 1).astype(np.float32),
    "shifted by 0.3 s": lambda waveform, _: np.pad(waveform, (round(SHIFT_S * SAMPLE_RATE), 0)),
    "resampled through 44.1 kHz": lambda waveform, _: through_rate(waveform, 44_100),
    "telephone": lambda waveform, _: telephone(waveform),
    "MP3": lambda waveform, _: coded(waveform, "MP3", "MPEG_LAYER_III"),
    "Ogg Vorbis": lambda waveform, _: coded(waveform, "OGG", "VORBIS"),
    "noise at 20 dB": lambda waveform, _: noisy(waveform, 20),
    "noise at 10 dB": lambda waveform, _: noisy(waveform, 10),
    "noise at 5 dB": lambda waveform, _: noisy(waveform, 5),
    "noise at 0 dB": lambda waveform, _: noisy(waveform, 0),
    "under another sound at 0 dB": lambda waveform, other: over(waveform, other, 0),
    "1 % faster": lambda waveform, _: at_speed(waveform, FASTER),
}
"""Kinds of changed copies by name."""
