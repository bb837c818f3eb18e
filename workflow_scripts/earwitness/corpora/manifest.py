"""The user's own recordings: a table that says what each holds and whose it is, or folders whose names say so.

manifest   CSV or Parquet with the columns path (relative to the table; `file_name` in a Hugging Face audio folder), label, source,
           and where wanted recording, start_s, end_s, category, licence, session
folder     audio files whose path fits a pattern such as {label}/{source}/*.wav
"""

import math
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Set
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from earwitness.core.errors import InputError
from earwitness.core.folders import AUDIO_SUFFIXES, files_below
from earwitness.core.names import canonical_name, term_key
from earwitness.corpora.data_sets import DataSet
from earwitness.corpora.text_tables import audio_column, file_named, names_of, read_text_table
from earwitness.corpora.vocabularies import WRITTEN, Vocabulary

REQUIRED = ("path", "label", "source")
OPTIONAL = ("recording", "start_s", "end_s", "category", "licence", "session")
TIMES = {
    "start_s": frozenset({
        "start", "starts", "starttime", "startsec", "startseconds", "startms", "begin", "begintime", "onset", "offset", "tmin", "t0", "xmin",
        "startframe", "startsample", "beginframe", "beginsample", "frameoffset", "sampleoffset", "starttimesec", "starttimems",
    }),
    "end_s": frozenset({
        "end", "ends", "endtime", "endsec", "endseconds", "endms", "stop", "stoptime", "tmax", "t1", "xmax",
        "endframe", "endsample", "stopframe", "stopsample", "endtimesec", "endtimems",
    }),
}  # fmt: skip
"""What other tables call the times of a stretch, as earwitness.core.names.term_key spells it; a file would be taken whole without them."""

LENGTHS = frozenset({"duration", "durations", "durationsec", "durationseconds", "durationms", "dur", "length", "lengths"})
"""What they call how long it lasts; with a start alone, a stretch would go on to the file's end."""

EXCLUDED = "excluded"
"""What a label is mapped to whose recordings are listed and left out."""

TIME_WORDS = {
    "start_s": frozenset({"start", "starts", "begin", "begins", "beginning", "beg", "onset", "offset", "from", "tbeg", "tstart"}),
    "end_s": frozenset({"end", "ends", "ending", "stop", "stops", "finish", "to", "until", "till", "tend", "tstop"}),
}
LENGTH_WORDS = frozenset({"duration", "dur", "tdur", "length", "len"})
"""Words of such names that have others beside them, as in `Begin Time (s)`, event_onset, segmentStart or dur_s; what they name is numbers."""

NO_TIME_WORDS = frozenset({"date", "year", "month", "day", "age", "page", "line", "row", "index", "char", "character", "word", "token", "byte"})
"""Words of names of numbers that begin or end something else."""

CHANNELS = frozenset({"channel", "channelid", "audiochannel", "chan", "chn", "ch"})
"""What other tables call the channel of a file that a row is about."""

FOLDER_TABLES = ("metadata.csv", "metadata.parquet")
"""The table of a Hugging Face audio folder."""


class Listed(NamedTuple):
    """One stretch of one file: what it holds and whose it is.

    where: table and line, or the file. name: the file's path below the table or folder. label: SPEECH, NONSPEECH or excluded.
    source, recording, session: canonical names; recording, which the file was cut from, and session are "" where none is given.
    end_s: infinite where the stretch ends with the file.
    licence: "" for the data set's.
    """

    where: str
    name: str
    file: Path
    label: str
    source: str
    category: str
    start_s: float = 0.0
    end_s: float = math.inf
    recording: str = ""
    session: str = ""
    licence: str = ""


class _Labels:
    """What the labels of a data set mean. Raises InputError where the configuration gives one label two meanings."""

    def __init__(self, data_set: DataSet):
        own = own_labels(data_set)
        self._meanings = {label: label for label in ("SPEECH", "NONSPEECH") if term_key(label) not in map(term_key, own)} | own
        remedy = f'say what it is with {data_set.key}.labels, as in {{"{WRITTEN}": NONSPEECH}} (SPEECH, NONSPEECH or excluded)'
        self._known = Vocabulary(self._meanings, "label", remedy)

    def meaning(self, text: str, where: str) -> str:
        """SPEECH, NONSPEECH or excluded. Raises InputError where a label is unknown."""
        return self._meanings[self._known.term(text, where)]


def own_labels(data_set: DataSet) -> dict[str, str]:
    """What the configuration says of a data set's labels. Raises InputError where it gives one label two meanings."""
    seen: dict[str, str] = {}
    for label, meaning in data_set.labels.items():
        other = seen.setdefault(canonical_name(label), label)
        if data_set.labels[other] != meaning:
            raise InputError(f"{data_set.key}.labels: {other!r} and {label!r} are one label with two meanings; remove one")
    return dict(data_set.labels)


