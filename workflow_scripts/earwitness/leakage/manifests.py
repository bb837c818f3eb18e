"""Splits that Earwitness did not make: manifests of audio files, one for each part, brought into the form that the audit reads."""

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from earwitness.audio.files import describe
from earwitness.audio.io import SAMPLE_RATE, Waveform, dbfs, encode_flac, read_mono
from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of
from earwitness.core.names import canonical_name, similar_names
from earwitness.core.progress import Progress
from earwitness.core.terminal_text import printable
from earwitness.corpora.text_tables import file_named, is_there, names_of, read_text_table
from earwitness.leakage.audit_input import Audited, AuditInput, Policy
from earwitness.leakage.verdict import subject_of
from earwitness.tables.audio import AudioTableWriter
from earwitness.tables.clips import CLIPS
from earwitness.tables.columns import joint_schema
from earwitness.tables.files import validate
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.stimuli import STIMULI

TEXT_COLUMNS = ("recording", "noise", "session")
MAY_BE_EMPTY = ("noise", "session")
TIME_COLUMNS = ("start_s", "end_s")
ITEM = joint_schema("items", STIMULI, CLIPS)
"""Every item is its own clip and its own stimulus."""

BATCH_ROWS = 256

WHOLE = ""
"""In the place of a part: the manifest holds the items of all parts."""

PART_NAMES = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "development": "dev",
    "validation": "dev",
    "valid": "dev",
    "val": "dev",
    "test": "test",
}
"""What a manifest's column may call a part -> the part."""


@dataclass(frozen=True)
class Columns:
    """What the manifests call their columns, and which label is the class that is told from the rest."""

    path: str = "path"
    label: str = "label"
    group: str = "group"
    part: str = "part"
    speech_label: str = "SPEECH"


def read_manifests(manifests: Mapping[str, Path], columns: Columns) -> pd.DataFrame:
    """One row per item of every part: part, path (as given), file (where it is), located (relative to
    the first manifest's folder), label, group, and optional columns.

    manifests: part ("train", "dev", "test") -> CSV or Parquet, or WHOLE -> the one that holds all, whose column says which part an item is
    in; "" is the part of all items where it has no such column. Paths are relative to the manifest's folder. Optional
    columns are used where every manifest has them: recording; noise ("" for none); session ("" where not known); start_s and end_s, seconds in the
    recording. Without `recording` a file is the recording, and an item with times is that stretch of it.
    Raises InputError where a manifest is missing, malformed, empty or names an item twice, a file is missing or of both classes, there
    is one class only, another label looks like that of speech, or some manifests alone have times.
    """
    tables = [_read_manifest(path, columns, part) for part, path in manifests.items()]
    shared = set.intersection(*(set(table.columns) for table in tables))
    timed = {"start_s" in table for table in tables}
    if len(timed) > 1 and "recording" not in shared:
        raise InputError(f"{_names(manifests)}: some have start_s and end_s, and others not; give them in all, or in none")
    items = pd.concat([table[[name for name in table.columns if name in shared]] for table in tables], ignore_index=True)
    labels = sorted(items.label.unique())
    if len(labels) < 2:
        raise InputError(f"{_names(manifests)}: all items are of one class ({labels[0]}); an audit needs both classes")
    speech = canonical_name(columns.speech_label)
    if speech not in labels:
        some = ", ".join(labels[:10])
        raise InputError(f"{_names(manifests)}: no item has the label {columns.speech_label}; name one of {some} with --speech-label")
    if alike := [(a, b) for a, b in similar_names(labels) if speech in (a, b)]:
        raise InputError(f"{_names(manifests)}: the labels {' and '.join(alike[0])} look like one; write it in one way, or rename one")
    located = relative_to_first(items.file, next(iter(manifests.values())))
    if len(labels) > 2:
        others = [printable(label) for label in labels if label != speech]
        told = ", ".join(others[:10]) + (f" and {len(others) - 10} more" if len(others) > 10 else "")
        print(f"all but {columns.speech_label} count as no speech: {told}", file=sys.stderr)
    items = items.assign(label=np.where(items.label == speech, "SPEECH", "NONSPEECH"), located=located)
    stretch = ["located", *(TIME_COLUMNS if "start_s" in items and "recording" not in items else ())]
    if (both := items.groupby(stretch).label.transform("nunique") > 1).any():
        raise InputError(f"{_names(manifests)}: {items.path[both].iloc[0]} is speech in one row and not in another; correct the label of one")
    return items


