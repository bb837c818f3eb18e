"""The recordings that noises are cut from: a folder of them, or a table that lists them."""

from pathlib import Path

from earwitness.core.errors import InputError
from earwitness.core.folders import files_below
from earwitness.corpora.text_tables import file_named, read_text_table

KINDS = (".wav", ".flac", ".ogg")


def noise_recordings(place: Path) -> list[Path]:
    """Every WAV, FLAC and Ogg file below a folder of noises, or every file that a table (CSV or Parquet) names in its column path, sorted.

    Raises InputError where the folder, the table or a file is missing, or there is none.
    """
    if place.is_dir():
        if not (files := files_below(place, KINDS)):
            raise InputError(f"role noise: {place} holds no {', '.join('*' + kind for kind in KINDS)}; name the folder of the noises")
        return files
    if not place.is_file():
        raise InputError(f"role noise: no folder or table {place}; name the folder of the noises, or a table of them")
    paths = read_text_table(place, ["path"]).path.str.strip()
    listed = {line: file_named(place.parent, path) for line, path in paths.items()}
    if absent := [(line, path) for line, path in listed.items() if not path.is_file()]:
        raise InputError(f"{place}:{absent[0][0]}: no file {absent[0][1]}; correct the path, which is relative to the table")
    if not listed:
        raise InputError(f"role noise: {place} has no rows; list the noises")
    return sorted(set(listed.values()))
