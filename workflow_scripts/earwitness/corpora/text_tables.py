"""Tables that people wrote: CSV with commas, semicolons or tabs, or Parquet, read as text without guessing."""

import contextlib
import csv
import io
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet as parquet

from earwitness.core.errors import InputError
from earwitness.core.files import read_text, refuse_pipe
from earwitness.core.names import visible

SEPARATORS = (",", ";", "\t")


def read_text_table(path: Path, required: Iterable[str] = (), numbers: Iterable[str] = (), known: Iterable[str] = ()) -> pd.DataFrame:
    """Every cell as text, "" where it is empty or null; the index is the line of the file (CSV) or the row from 1 (Parquet).

    path: *.parquet, or CSV in UTF-8 with a header. required: columns that there must be; the separator is the one of comma,
    semicolon and tab by which the header has them, or the one that a first line `sep=;` names, as Excel reads and writes it.
    known: columns that there may be. The header may write both kinds in another case; they are named here as they are asked for.
    numbers: columns, known too, in which "1,5" is 1.5 where semicolons separate. Empty cells at the end of a row beyond the header are passed
    over, and so are numbers of rows in a first column without a name. NA, None, null and nan are texts. Columns of a Parquet file that hold
    bytes, lists or structures are left out.
    Raises InputError naming the file, and the line where there is one, where the table cannot be read without a guess.
    """
    needed, numeric = list(required), list(numbers)
    known = [*needed, *numeric, *known]
    if path.suffix.lower() == ".parquet":
        table = _read_parquet(path)
        table.columns = pd.Index(_as_asked(list(table.columns), known, str(path)))
        if missing := [name for name in needed if name not in table]:
            raise InputError(f"{path}: no column {missing[0]}; it has {names_of(table.columns)}")
        return table
    text = read_text(path)
    if not text.strip():
        raise InputError(f"{path}: not a readable CSV table (it is empty); give a table with a header")
    declared, text = _declared_separator(path, text)
    header, separator = _header(path, text, needed, known, declared)
    rows, lines = [], []
    reader = _cells(text, separator)
    line = first = 2 if declared else 1
    try:
        next(reader)
        line = reader.line_num + first
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(_fitted(cells, header, f"{path}:{line}"))
                lines.append(line)
            line = reader.line_num + first
    except csv.Error as error:
        raise InputError(f"{path}:{line}: not a readable CSV table ({error}); repair the line") from error
    named = [name for name in header if name]
    # pandas and R write numbers of rows in a first column without a name.
    row_names = [cells[0] for cells in rows]
    if header[:1] == [""] and not (len(set(row_names)) == len(row_names) and all(map(str.isdecimal, row_names))):
        raise InputError(f"{path}: column 1 has no name, and its values are no numbers of rows; name it, or remove the separator too many")
    table = pd.DataFrame(rows, columns=header, index=pd.Index(lines, name="line"), dtype=str)
    for name in [name for name in numeric if name in header and separator == ";"]:
        table[name] = _with_points(table[name], path)
    return table[named]


_DECIMAL_COMMA = r"\s*[-+]?\d+,\d+(?:[eE][-+]?\d+)?\s*"


def _with_points(column: pd.Series, path: Path) -> pd.Series:
    """Numbers with a decimal comma, with a decimal point; raises InputError where a column has both, and so one of them is no decimal."""
    commas, points = column.str.fullmatch(_DECIMAL_COMMA), column.str.contains(".", regex=False)
    if commas.any() and points.any():
        lines = column.index[commas][0], column.index[points][0]
        raise InputError(f"{path}:{max(lines)}: {column.name} has a decimal comma in line {lines[0]} and a point in line {lines[1]}; use one of them")
    return column.where(~commas, column.str.replace(",", "."))


def file_named(folder: Path, name: str) -> Path:
    """The file of that name below a folder, also where one of the two has composed letters and the other decomposed ones, or the name was
    written on Windows, with backslashes."""
    for written in (name, name.replace("\\", "/")):
        for spelling in (written, unicodedata.normalize("NFC", written), unicodedata.normalize("NFD", written)):
            if is_there(path := folder / spelling):
                return path
    return folder / name


def is_there(path: Path) -> bool:
    """Is there a file or folder of that name? A name that is too long for any is of none."""
    try:
        return path.exists()
    except OSError:
        return False


def _cells(text: str, separator: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)


def _declared_separator(path: Path, text: str) -> tuple[str, str]:
    """The separator that a first line such as `sep=;` names, and the text after that line; "" and the whole text where there is none."""
    if not (found := re.match(r'[ ]*"?[ ]*sep[ ]*=([^"\r\n]*)"?[,;\t ]*(\r\n|\r|\n|$)', text, re.IGNORECASE)):
        return "", text
    named = found[1][:1]
    if named not in SEPARATORS or found[1][1:].strip(",;\t "):
        raise InputError(f"{path}:1: {found[0].strip()[:40]!r} names no comma, semicolon or tab as separator; use one of them, or remove the line")
    return named, text[found.end() :]


def _as_asked(header: Sequence[str], known: Iterable[str], where: str) -> list[str]:
    """A header with the columns that are asked for spelled so; raises InputError where one is there in two other spellings."""
    names = [visible(name) for name in header]
    for asked in known:
        places = [place for place, name in enumerate(names) if name.casefold() == asked.casefold()]
        if asked not in names and len(places) > 1:
            raise InputError(f"{where}: columns {names_of(names[place] for place in places)} are both {asked}; rename one")
        if asked not in names and places:
            names[places[0]] = asked
    if double := [name for name in names if name and names.count(name) > 1]:
        raise InputError(f"{where}: column {names_of(double[:1])} is there twice; rename one")
    return names