def audited_manifests(manifests: Mapping[str, Path], columns: Columns, policy: Policy, folder: Path, strict: bool = True) -> Audited:
    """What the audit reads, made from manifests (see read_manifests); audio is compared as 16 kHz mono, 16 bits.

    folder: where the decoded audio is kept while the audit runs. What is wrong with a file that is read all the same is told on stderr.
    strict: an item whose audio cannot be decoded, is empty, or ends before the item does is an error; else it is told on stderr, left
    out, and counted in `AuditInput.unread`.
    Raises InputError where the manifests cannot be read, or no item of a part can.
    """
    items = read_manifests(manifests, columns)
    path = folder / "items.parquet"
    rows, digests = [], {}
    unread: dict[int, str] = {}
    with AudioTableWriter(path, ITEM) as writer:
        progress = Progress(total=len(items), desc="reading audio", unit="files")
        for first in range(0, len(items), BATCH_ROWS):
            batch, audio = [], []
            for number, item in enumerate(items.iloc[first : first + BATCH_ROWS].to_dict("records"), first):
                progress.update()
                try:
                    waveform = _read_item(item)
                except InputError as error:
                    if strict:
                        raise
                    unread[number] = str(error)
                    progress.write(f"left out: {printable(str(error))}", file=sys.stderr)
                    continue
                batch.append(_item_row(item, waveform))
                audio.append(encode_flac(np.clip(waveform, -1, 1)))
                if item["file"] not in digests:
                    digests[item["file"]] = sha256_of(item["file"])
                    if notes := describe(item["file"]).notes:
                        progress.write(f"{printable(str(item['file']))}: {notes}", file=sys.stderr)
            if batch:
                table = validate(pd.DataFrame(batch), ITEM)
                writer.write(table, audio, [f"{first + k}.flac" for k in range(len(table))])
                rows.append(table)
        progress.close()
        if not rows:
            raise InputError(f"{_names(manifests)}: none of the {len(items)} items can be read; the first: {unread[0]}")
    read = items.drop(index=list(unread)).reset_index(drop=True)
    for part in items.part.unique():
        if part not in set(read.part):
            reason = next(unread[number] for number in unread if items.part[number] == part)
            raise InputError(f"{_names(manifests)}: none of the {f'{part} items' if part else 'items'} can be read; the first: {reason}")
    unread_items = tuple(items.located[list(unread)])
    items, stimuli = read, pd.concat(rows, ignore_index=True)
    recordings = _recordings(stimuli, items, digests)
    data = AuditInput(stimuli[list(STIMULI.columns)].assign(part=items.part), (path,), policy, recordings, (path,), unread=unread_items)
    return Audited(
        data, " / ".join(file.name for file in manifests.values()), _subject(manifests, items, digests, policy.model_files), _impossible(items)
    )


