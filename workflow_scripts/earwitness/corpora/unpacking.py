"""Audio that a table holds itself, written to files of its own beside a manifest of them."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from earwitness.core.errors import InputError
from earwitness.core.folders import AUDIO_SUFFIXES
from earwitness.corpora.text_tables import audio_of_rows, read_text_table

MANIFEST = "manifest.csv"


def unpack_audio(tables: Iterable[Path], folder: Path) -> None:
    """Write the audio of Parquet files with an `audio` column into an empty folder: audio/ and manifest.csv.

    The manifest has the tables' other columns of text and numbers, and `path`. A file keeps the name that the column gives it,
    behind its number.
    Raises InputError where a table cannot be read, a row holds no bytes, or two tables have other columns.
    """
    (folder / "audio").mkdir()
    header: list[str] = []
    number = 0
    with (folder / MANIFEST).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for table in tables:
            rows = read_text_table(table)
            rows = rows[[name for name in rows if name not in ("path", "file_name")]]
            if not header:
                header = ["path", *rows.columns]
                writer.writerow(header)
            if header[1:] != list(rows.columns):
                raise InputError(f"{table}: has the columns {', '.join(rows.columns)}, the table before it {', '.join(header[1:])}; make them agree")
            for (line, *cells), audio in zip(rows.itertuples(), audio_of_rows(table), strict=True):
                name = f"{number:06d}-{_file_name(audio)}"
                content = audio.get("bytes") if isinstance(audio, dict) else audio
                if not content:
                    raise InputError(f"{table}, row {line}: no bytes in the column audio; embed the files, or list them in a manifest")
                (folder / "audio" / name).write_bytes(content)
                writer.writerow([f"audio/{name}", *cells])
                number += 1


def _file_name(audio: Any) -> str:
    """What a row's audio is called; only letters, digits, points, hyphens and underscores, and a suffix of audio files."""
    given = PurePosixPath(str(audio.get("path") or "") if isinstance(audio, dict) else "")
    suffix = given.suffix.lower() if given.suffix.lower() in AUDIO_SUFFIXES else ".wav"
    return (re.sub(r"[^A-Za-z0-9._-]+", "_", given.stem)[:80].lstrip(".") or "clip") + suffix
