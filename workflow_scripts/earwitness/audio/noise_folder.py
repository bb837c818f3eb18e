"""A folder of noises to mix into stimuli: which recordings it holds, and how a stimulus names those it was mixed with."""

from pathlib import Path

from earwitness.core.errors import InputError
from earwitness.core.folders import files_below

RECORDED_NOISES = ("babble", "recorded")
"""Kinds of noise that are cut from a folder of recordings."""

NOISE_SEPARATOR = "//"
"""Between the recordings of a babble in its noise_id; no file's name holds it."""


def noise_parts(noise_id: str) -> list[str]:
    """What a noise was made of: its recordings, or itself where it was computed."""
    kind, _, recordings = noise_id.partition(":")
    return recordings.split(NOISE_SEPARATOR) if kind in RECORDED_NOISES else [noise_id]


def noise_recordings(folder: Path) -> list[Path]:
    """Every WAV, FLAC and Ogg file below a folder of noises, sorted.

    Raises InputError where the folder is missing or holds none.
    """
    if not folder.is_dir():
        raise InputError(f"role noise: no folder {folder}; name the folder of the noises")
    kinds = (".wav", ".flac", ".ogg")
    files = files_below(folder, kinds)
    if not files:
        raise InputError(f"role noise: {folder} holds no {', '.join('*' + kind for kind in kinds)}; name the folder of the noises")
    return files
