"""Noises to mix into stimuli: synthetic, or cut from recordings."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import numpy as np

from earwitness.audio.acoustics import NoiseColour, Samples, coloured_noise, mean_square
from earwitness.audio.files import UnreadableAudio, describe
from earwitness.audio.io import SAMPLE_RATE, read_mono
from earwitness.audio.noise_names import NOISE_SEPARATOR, RECORDED_NOISES
from earwitness.core.errors import InputError

NoiseKind = Literal["white", "pink", "speech_shaped", "babble", "recorded"]

TALKERS = 6
"""Recordings that sound at once in babble."""


class Noises:
    """One kind of noise; recordings are read stretch by stretch.

    kind: see `coloured_noise`; "recorded" is one recording, "babble" the sum of six, each at the same level.
    recordings: of any rate; needed for those two alone. folder: what their names in a noise_id are relative to.
    Raises InputError where there are too few recordings.
    """

    def __init__(self, kind: NoiseKind, recordings: Sequence[Path], folder: Path):
        self.kind = kind
        self._folder = folder
        self._files = recordings
        if kind in RECORDED_NOISES and not recordings:
            raise InputError(f"no data set has the role noise, but noise is {kind}; add one to sources")
        if kind == "babble" and len(recordings) < TALKERS:
            raise InputError(f"role noise: {folder} holds {len(recordings)} recordings; babble needs at least {TALKERS}")

    def draw(self, length: int, seed: int, rng: np.random.Generator) -> tuple[Samples, str]:
        """Noise with an RMS of 1, shape (length,), and its noise_id: the files it was cut from, or the seed of `rng`.

        Raises InputError where a recording cannot be read, is shorter than the noise, or all are silent there.
        """
        if self.kind not in RECORDED_NOISES:
            colour = cast(NoiseColour, self.kind)
            return coloured_noise(colour, length, rng), f"{colour}:{seed:016x}"
        voices = TALKERS if self.kind == "babble" else 1
        chosen = [self._files[k] for k in np.sort(rng.choice(len(self._files), voices, replace=False))]
        noise = np.sum([_stretch(path, length, rng) for path in chosen], axis=0)
        names = NOISE_SEPARATOR.join(Path(os.path.relpath(path, self._folder)).as_posix() for path in chosen)
        if not (power := mean_square(noise)):
            raise InputError(f"role noise: {names} is silent for {length / SAMPLE_RATE:g} s or more; cut that or remove the file")
        return noise / np.sqrt(power), f"{self.kind}:{names}"


def _stretch(path: Path, length: int, rng: np.random.Generator) -> Samples:
    """A random stretch of a recording, scaled so that the second from its start on has an RMS of 1: pauses stay soft."""
    try:
        duration_s = describe(path).duration_s
    except UnreadableAudio as error:
        raise InputError(f"{path}: {error}; replace or remove the file") from error
    wanted_s = length / SAMPLE_RATE
    if duration_s < wanted_s:
        raise InputError(f"{path}: lasts {duration_s:.2f} s, shorter than a noise of {wanted_s:g} s; remove it from the noises")
    around_s = min(max(wanted_s, 1.0), duration_s)
    start_s = rng.uniform(0, duration_s - around_s)
    around = read_mono(path, start_s, start_s + around_s).astype(np.float64)
    samples = np.zeros(length)
    samples[: len(around)] = around[:length]
    power = mean_square(around)
    return samples / np.sqrt(power) if power else samples
