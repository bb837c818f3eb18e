"""Rooms, channels and backgrounds, drawn alike for speech and sounds, so that none of them tells the class."""

from dataclasses import dataclass

import numpy as np
import pyroomacoustics
from scipy.signal import fftconvolve

from earwitness.audio.acoustics import amplitude
from earwitness.corpora.synthesis import Samples

PEAK_DBFS = -1.5
"""No sample of the corpus is above this."""


@dataclass(frozen=True)
class Acoustics:
    """Ranges that a corpus draws from, low and high.

    side_m, height_m: room sides and height; rt60_s: reverberation time; distance_m: source to microphone;
    highpass_hz, lowpass_hz: the channel's band limits; tilt_db: its spectral tilt per octave;
    background_slope_db: spectral slope of the background per octave (0 white, -3 pink, -6 brown);
    background_snr_db: recording over background; level_dbfs: RMS of the recording.
    """

    side_m: tuple[float, float]
    height_m: tuple[float, float]
    rt60_s: tuple[float, float]
    distance_m: tuple[float, float]
    highpass_hz: tuple[float, float]
    lowpass_hz: tuple[float, float]
    tilt_db: tuple[float, float]
    background_slope_db: tuple[float, float]
    background_snr_db: tuple[float, float] = (20.0, 40.0)
    level_dbfs: tuple[float, float] = (-40.0, -20.0)


ACOUSTICS = {
    "base": Acoustics(
        side_m=(3.0, 5.0),
        height_m=(2.3, 2.8),
        rt60_s=(0.12, 0.3),
        distance_m=(0.3, 1.2),
        highpass_hz=(20.0, 90.0),
        lowpass_hz=(6_500.0, 7_900.0),
        tilt_db=(-1.0, 1.0),
        background_slope_db=(-3.0, 0.0),
    ),
    "study": Acoustics(
        side_m=(5.0, 10.0),
        height_m=(2.8, 4.5),
        rt60_s=(0.4, 0.9),
        distance_m=(1.3, 3.0),
        highpass_hz=(100.0, 300.0),
        lowpass_hz=(3_400.0, 6_000.0),
        tilt_db=(-3.0, 3.0),
        background_slope_db=(-6.0, -3.5),
    ),
    "baseline": Acoustics(
        side_m=(10.0, 14.0),
        height_m=(2.8, 4.5),
        rt60_s=(0.3, 0.4),
        distance_m=(0.15, 0.3),
        highpass_hz=(5.0, 20.0),
        lowpass_hz=(7_900.0, 10_000.0),
        tilt_db=(-1.0, 1.0),
        background_slope_db=(0.0, 2.0),
        background_snr_db=(35.0, 50.0),
    ),
}
"""Corpus -> what it draws from; the ranges of RT60, band limits, room sides and background colour do not meet. The baseline's
recordings are close, clean and of the whole band, since its conditions limit the band and add rooms and noise."""

_EARLY_ORDER = 12
_CROSSOVER_S = 0.05
_SPEED_OF_SOUND = 343.0


@dataclass(frozen=True)
class Room:
    """A shoe-box room: sides in metres, reverberation time in seconds."""

    sides_m: tuple[float, float, float]
    rt60_s: float


def draw_room(acoustics: Acoustics, rng: np.random.Generator) -> Room:
    """A room within the corpus's ranges."""
    sides = (rng.uniform(*acoustics.side_m), rng.uniform(*acoustics.side_m), rng.uniform(*acoustics.height_m))
    return Room(sides, rng.uniform(*acoustics.rt60_s))


def impulse_response(room: Room, distance_m: float, rate: int, rng: np.random.Generator) -> Samples:
    """Impulse response between two random points of a room, `distance_m` apart (less where the room is too small).

    Image sources to order 12 up to 50 ms after the direct sound, then Gaussian noise that decays by 60 dB in rt60_s and
    starts at the level that the image sources end with. Begins at the direct sound, whose height is 1; float64, shape (n,).
    """
    sides = np.array(room.sides_m)
    volume, surface = sides.prod(), 2 * (sides[0] * sides[1] + sides[1] * sides[2] + sides[0] * sides[2])
    absorption = min(0.95, 24 * np.log(10) / _SPEED_OF_SOUND * volume / (surface * room.rt60_s))
    source = sides * rng.uniform(0.25, 0.75, 3)
    direction = rng.normal(size=3) * (1, 1, 0.2)
    microphone = np.clip(source + distance_m * direction / np.linalg.norm(direction), 0.3, sides - 0.3)
    pyroomacoustics.constants.set("num_threads", 1)
    model = pyroomacoustics.ShoeBox(sides, fs=rate, materials=pyroomacoustics.Material(absorption), max_order=_EARLY_ORDER)
    model.add_source(source)
    model.add_microphone(microphone)
    model.compute_rir()
    early = np.asarray(model.rir[0][0], dtype=np.float64)
    start = int(np.argmax(np.abs(early)))
    crossover = round(_CROSSOVER_S * rate)
    early = early[start : start + crossover] / early[start]

    times = np.arange(round(room.rt60_s * rate)) / rate
    decay = 10 ** (-3 * times / room.rt60_s)
    late_level = np.sqrt(np.mean(np.square(early[-round(0.02 * rate) :] / decay[crossover - round(0.02 * rate) : crossover])))
    response = rng.normal(size=len(times)) * decay * late_level
    response[: len(early)] = early
    return response


def reverberate(samples: Samples, response: Samples) -> Samples:
    """Convolve, keeping the length."""
    return fftconvolve(samples, response)[: len(samples)]


def coloured_noise(n_samples: int, slope_db: float, rate: int, rng: np.random.Generator) -> Samples:
    """Gaussian noise of RMS 1 whose spectrum falls by -slope_db per octave above 50 Hz; flat below."""
    spectrum = np.fft.rfft(rng.normal(size=n_samples))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(n_samples, 1 / rate), 50.0) / 50.0)
    noise = np.fft.irfft(spectrum * amplitude(slope_db * octaves), n_samples)
    return noise / np.sqrt(np.mean(np.square(noise)))


def channel(samples: Samples, rate: int, acoustics: Acoustics, rng: np.random.Generator) -> Samples:
    """A random band limit (second-order slopes) and spectral tilt about 1 kHz."""
    highpass, lowpass, tilt = (rng.uniform(*limits) for limits in (acoustics.highpass_hz, acoustics.lowpass_hz, acoustics.tilt_db))
    frequencies = np.maximum(np.fft.rfftfreq(len(samples), 1 / rate), 1.0)
    gain = amplitude(tilt * np.log2(np.clip(frequencies, 100.0, 8_000.0) / 1_000.0))
    gain /= np.sqrt((1 + (highpass / frequencies) ** 4) * (1 + (frequencies / lowpass) ** 8))
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples))


def record(samples: Samples, rate: int, acoustics: Acoustics, rng: np.random.Generator) -> Samples:
    """What the microphone's recorder stores: background, channel, and a random level with no sample above -1.5 dBFS."""
    level = np.sqrt(np.mean(np.square(samples)))
    snr, slope = rng.uniform(*acoustics.background_snr_db), rng.uniform(*acoustics.background_slope_db)
    noisy = samples + coloured_noise(len(samples), slope, rate, rng) * level * amplitude(-snr)
    heard = channel(noisy, rate, acoustics, rng)
    gain = amplitude(rng.uniform(*acoustics.level_dbfs)) / np.sqrt(np.mean(np.square(heard)))
    return heard * min(gain, amplitude(PEAK_DBFS) / np.max(np.abs(heard)))