def _read_manifest(path: Path, columns: Columns, part: str) -> pd.DataFrame:
    asked = {"path": columns.path, "label": columns.label, "group": columns.group}
    table = read_text_table(path, numbers=TIME_COLUMNS, known=[*asked.values(), columns.part, *TEXT_COLUMNS])
    for role, name in asked.items():
        if name not in table:
            raise InputError(f"{path}: no column {name} (has {names_of(table.columns)}); name it with --{role}-column")
    if table.empty:
        raise InputError(f"{path}: has no rows; an audit needs items in every part")
    table = table.rename(columns={name: role for role, name in asked.items()})
    if ("start_s" in table) != ("end_s" in table):
        raise InputError(f"{path}: start_s and end_s go together; give both columns or none")
    kept = table[[name for name in (*asked, *TEXT_COLUMNS, *TIME_COLUMNS) if name in table]].copy()
    for name in [name for name in kept.columns if name not in TIME_COLUMNS]:
        kept[name] = kept[name].str.strip()
        if name not in MAY_BE_EMPTY:
            _refuse(path, kept[name].map(canonical_name) == "", f"has no {asked.get(name, name)}")
        if name != "path":
            kept[name] = kept[name].map(canonical_name)
    for name in TIME_COLUMNS:
        if name in kept:
            kept[name] = pd.to_numeric(kept[name], errors="coerce").astype(float)
            _refuse(path, ~np.isfinite(kept[name]), f"has no number as {name}")
    if "start_s" in kept:
        _refuse(path, (kept.start_s < 0) | (kept.end_s <= kept.start_s), "ends before it starts, or starts below 0")
    kept["part"] = part
    if part == WHOLE and columns.part in table:
        named = table[columns.part].map(canonical_name)
        _refuse(path, ~named.isin(PART_NAMES), f"has no known {columns.part}", table[columns.part].map("{!r}; call it train, dev or test".format))
        kept["part"] = named.map(PART_NAMES)
    kept["file"] = kept.path.map(partial(file_named, path.parent)).astype(object)
    times = [] if "recording" in kept or "start_s" not in kept else [*TIME_COLUMNS]
    # The same file by another path and with another label is refused in `read_manifests`, by its labels.
    placed = kept.assign(file=kept.file.map(lambda file: os.path.normpath(file.absolute())))
    repeated = kept.duplicated(["part", "path", *times]) | placed.duplicated(["part", "file", "label", *times])
    _refuse(path, repeated, "repeats the path of an earlier row")
    _refuse(
        path,
        ~pd.Series([is_there(file) and not file.is_dir() for file in kept.file], index=kept.index),
        "names a file that does not exist",
        kept.path + "; paths are relative to the manifest's folder",
    )
    return kept


def _refuse(path: Path, broken: pd.Series, fault: str, what: pd.Series | None = None) -> None:
    """Raise InputError naming the first broken row (the first below a CSV's header is 1) and how many there are."""
    if broken.any():
        first = int(np.flatnonzero(broken)[0])
        named = "" if what is None else f" ({what.iloc[first]})"
        more = f" (and {int(broken.sum()) - 1} more)" if broken.sum() > 1 else ""
        raise InputError(f"{path}: row {first + 1} {fault}{named}{more}; repair the manifest")


def _names(manifests: Mapping[str, Path]) -> str:
    return ", ".join(path.name for path in manifests.values())


def _read_item(item: dict) -> Waveform:
    cut = "start_s" in item and "recording" not in item
    waveform = read_mono(item["file"], item["start_s"], item["end_s"]) if cut else read_mono(item["file"])
    if not len(waveform) or not np.isfinite(waveform).all():
        fault = "holds samples that are no numbers" if len(waveform) else "has no audio" + (f" from {item['start_s']:g} s on" if cut else "")
        raise InputError(f"{item['file']}: {fault}; repair or leave out the item")
    if cut and len(waveform) < (item["end_s"] - item["start_s"]) * SAMPLE_RATE - SAMPLE_RATE * 0.1:
        raise InputError(f"{item['file']}: ends before {item['end_s']:g} s; repair end_s")
    return waveform


