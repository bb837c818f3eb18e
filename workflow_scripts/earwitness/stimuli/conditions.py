"""What a stimulus set consists of: conditions of duration, noise, band and room."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import pyroomacoustics

from earwitness.audio.acoustics import Samples
from earwitness.audio.io import SAMPLE_RATE

BANDS_HZ: dict[str, tuple[float, float] | None] = {"clean": None, "telephone": (300.0, 3_400.0), "am_radio": (100.0, 5_000.0)}
"""Band -> its edges. Telephone: the narrow band of ITU-T G.711 and G.712. AM radio: a broadcast channel of 10 kHz carries 5 kHz
of sound, and small receivers give little below 100 Hz."""


@dataclass(frozen=True)
class Room:
    """A shoe-box room with equal walls: metres, share of the energy that a wall absorbs, and how long it reverberates.

    rt60_s: the time in which the response decays by 60 dB, by Schroeder's backward integration from -5 to -35 dB. Sabine's
    formula would not give it: in a box the decay depends on the proportions too, so the absorption was fitted to it.
    """

    sides_m: tuple[float, float, float]
    source_m: tuple[float, float, float]
    microphone_m: tuple[float, float, float]
    absorption: float
    rt60_s: float


ROOMS = {
    "small_room": Room((4.3, 3.6, 2.6), (1.4, 1.3, 1.5), (2.5, 1.8, 1.3), absorption=0.26, rt60_s=0.35),
    "large_hall": Room((24.0, 18.0, 12.0), (7.0, 8.0, 1.8), (11.0, 10.1, 1.5), absorption=0.27, rt60_s=1.75),
}
"""Room -> what it is; "anechoic" is the direct sound alone, and "none" leaves the recording as it is."""

_SPEED_OF_SOUND = 343.0


@dataclass(frozen=True)
class Condition:
    """One condition of a design, with the values of STIMULI's columns; snr_db None means that no noise is added."""

    name: str
    design: Literal["grid", "factorial"]
    axis: Literal["reference", "duration", "snr", "band", "room", "duration_x_snr"]
    duration_ms: int
    snr_db: float | None = None
    band: str = "clean"
    room: str = "none"

    @property
    def columns(self) -> dict[str, str | int | float]:
        """Columns of STIMULI that tell conditions apart."""
        return {
            "design": self.design,
            "axis": self.axis,
            "duration_ms": self.duration_ms,
            "snr_db": np.nan if self.snr_db is None else float(self.snr_db),
            "band": self.band,
            "room": self.room,
        }


def factorial(durations_ms: Sequence[int], snrs_db: Sequence[float], prefix: str = "") -> tuple[Condition, ...]:
    """Every duration at every SNR; the prefix sets the names of one set apart from those of another."""
    return tuple(
        Condition(f"{prefix}{duration}ms@{snr_db + 0.0:g}dB", "factorial", "duration_x_snr", duration, snr_db)
        for duration in durations_ms
        for snr_db in snrs_db
    )


def grid(durations_ms: Sequence[int], snrs_db: Sequence[float], bands: Sequence[str], rooms: Sequence[str]) -> tuple[Condition, ...]:
    """The unmodified reference, and every value of one axis at a time with the rest as in the reference.

    The reference has the longest duration, no noise, the whole band and no room.
    """
    full = max(durations_ms)
    return (
        Condition("reference", "grid", "reference", full),
        *(Condition(f"duration@{duration}ms", "grid", "duration", duration) for duration in durations_ms),
        *(Condition(f"snr@{snr + 0.0:g}dB", "grid", "snr", full, snr) for snr in snrs_db),
        *(Condition(f"band@{band}", "grid", "band", full, band=band) for band in bands),
        *(Condition(f"room@{room}", "grid", "room", full, room=room) for room in rooms),
    )


@cache
def room_response(name: str) -> Samples:
    """Impulse response of a room at 16 kHz by image sources, from the direct sound on; "anechoic" has nothing else.

    Begins at the direct sound, so that convolution does not delay it; its height is 1. Shape (n_samples,), as long as
    the image sources of a decay by 60 dB reach. Made once per process.
    """
    if name == "anechoic":
        return np.ones(1)
    room = ROOMS[name]
    pyroomacoustics.constants.set("num_threads", 1)
    order = int(np.ceil(_SPEED_OF_SOUND * room.rt60_s / min(room.sides_m)))
    model = pyroomacoustics.ShoeBox(room.sides_m, fs=SAMPLE_RATE, materials=pyroomacoustics.Material(room.absorption), max_order=order)
    model.add_source(room.source_m)
    model.add_microphone(room.microphone_m)
    model.compute_rir()
    response = np.asarray(model.rir[0][0], dtype=np.float64)
    direct = int(np.argmax(np.abs(response)))
    return response[direct:] / response[direct]