def _header(path: Path, text: str, needed: Sequence[str], known: Sequence[str], declared: str) -> tuple[list[str], str]:
    separators = [declared] if declared else SEPARATORS
    where = f"{path}:{2 if declared else 1}"
    found: dict[str, list[str]] = {}
    fault = ""
    for separator in separators:
        # Names in quotes, as R writes them, are readable by their own separator alone.
        try:
            found[separator] = [visible(cell) for cell in next(_cells(text, separator))]
        except (csv.Error, StopIteration) as error:
            fault = fault or str(error) or "it is empty"
    if not found:
        raise InputError(f"{path}: not a readable CSV table ({fault}); give a table with a header")
    wanted = {name.casefold() for name in needed}
    fitting = [separator for separator, cells in found.items() if wanted <= {cell.casefold() for cell in cells}]
    # Without required columns, or with one alone, several separators can fit: the one that divides most is meant.
    separator = max(fitting or found, key=lambda separator: len(found[separator]))
    header = found[separator]
    if not fitting:
        absent = next(name for name in needed if name.casefold() not in {cell.casefold() for cell in header})
        divided = ", divided as its first line says" if declared else ""
        if len(header) == 1 and not declared:
            divided = ", and no comma, semicolon or tab divides its first line"
        raise InputError(f"{path}: no column {absent}; it has {names_of(filter(None, header))}{divided}")
    while header and not header[-1]:
        header.pop()
    if "" in header[1:]:
        raise InputError(f"{where}: column {header.index('', 1) + 1} has no name; name it, or remove the separator too many")
    return _as_asked(header, known, where), separator


def names_of(names: Iterable[str]) -> str:
    """Names of columns for a line, the first of many, and long ones shortened: the first line of a file may hold anything."""
    shown = [name if len(name) <= 40 else f"{name[:37]}..." for name in names]
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "") or "none"


def _fitted(cells: list[str], header: list[str], where: str) -> list[str]:
    """A row with as many cells as the header."""
    if len(cells) > len(header) and not any(cell.strip() for cell in cells[len(header) :]):
        cells = cells[: len(header)]
    if len(cells) != len(header):
        more = len(cells) > len(header)
        hint = "put a value that holds the separator in double quotes" if more else "an unclosed quote or a missing separator shifts the values"
        raise InputError(f"{where}: {len(cells)} values, but {len(header)} columns ({names_of(header)}); {hint}")
    return cells


def audio_column(path: Path) -> bool:
    """Does a Parquet file hold audio itself, in a column `audio` of bytes, or of bytes and path as Hugging Face data sets have it?"""
    with _opened(path) as file:
        schema = file.schema_arrow
    if "audio" not in schema.names:
        return False
    kind = schema.field("audio").type
    return _is_binary(kind) or (pyarrow.types.is_struct(kind) and any(field.name == "bytes" for field in kind))


def audio_of_rows(path: Path) -> Iterator[Any]:
    """Yield the column `audio` of a Parquet file row by row: bytes, or a dictionary with bytes and path. Memory stays bounded."""
    with _opened(path) as file:
        for batch in file.iter_batches(batch_size=16, columns=["audio"]):
            yield from batch.column(0).to_pylist()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[parquet.ParquetFile]:
    refuse_pipe(path)
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({os.strerror(error.errno) if error.errno else error}); check the name, or the link") from error
    except (pyarrow.ArrowException, ValueError) as error:
        raise InputError(f"{path}: cannot be read as Parquet ({error}); make it again") from error


def _read_parquet(path: Path) -> pd.DataFrame:
    with _opened(path) as file:
        plain = [field.name for field in file.schema_arrow if not (_is_binary(field.type) or pyarrow.types.is_nested(field.type))]
        if double := [name for name in plain if plain.count(name) > 1]:
            raise InputError(f"{path}: column {names_of(double[:1])} is there twice; rename one")
        table = file.read(columns=plain)
        names = _class_names(file.schema_arrow.metadata or {})
        texts = {name: [_as_text(value, names.get(name)) for value in table[name].to_pylist()] for name in plain}
    if holding := [(name, row) for name, column in texts.items() for row, text in enumerate(column, 1) if "\0" in text]:
        raise InputError(f"{path}:{holding[0][1]}: {holding[0][0]} holds null bytes; write text")
    return pd.DataFrame(texts, index=pd.RangeIndex(1, table.num_rows + 1, name="line"), columns=plain, dtype=str)


def _as_text(value: object, names: list[str] | None) -> str:
    # A null is the one thing that is no text: a number that is NaN reads "nan", which no check of numbers lets pass.
    if value is None:
        return ""
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()  # as a CSV file has it, so that one day has one name
    return names[value] if names and isinstance(value, int) and 0 <= value < len(names) else str(value)


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Column -> names of its numbers, where Hugging Face `datasets` wrote them beside the table."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {name: feature["names"] for name, feature in features.items() if feature.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _is_binary(kind: pyarrow.DataType) -> bool:
    return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind) or pyarrow.types.is_fixed_size_binary(kind)