def _item_row(item: dict, waveform: Waveform) -> dict[str, object]:
    timed, noise = "start_s" in item, item.get("noise", "")
    name = (
        (item["part"] and f"{item['part']}:")
        + item["path"]
        + (f"@{item['start_s']:g}-{item['end_s']:g}" if timed and "recording" not in item else "")
    )
    duration = len(waveform) / SAMPLE_RATE
    start, end = (item["start_s"], item["end_s"]) if timed else (0.0, duration)
    return {
        "stimulus_id": name,
        "clip_id": name,
        "recording_id": item.get("recording", item["located"]),
        "source_id": item["group"],
        "label": item["label"],
        "category": "unknown",
        "noise_id": noise or "none",
        "design": "factorial",
        "axis": "none",
        "duration_ms": max(1, round(1000 * duration)),
        "snr_db": 0.0 if noise else np.nan,
        "band": "full",
        "room": "none",
        "normalisation": "peak",
        "achieved_snr_db": np.nan,
        "achieved_level_dbfs": max(dbfs(waveform), -200.0),
        "segment_start_s": start,
        "segment_end_s": end,
        "start_s": start,
        "end_s": end,
        "active_fraction": 1.0,
    }


def _recordings(stimuli: pd.DataFrame, items: pd.DataFrame, digests: dict[Path, str]) -> pd.DataFrame:
    """One row per recording: of several files of one recording, the first. Raises InputError where a recording is of two sessions."""
    sessions: dict[str, str] = {}
    for name, session in zip(stimuli.recording_id, items.get("session", [""] * len(items)), strict=True):
        if session and sessions.setdefault(name, session) != session:
            both = f"{sessions[name]} and {session}"
            raise InputError(f"recording {name} is of the sessions {both}; give it one session, or its rows recordings of their own")
    firsts = stimuli.assign(file=items.file, path=stimuli.stimulus_id).drop_duplicates("recording_id").reset_index(drop=True)
    firsts["session"] = [sessions.get(name, "") for name in firsts.recording_id]
    files = [describe(file) for file in firsts.file]
    firsts["sha256"] = [digests[file] for file in firsts.file]
    firsts["sample_rate"] = [file.sample_rate for file in files]
    firsts["duration_s"] = [file.duration_s for file in files]
    return validate(firsts.assign(dataset="manifest", licence="unknown", original=""), RECORDINGS)


def _subject(manifests: Mapping[str, Path], items: pd.DataFrame, digests: dict[Path, str], voices: Sequence[Path]) -> list[dict[str, str]]:
    """The manifests, one digest over the digests of all audio files, ordered by path, and the speaker model."""
    audio = audio_subject({path: digests[file] for path, file in zip(items.located, items.file, strict=True)})
    return [*subject_of({"manifest": list(manifests.values())}), audio, *subject_of({"voices": voices})]


def audio_subject(digests: Mapping[str, str]) -> dict[str, str]:
    """One subject for many audio files; digests: path relative to the first manifest's folder -> SHA-256."""
    lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items()))
    return {"role": "audio", "name": f"{len(digests)} audio files", "sha256": hashlib.sha256(lines.encode()).hexdigest()}


def relative_to_first(files: Iterable[Path], first: Path) -> list[str]:
    """Where files are, relative to the folder of the first manifest, so that the same data elsewhere give the same certificate."""
    base = first.parent.resolve()
    return [Path(os.path.relpath(file.resolve(), base)).as_posix() for file in files]


def _impossible(items: pd.DataFrame) -> dict[str, str]:
    """Checks that the columns do not allow, with the reason."""
    reasons = {}
    timed = "start_s" in items
    if "recording" not in items and not timed:
        reasons["L02"] = "the manifests have no column recording"
    if "noise" not in items:
        reasons["L05"] = "the manifests have no column noise"
    elif (noises := items.noise[items.noise != ""]).is_unique and len(noises):
        # The workflow's noises are named by the program that drew them; here a name of its own for every item is all there is.
        reasons["L05"] = "no noise has two items, so none could be in two parts; name the recording that each noise was cut from"
    if not timed:
        reasons["L06"] = "the manifests have no columns start_s and end_s"
    return reasons
