"""Noises to mix into stimuli: synthetic, or cut from recordings."""

from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from earshot.acoustics import NoiseColour, Samples, coloured_noise, mean_square
from earshot.audio import SAMPLE_RATE, read_mono
from earshot.errors import InputError
from earshot.layouts import RECORDED_NOISES, noise_recordings

NoiseKind = Literal["white", "pink", "speech_shaped", "babble", "recorded"]

TALKERS = 6
"""Recordings that sound at once in babble."""


class Noises:
    """One kind of noise; a folder of recordings is listed once and read stretch by stretch.

    kind: see `coloured_noise`; "recorded" is one recording, "babble" the sum of six, each at the same level.
    folder: of recordings of any rate; needed for those two alone.
    Raises InputError where the folder is not set, is missing, or holds too few recordings.
    """

    def __init__(self, kind: NoiseKind, folder: Path | None):
        self.kind = kind
        self._folder = folder or Path()
        self._files: list[Path] = []
        if kind in RECORDED_NOISES:
            if folder is None:
                raise InputError(f"stimuli.noise_recordings is not set: noise is {kind}; name the folder of the noises")
            self._files = noise_recordings(folder)
            if kind == "babble" and len(self._files) < TALKERS:
                raise InputError(f"stimuli.noise_recordings: {folder} holds {len(self._files)} recordings; babble needs at least {TALKERS}")

    def draw(self, length: int, seed: int, rng: np.random.Generator) -> tuple[Samples, str]:
        """Noise with an RMS of 1, shape (length,), and its noise_id: the files it was cut from, or the seed of `rng`.

        Raises InputError where a recording cannot be read, is shorter than the noise, or is silent there.
        """
        if self.kind == "babble":
            chosen = [self._files[k] for k in np.sort(rng.choice(len(self._files), TALKERS, replace=False))]
            noise = np.sum([self._stretch(path, length, rng) for path in chosen], axis=0)
            return noise / np.sqrt(mean_square(noise)), self._named(chosen)
        if self.kind == "recorded":
            path = self._files[rng.integers(len(self._files))]
            noise = self._stretch(path, length, rng)
            return noise / np.sqrt(mean_square(noise)), self._named([path])
        colour: NoiseColour = self.kind
        return coloured_noise(colour, length, rng), f"{colour}:{seed:016x}"

    def _named(self, paths: list[Path]) -> str:
        return f"{self.kind}:" + "+".join(path.relative_to(self._folder).as_posix() for path in paths)

    def _stretch(self, path: Path, length: int, rng: np.random.Generator) -> Samples:
        """A random stretch, scaled so that the second around its start has an RMS of 1: a short pause is not blown up."""
        try:
            info = soundfile.info(path)
        except soundfile.LibsndfileError as error:
            raise InputError(f"{path}: cannot be read as audio ({error.error_string}); replace or remove the file") from error
        wanted_s = length / SAMPLE_RATE
        if info.duration < wanted_s:
            raise InputError(f"{path}: lasts {info.duration:.2f} s, shorter than a noise of {wanted_s:g} s; remove it from stimuli.noise_recordings")
        around_s = min(max(wanted_s, 1.0), info.duration)
        start_s = rng.uniform(0, info.duration - around_s)
        around = read_mono(path, start_s, start_s + around_s).astype(np.float64)
        samples = np.zeros(length)
        samples[: len(around)] = around[:length]
        if not mean_square(samples):
            raise InputError(f"{path}: is silent at {start_s:.2f} s; remove it from stimuli.noise_recordings, or cut the silence")
        return samples / np.sqrt(mean_square(around))
