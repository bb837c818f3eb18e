"""Rooms that a sound can be heard in, and their impulse responses by image sources."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyroomacoustics

from earwitness.audio.acoustics import Samples
from earwitness.audio.io import SAMPLE_RATE


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