def listed(data_set: DataSet) -> list[Listed]:
    """Every stretch of a data set of origin manifest or folder, ordered by file and time.

    Raises InputError naming table and line where a row cannot be read, has an unknown label, or claims a stretch of a file that
    another row gives to somebody else.
    """
    rows = _listed_in_table(data_set) if data_set.origin == "manifest" else _listed_in_folder(data_set)
    by_file = defaultdict[str, list[Listed]](list)
    for row in rows:
        # One file may be named in several ways: by an absolute path, with backslashes, with composed letters or decomposed ones.
        same = by_file[os.path.normpath(row.file.absolute())]
        same.append(row._replace(name=same[0].name, file=same[0].file) if same else row)
    return [row for same in sorted(by_file.values(), key=lambda same: same[0].name) for row in _disjoint(same)]


def table_of(data_set: DataSet) -> Path:
    """The table of a data set of origin manifest: its path, or the one that a Hugging Face audio folder holds."""
    if not data_set.path.is_dir():
        return data_set.path
    for name in FOLDER_TABLES:
        if (data_set.path / name).is_file():
            return data_set.path / name
    if (data_set.path / "metadata.jsonl").is_file():
        raise InputError(f"{data_set.key}: {data_set.path / 'metadata.jsonl'} is not read; write it as {FOLDER_TABLES[0]}, with the same columns")
    raise InputError(f"{data_set.key}: the folder {data_set.path} holds no {' or '.join(FOLDER_TABLES)}; name the table")


def packed_tables(data_set: DataSet) -> list[Path]:
    """The Parquet files that hold a data set's audio themselves, sorted; none where its audio lies in files of its own."""
    if data_set.origin != "manifest":
        return []
    path = data_set.path
    tables = files_below(path, (".parquet",)) if path.is_dir() and not any((path / name).is_file() for name in FOLDER_TABLES) else [path]
    return [table for table in tables if table.suffix.lower() == ".parquet" and audio_column(table)]


def labels_used(data_set: DataSet) -> frozenset[str]:
    """The classes that a data set of origin manifest or folder has."""
    packed = packed_tables(data_set)
    if not packed:
        return frozenset(row.label for row in listed(data_set)) - {EXCLUDED}
    column, labels = data_set.columns.get("label", "label"), _Labels(data_set)
    found = set()
    for path in packed:
        found |= {labels.meaning(text, f"{path}:{line}") for line, text in read_text_table(path, [column])[column].items()}
    return frozenset(found) - {EXCLUDED}


def _listed_in_table(data_set: DataSet) -> list[Listed]:
    path = table_of(data_set)
    names = {role: data_set.columns.get(role, role) for role in (*REQUIRED, *OPTIONAL)}
    try:
        table = read_text_table(path, [names["label"], names["source"]], [names["start_s"], names["end_s"]], [*names.values(), "file_name"])
    except InputError as error:
        role = next((role for role in ("label", "source") if f"no column {names[role]};" in str(error)), None)
        hint = f"; name it with {data_set.key}.columns.{role}" if role else ""
        raise InputError(f"{error}{hint}") from error
    if names["path"] not in table and "path" not in data_set.columns and "file_name" in table:
        names["path"] = "file_name"
    for role, name in names.items():
        if name not in table and (role in REQUIRED or role in data_set.columns):
            raise InputError(f"{path}: no column {name}; it has {names_of(table.columns)}; name it with {data_set.key}.columns.{role}")
    if table.empty:
        raise InputError(f"{path}: has no rows; list the recordings")
    others = table[[name for name in table if name not in names.values()]]
    for role, terms in TIMES.items():
        if names[role] not in table and (unused := _named_like(others, terms, TIME_WORDS[role])):
            hint = f"name it with {data_set.key}.columns.{role} where it is one, or rename it"
            raise InputError(f"{path}: column {unused[0]} looks like {role}, a time in seconds; {hint}")
    for name in [name for name in map(str, others) if term_key(name) in CHANNELS and len({*others[name].str.strip()} - {""}) > 1]:
        hint = "write each channel into a file of its own, or rename the column where files have one"
        raise InputError(f"{path}: column {name} names channels, and those of a file are heard together; {hint}")
    lengths = _named_like(others, LENGTHS, LENGTH_WORDS)
    if lengths and names["start_s"] in table and names["end_s"] not in table:
        hint = f"give {names['end_s']}, in seconds from the file's start, or rename the column where it is the whole file's length"
        raise InputError(f"{path}: column {lengths[0]} beside {names['start_s']} looks like the length of a stretch; {hint}")
    rows, labels = [], _Labels(data_set)
    for line, *cells in table[[name for name in names.values() if name in table]].itertuples():
        given = dict(zip([role for role, name in names.items() if name in table], map(str.strip, cells), strict=True))
        rows.append(_row(labels, path, f"{path}:{line}", given, names))
    return rows


