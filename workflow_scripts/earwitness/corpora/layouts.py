"""Where each data set keeps its files on disk."""

import re
from pathlib import Path

from earwitness.core.errors import InputError


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
