"""Where each known data set keeps its files on disk."""

import re
from pathlib import Path

from earwitness.core.errors import InputError
from earwitness.core.folders import AUDIO_SUFFIXES, files_below

WAV = (".wav",)


def audio_files(layout: str, folder: Path, name: str | None = None) -> list[Path]:
    """Every audio file of a data set in one of the known layouts, sorted; links without content too.

    layout: voxconverse, esc50 or fsd50k. name: what the configuration calls the data set, if not by its layout.
    Raises InputError where the folder or its audio is missing, or a name is not UTF-8 text.
    """
    where = f"sources.{name or layout}"
    if not folder.is_dir():
        raise InputError(f"{where}: no folder {folder}; set {where}.path to where the recordings are")
    if layout == "fsd50k":
        files = [path for part in ("dev", "eval") for path in files_below(folder / f"FSD50K.{part}_audio", WAV, nested=False)]
        pattern = "FSD50K.dev_audio/*.wav or FSD50K.eval_audio/*.wav"
    else:
        files = files_below(folder / "audio", WAV, nested=False)
        pattern = "audio/*.wav"
    if not files:
        if others := files_below(folder, AUDIO_SUFFIXES):
            hint = f"put them there as WAV, or links to them, or set {where}.path to another folder"
            raise InputError(f"{where}: {folder} holds no {pattern}, but {others[0].relative_to(folder)}; {hint}")
        raise InputError(f"{where}: {folder} holds no {pattern}; name the folder above it")
    return sorted(files)


def annotation_files(layout: str, folder: Path, name: str | None = None) -> list[Path]:
    """The files that say what the audio holds, sorted: RTTM, meta/esc50.csv, or FSD50K's tables; links without content too.

    Raises InputError where there are none.
    """
    if layout == "voxconverse":
        files, pattern = files_below(folder, (".rttm",)), "*.rttm"
    elif layout == "esc50":
        files, pattern = [path for path in [folder / "meta/esc50.csv"] if path.is_file() or path.is_symlink()], "meta/esc50.csv"
    else:
        files = files_below(folder / "FSD50K.ground_truth", (".csv",), nested=False) + clips_info_files(folder)
        pattern = "FSD50K.ground_truth/*.csv"
    if not files:
        raise InputError(f"sources.{name or layout}: {folder} holds no {pattern}; name the folder above it")
    return sorted(files)


def clips_info_files(folder: Path) -> list[Path]:
    """FSD50K's tables of who uploaded each clip; none where that part was not fetched."""
    return [path for path in files_below(folder / "FSD50K.metadata", (".json",), nested=False) if path.stem.endswith("_clips_info_FSD50K")]


def source_files(layout: str, folder: Path, name: str | None = None) -> list[str]:
    """Every file that the catalogue of a data set depends on; a link without content is left to the catalogue, which lists it.

    Raises InputError where there are none, or a name cannot be an input of a rule.
    """
    audio = audio_files(layout, folder, name)
    files = [*annotation_files(layout, folder, name), *audio]
    return usable_inputs([path for path in files if path.is_file()], name or layout)


def usable_inputs(files: list[Path], name: str) -> list[str]:
    """The paths as text. Raises InputError where one holds what Snakemake takes for a variable: braces, or a word in angle brackets."""
    for file in map(str, files):
        if variable := re.search(r"[{}]|<[a-z][a-z0-9_]*>", file):
            raise InputError(f"sources.{name}: {file!r}: Snakemake takes {variable.group()} in a name for a variable; rename the file or folder")
    return [str(file) for file in files]