def _named_like(table: pd.DataFrame, terms: Set[str], words: Set[str]) -> list[str]:
    """The columns that one of the terms names, or a name with one of the words where the values are numbers, or hours and minutes."""
    found = []
    for name in map(str, table):
        parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
        values = table[name].str.strip()
        numbers = values.any() and values.str.fullmatch(r"(-?\d+([.,:]\d+)*)?").all()
        if term_key(name) in terms or (numbers and parts & words and not parts & NO_TIME_WORDS):
            found.append(name)
    return found


def _row(labels: _Labels, table: Path, where: str, given: dict[str, str], names: dict[str, str]) -> Listed:
    for role in REQUIRED:
        if not canonical_name(given[role]):
            raise InputError(f"{where}: no {names[role]}; fill it in or remove the row")
    start, end = (_seconds(given.get(role, ""), default, names[role], where) for role, default in (("start_s", 0.0), ("end_s", math.inf)))
    if end <= start:
        raise InputError(f"{where}: ends at {end:g} s, not after its start at {start:g} s; correct {names['start_s']} or {names['end_s']}")
    name = Path(os.path.normpath(given["path"])).as_posix()
    label = labels.meaning(given["label"], where)
    return Listed(
        where,
        name,
        file_named(table.parent, name),
        label,
        canonical_name(given["source"]),
        given.get("category") or ("speech" if label == "SPEECH" else given["label"]),
        start,
        end,
        canonical_name(given.get("recording", "")),
        canonical_name(given.get("session", "")),
        given.get("licence", ""),
    )


def _seconds(text: str, default: float, column: str, where: str) -> float:
    try:
        value = float(text) if text else default
    except ValueError:
        value = math.nan
    # Python takes 1_5 for 15.
    if math.isnan(value) or value < 0 or (text and math.isinf(value)) or "_" in text:
        hint = "write a decimal point" if re.fullmatch(r"\d+,\d+", text) else "correct it, or leave it empty for the whole file"
        raise InputError(f"{where}: {column} {text!r} is no number of seconds from 0; {hint}")
    return value


def _listed_in_folder(data_set: DataSet) -> list[Listed]:
    assert data_set.pattern is not None
    fits, labels = _pattern(data_set.pattern), _Labels(data_set)
    rows = []
    for path in audio_below(data_set):
        name = path.relative_to(data_set.path).as_posix()
        if found := fits.fullmatch(name):
            given = found.groupdict()
            label = labels.meaning(given["label"], str(path))
            if not canonical_name(given["source"]):
                raise InputError(f"{path}: no name stands where {data_set.key}.pattern has {{source}}; rename the file or folder")
            category = given.get("category") or ("speech" if label == "SPEECH" else given["label"])
            recording, session = (canonical_name(given.get(field, "")) for field in ("recording", "session"))
            rows.append(Listed(str(path), name, path, label, canonical_name(given["source"]), category, recording=recording, session=session))
    if not rows:
        raise InputError(f"{data_set.key}: no file below {data_set.path} fits the pattern {data_set.pattern}; correct the pattern")
    return rows


def audio_below(data_set: DataSet) -> list[Path]:
    """Every audio file below the folder of a data set of origin folder. Raises InputError where there is none."""
    if not data_set.path.is_dir():
        raise InputError(f"{data_set.key}: no folder {data_set.path}; set {data_set.key}.path to where the recordings are")
    if not (files := files_below(data_set.path, AUDIO_SUFFIXES)):
        raise InputError(f"{data_set.key}: {data_set.path} holds no audio files; name the folder of the recordings")
    return files


def _pattern(pattern: str) -> re.Pattern[str]:
    """{name} is one part of a path or of a file's name, * anything but a slash, ** anything."""
    pieces = re.split(r"(\{\w+\}|\*\*|\*)", pattern)
    wild = {"*": "[^/]*", "**": ".*"}
    return re.compile("".join(f"(?P<{piece[1:-1]}>[^/]+?)" if piece.startswith("{") else wild.get(piece, re.escape(piece)) for piece in pieces))


def _disjoint(rows: Iterable[Listed]) -> list[Listed]:
    """The stretches of one file in order, those of one source and label that touch or overlap joined."""
    kept: list[Listed] = []
    for row in sorted(rows, key=lambda row: (row.start_s, row.end_s, row.label, row.source)):
        last = kept[-1] if kept else None
        if last is None or row.start_s >= last.end_s:
            kept.append(row)
        elif (row.source, row.label) == (last.source, last.label):
            kept[-1] = last._replace(end_s=max(last.end_s, row.end_s))
        else:
            raise InputError(
                f"{row.where}: overlaps {last.where} in {row.name} ({last.source} {last.label}, {row.source} {row.label}); "
                "give each stretch to one source, and leave out where several are heard"
            )
    return kept
