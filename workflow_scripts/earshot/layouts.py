"""Where each data set, and a folder of noises, keeps its files on disk."""

import re
from pathlib import Path

from earshot.errors import InputError

RECORDED_NOISES = ("babble", "recorded")
"""Kinds of noise that are cut from a folder of recordings."""

NOISE_SEPARATOR = "//"
"""Between the recordings of a babble in its noise_id; no file's name holds it."""


def noise_parts(noise_id: str) -> list[str]:
    """What a noise was made of: its recordings, or itself where it was computed."""
    kind, _, recordings = noise_id.partition(":")
    return recordings.split(NOISE_SEPARATOR) if kind in RECORDED_NOISES else [noise_id]


def _wavs(folder: Path) -> list[Path]:
    """The folder's *.wav and *.WAV; names that start with a dot are other systems' side files."""
    return [path for path in folder.glob("*") if path.suffix.lower() == ".wav" and not path.name.startswith(".")]


def audio_files(dataset: str, folder: Path) -> list[Path]:
    """Every audio file of a data set, sorted.

    Raises InputError where the folder or its audio is missing.
    """
    if not folder.is_dir():
        raise InputError(f"sources.{dataset}: no folder {folder}; set sources.{dataset}.path to where the recordings are")
    if dataset == "fsd50k":
        files = [path for part in ("dev", "eval") for path in _wavs(folder / f"FSD50K.{part}_audio")]
        layout = "FSD50K.dev_audio/*.wav or FSD50K.eval_audio/*.wav"
    else:
        files = _wavs(folder / "audio")
        layout = "audio/*.wav"
    if not files:
        raise InputError(f"sources.{dataset}: {folder} holds no {layout}; name the folder above it")
    return sorted(files)


def annotation_files(dataset: str, folder: Path) -> list[Path]:
    """The files that say what the audio holds, sorted: RTTM, meta/esc50.csv, or FSD50K's tables.

    Raises InputError where there are none.
    """
    patterns = {
        "voxconverse": ["**/*.rttm"],
        "esc50": ["meta/esc50.csv"],
        "fsd50k": ["FSD50K.ground_truth/*.csv", "FSD50K.metadata/*_clips_info_FSD50K.json"],
    }[dataset]
    files = [path for pattern in patterns for path in folder.glob(pattern) if not path.name.startswith(".")]
    if not files:
        raise InputError(f"sources.{dataset}: {folder} holds no {patterns[0]}; name the folder above it")
    return sorted(files)


def source_files(dataset: str, folder: Path) -> list[str]:
    """Every file that the catalogue of a data set depends on.

    Raises InputError where there are none, or a name holds what Snakemake takes for a variable: braces, or a word in angle brackets.
    """
    audio = audio_files(dataset, folder)
    files = [str(path) for path in [*annotation_files(dataset, folder), *audio]]
    for file in files:
        if variable := re.search(r"[{}]|<[a-z][a-z0-9_]*>", file):
            raise InputError(f"sources.{dataset}: {file!r}: Snakemake takes {variable.group()} in a name for a variable; rename the file or folder")
    return files


def noise_recordings(folder: Path) -> list[Path]:
    """Every WAV, FLAC and Ogg file below a folder of noises, sorted.

    Raises InputError where the folder is missing or holds none.
    """
    if not folder.is_dir():
        raise InputError(f"stimuli.noise_recordings: no folder {folder}; name the folder of the noises")
    kinds = (".wav", ".flac", ".ogg")
    files = [path for path in folder.rglob("*") if path.suffix.lower() in kinds and not path.name.startswith(".")]
    if not files:
        raise InputError(f"stimuli.noise_recordings: {folder} holds no {', '.join('*' + kind for kind in kinds)}; name the folder of the noises")
    return sorted(files)
