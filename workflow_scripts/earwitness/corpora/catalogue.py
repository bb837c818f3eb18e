"""What a data set holds: which files there are, which can be used, what they hold, and whose they are.

VoxConverse   audio/*.wav and RTTM by the same stem (https://github.com/joonson/voxconverse). Its speaker names are local to
              a recording, so the recording is the source; names that mean a person everywhere are sources themselves.
ESC-50        audio/*.wav and meta/esc50.csv (https://github.com/karolpiczak/ESC-50). The source is the Freesound sound.
FSD50K        FSD50K.{dev,eval}_audio/*.wav, FSD50K.ground_truth/{dev,eval}.csv and, where there,
              FSD50K.metadata/*_clips_info_FSD50K.json (https://zenodo.org/records/4060432). The source is the uploader,
              or the Freesound sound where that file is missing.
own           a table, or folders (earwitness.corpora.manifest). The source is the one that they name.

A source_id is the data set's name and the source's. Sounds and uploaders of Freesound are called freesound:ID and freesound:@NAME
in every data set, so that one sound is one source wherever it occurs; a synthesised data set has none.
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

import pandas as pd

from earwitness.core.errors import InputError
from earwitness.core.files import NO_FILE, read_text, sha256_of
from earwitness.core.folders import AUDIO_SUFFIXES
from earwitness.core.json_files import strict_json
from earwitness.core.names import canonical_name, term_key, whole_number
from earwitness.core.progress import Progress
from earwitness.corpora.data_sets import DataSet
from earwitness.corpora.file_checks import AudioReport, Limits, check_audio
from earwitness.corpora.layouts import annotation_files, audio_files
from earwitness.corpora.manifest import EXCLUDED, audio_below, listed, own_labels
from earwitness.corpora.rttm import EmptyRttmError, Rttm, Turn, is_nobody, read_rttm, single_speaker_stretches, without_umbrella
from earwitness.corpora.speakers import identifies, names_are_local
from earwitness.corpora.text_tables import read_text_table
from earwitness.corpora.vocabularies import ESC50_HUMAN_VOICE, ESC50_TARGETS, FSD50K_LABELS, Vocabulary, divided_labels, judge_fsd50k

Stretch = tuple[float, float]
"""Start and end in seconds."""

OVERRUN_S = 0.1
"""Seconds by which a stretch may end after its file, as rounding and annotators have it, without a word."""

FARTHEST = 100
"""A stretch that ends after so many times the length of its file is not given in seconds: milliseconds are a thousand times as many."""


class Part(NamedTuple):
    """What one source contributes to a recording; stretches: where clips may be cut from, None for the whole file."""

    source_id: str
    label: str
    category: str
    stretches: list[Stretch] | None = None


class Annotation(NamedTuple):
    """What a data set says of one file.

    excluded, broken: why the file must not or cannot be used, else "". licence: "" is the data set's own. original: what
    the file was cut from; session: what was recorded together with it; "" where that is not said.
    """

    parts: Sequence[Part] = ()
    excluded: str = ""
    broken: str = ""
    licence: str = ""
    original: str = ""
    session: str = ""


class Described(NamedTuple):
    """The files of a data set, each with its recording's name within the set, what is said of them, and remarks for the log."""

    files: dict[Path, str]
    annotations: dict[Path, Annotation]
    remarks: list[str]


@dataclass(frozen=True)
class Catalogue:
    """The tables RECORDINGS, SEGMENTS and AUDIO_CHECK of earwitness.tables, and remarks for the log."""

    recordings: pd.DataFrame
    segments: pd.DataFrame
    check: pd.DataFrame
    remarks: list[str]


def catalogue(data_set: DataSet, limits: Limits, strict: bool = False, threads: int = 2, uploaders: Mapping[str, str] | None = None) -> Catalogue:
    """List and check every audio file of a data set.

    strict: a broken file is an error. uploaders: Freesound id -> who uploaded it, as other data sets know.
    Raises InputError where files are missing, annotations cannot be read, or no file is usable.
    """
    described = _described(data_set, uploaders or {})
    files = list(described.files)
    recordings, segments, checks = [], [], []
    heard: dict[str, list[tuple[Path, Part, list[Stretch]]]] = defaultdict(list)
    overrun, contradictions = [], []
    with ThreadPool(threads) as pool:
        measured = pool.imap(partial(_digest_and_check, limits=limits), files, chunksize=8)
        for path, (digest, report) in zip(files, Progress(measured, total=len(files), desc="checking audio files", unit="files"), strict=True):
            annotation = described.annotations.get(path) or Annotation(broken="no annotation")
            parts = [(part, stretches) for part in annotation.parts if (stretches := _usable_stretches(part, report))]
            broken = report.reason or annotation.broken or _far_beyond(annotation, report)
            broken = broken or ("" if parts or annotation.excluded else "no annotated stretch lies inside the file")
            verdict = "broken" if broken else "excluded" if annotation.excluded else "ok"
            checks.append({"path": str(path), "verdict": verdict, "reason": broken or annotation.excluded or report.remark, **report.row()})
            if verdict != "ok":
                continue
            if other := _contradicted(parts, heard[digest]):
                contradictions.append(f"{path.name} and {other.name}")
            heard[digest] += [(path, part, stretches) for part, stretches in parts]
            if any(stop > (report.duration_s or 0.0) + OVERRUN_S for part in annotation.parts for _, stop in part.stretches or () if stop < math.inf):
                overrun.append(path.name)
            file = {"recording_id": f"{data_set.name}:{described.files[path]}", "dataset": data_set.name, "path": str(path), "sha256": digest}
            file |= {"sample_rate": report.sample_rate, "duration_s": report.duration_s}
            for part, stretches in parts:
                recordings.append(file | _heard_of(part, annotation, data_set))
                whose = {"recording_id": file["recording_id"], "source_id": part.source_id, "label": part.label}
                segments += [whose | {"start_s": start, "end_s": end} for start, end in stretches]

    faults = [row for row in checks if row["verdict"] == "broken"]
    if strict and faults:
        raise InputError(
            f"{faults[0]['path']}: {faults[0]['reason']} ({len(faults)} of {len(files)} files are broken);"
            " repair or remove them, or set check.strict to false to leave them out"
        )
    if not recordings:
        first = next((row for row in faults), checks[0])
        raise InputError(
            f"{data_set.key}: none of the {len(files)} files in {data_set.path} is usable; the first: {first['path']}: {first['reason']}"
        )
    remarks = [*described.remarks, *(f"broken: {row['path']}: {row['reason']}" for row in faults)]
    remarks += [f"{row['path']}: {row['reason']}" for row in checks if row["verdict"] == "ok" and row["reason"]]
    if contradictions:
        remarks.append(f"{len(contradictions)} files hold the bytes of another and have another label: {_named(contradictions)}")
    if overrun:
        remarks.append(f"in {len(overrun)} files a stretch ends after the file does, and is cut there: {_named(overrun)}")
    return Catalogue(pd.DataFrame(recordings), pd.DataFrame(segments), pd.DataFrame(checks), remarks)


def _heard_of(part: Part, annotation: Annotation, data_set: DataSet) -> dict[str, Any]:
    """What a row of recordings says of a part besides which file it is in."""
    return {
        "source_id": part.source_id,
        "category": part.category,
        "label": part.label,
        "licence": annotation.licence or data_set.licence,
        "original": annotation.original and f"{data_set.name}:{annotation.original}",
        "session": annotation.session and f"{data_set.name}:{annotation.session}",
    }


def _contradicted(parts: Sequence[tuple[Part, list[Stretch]]], earlier: Sequence[tuple[Path, Part, list[Stretch]]]) -> Path | None:
    """An earlier file of the same bytes that gives the same stretch another label."""
    for path, other, theirs in earlier:
        for part, ours in parts:
            if part.label != other.label and any(start < stop and begin < end for start, end in ours for begin, stop in theirs):
                return path
    return None


def _digest_and_check(path: Path, limits: Limits) -> tuple[str, AudioReport]:
    report = check_audio(path, limits)
    return ("" if report.reason else sha256_of(path)), report


def _usable_stretches(part: Part, report: AudioReport) -> list[Stretch]:
    """The part's stretches inside the file; the whole file where it names none."""
    end = report.duration_s or 0.0
    if part.stretches is None:
        return [(0.0, end)]
    return [(start, min(stop, end)) for start, stop in part.stretches if start < end]


def _far_beyond(annotation: Annotation, report: AudioReport) -> str:
    """Why the times of an annotation cannot be seconds of this file, "" where they can."""
    last = max((time for part in annotation.parts for stretch in part.stretches or () for time in stretch if time < math.inf), default=0.0)
    if last <= FARTHEST * (report.duration_s or 0.0):
        return ""
    return f"a stretch lies at {last:g} s, but the file is {report.duration_s:.1f} s long; give times in seconds, not in milliseconds or samples"


def _described(data_set: DataSet, uploaders: Mapping[str, str]) -> Described:
    if data_set.origin in ("manifest", "folder"):
        return _describe_own(data_set)
    files = audio_files(data_set.layout, data_set.path, data_set.name)
    stems: dict[str, Path] = {}
    for path in files:
        if path.stem in stems:
            raise InputError(f"{data_set.key}: {stems[path.stem]} and {path} would both be recording {path.stem}; rename one")
        stems[path.stem] = path
    annotations, remarks = _READERS[data_set.layout](data_set, files, uploaders)
    return Described({path: path.stem for path in files}, annotations, remarks)


def _describe_own(data_set: DataSet) -> Described:
    """Of a table or of folders whose names say what is in them."""
    parts = defaultdict[Path, dict[tuple[str, str], Part]](dict)
    annotations: dict[Path, Annotation] = {}
    files: dict[Path, str] = {}
    for row in listed(data_set):
        files[row.file] = row.name
        about = Annotation(licence=row.licence, original=row.recording, session=row.session)
        if annotations.setdefault(row.file, about) != about:
            raise InputError(f"{row.where}: {row.name} has another licence, recording or session in an earlier row; a file has one of each")
        if row.label != EXCLUDED:
            key = (f"{data_set.name}:{row.source}", row.label)
            part = parts[row.file].setdefault(key, Part(*key, row.category, []))
            assert part.stretches is not None
            part.stretches.append((row.start_s, row.end_s))
    if data_set.origin == "folder":
        for path in audio_below(data_set):
            if path not in files:
                files[path] = path.relative_to(data_set.path).as_posix()
                annotations[path] = Annotation(broken=f"its path does not fit {data_set.key}.pattern ({data_set.pattern})")
    for path, about in annotations.items():
        whose = list(parts[path].values())
        annotations[path] = about._replace(parts=whose, excluded="" if whose or about.broken else "its label is mapped to excluded")
    return Described(files, annotations, [])


def _named(names: Iterable[str]) -> str:
    """The first few of many names."""
    chosen = sorted(names)
    return ", ".join(chosen[:3]) + (", ..." if len(chosen) > 3 else "")


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _describe_voxconverse(data_set: DataSet, files: list[Path], uploaders: Mapping[str, str]) -> tuple[dict[Path, Annotation], list[str]]:
    recordings = {_composed(path.stem): path for path in files}
    found, broken, remarks = _rttm_of_each(data_set, recordings)
    turns = {stem: without_umbrella(rttm.turns) for stem, (_, rttm) in found.items()}
    if marked := [found[stem][0].name for stem, kept in turns.items() if any(is_nobody(turn.speaker) for turn in kept)]:
        remarks.append(f"in {len(marked)} RTTM files turns are of noise, music or nobody, and no speech: {_named(marked)}")
    if reduced := [found[stem][0].name for stem, kept in turns.items() if len(kept) < len(found[stem][1].turns)]:
        remarks.append(f"in {len(reduced)} RTTM files SPEECH covers the turns of its speakers, and is left out: {_named(reduced)}")
    # The layout says so: VoxConverse's names are local to a recording. A folder of the user's own may hold anything.
    declared = "local" if data_set.speaker_names == "undeclared" and data_set.origin != "path" else data_set.speaker_names
    names = {
        found[stem][0].name: {turn.speaker for turn in kept if not is_nobody(turn.speaker)} for stem, kept in turns.items() if stem in recordings
    }
    local = names_are_local(declared, names, data_set.name)
    if local and declared == "undeclared":
        remarks.append(
            f"RTTM files count their speakers, so a name is one within its file alone; {data_set.key}.speaker_names: global says otherwise"
        )
    annotations = {recordings[stem]: Annotation(broken=reason) for stem, reason in broken.items() if stem in recordings}
    for stem, kept in turns.items():
        if stem in recordings:
            wav = recordings[stem]
            alone = [turn for turn in single_speaker_stretches(kept) if not is_nobody(turn.speaker)]
            parts = _speakers(data_set.name, wav.stem, alone, local)
            annotations[wav] = Annotation(parts, broken="" if alone else _why_nobody_is_alone(kept))
    idle = (found.keys() | broken.keys()) - recordings.keys()
    remarks += [f"{len(idle)} RTTM files have no recording in audio/: {_named(idle)}"] if idle else []
    return annotations, remarks


def _rttm_of_each(data_set: DataSet, recordings: Mapping[str, Path]) -> tuple[dict[str, tuple[Path, Rttm]], dict[str, str], list[str]]:
    """Recording -> its annotation; recording -> why it has none that can be used; remarks.

    An annotation belongs to the recording that its lines name. Where there is none of that name, it belongs to its file's.
    """
    found: dict[str, tuple[Path, Rttm]] = {}
    broken: dict[str, str] = {}
    places: dict[str, Path] = {}
    followed, others = [], []
    folded = {name.casefold(): name for name in recordings}
    for path in annotation_files("voxconverse", data_set.path, data_set.name):
        owner, rttm = _composed(path.stem), None
        if not path.is_file():
            broken[owner] = f"its annotation {path} {NO_FILE if path.exists() else 'cannot be opened (a link without content)'}"
        else:
            try:
                rttm = read_rttm(path)
            except EmptyRttmError as error:
                broken[owner] = str(error)
        if rttm:
            named = _composed(rttm.recording)
            spellings = (named, _without_suffix(named))
            told = next((name for name in spellings if name in recordings), None)
            told = told or next((folded[name.casefold()] for name in spellings if name.casefold() in folded), None)
            if told is not None and told != owner:
                followed.append(f"{path.name} is of {told}")
                owner = told
            elif told is None and _without_suffix(named) != owner:
                others.append(f"{rttm.recording} in {path.name}")
            found[owner] = (path, rttm)
        if owner in places:
            raise InputError(f"{data_set.key}: {places[owner]} and {path} both annotate {owner}; remove one, or correct the name in its lines")
        places[owner] = path
    remarks = [f"{len(followed)} RTTM files annotate another recording than their name says, by their lines: {_named(followed)}"] if followed else []
    if others:
        remarks.append(f"the lines of {len(others)} RTTM files name no recording that there is, so the file's name counts: {_named(others)}")
    return found, broken, remarks


def _without_suffix(recording: str) -> str:
    """The name of a recording that may be written as a path to its file."""
    path = PureWindowsPath(recording)  # which knows both separators
    return path.stem if path.suffix.lower() in {*AUDIO_SUFFIXES, ".rttm"} else path.name


def _speakers(dataset: str, recording: str, alone: list[Turn], local: bool) -> list[Part]:
    """One part for each speaker whose name identifies somebody; one for the recording and all others."""
    own = f"{dataset}:{recording}"
    stretches = defaultdict[str, list[Stretch]](list)
    for turn in alone:
        person = not local and identifies(turn.speaker)
        stretches[f"{dataset}:{canonical_name(turn.speaker)}" if person else own].append((turn.start_s, turn.end_s))
    return [Part(source, "SPEECH", "speech", stretches[source]) for source in sorted(stretches)]


def _why_nobody_is_alone(turns: list[Turn]) -> str:
    lengths = defaultdict[str, float](float)
    for turn in turns:
        lengths[turn.speaker] += turn.end_s - turn.start_s
    names = sorted(lengths, key=lambda name: -lengths[name])[:2]
    what = f": {' and '.join(names)} overlap throughout" if len(names) > 1 else ""
    return f"no stretch with one speaker alone{what}"


def _refuse_other_target(category: str, target: str, name: str, where: str) -> None:
    """Raise InputError where a row of ESC-50, or the name of its file, has another category's number; "" is no number."""
    expected = ESC50_TARGETS.get(category)
    numbers = {"its target": target, f"the name of {name}": (re.fullmatch(r"\d-\d+-[A-Z]-(\d+)\.wav", name, re.IGNORECASE) or ["", ""])[1]}
    for whose, number in numbers.items():
        if expected is not None and number and not re.fullmatch(rf"0*{expected}(\.0*)?", number):
            meant = next((f", which is {other}" for other, of_it in ESC50_TARGETS.items() if str(of_it) == number), "")
            raise InputError(f"{where}: category {category} has target {expected} in ESC-50, but {whose} says {number}{meant}; correct the wrong one")


def _rows(data_set: DataSet, path: Path, columns: list[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """Columns of a table without empty cells, the first of which names files, without their folders; then optional ones, "" where absent.

    Raises InputError naming file and line where a cell is empty, or an item is listed twice.
    """
    table = read_text_table(path, columns, known=optional)
    table = table.reindex(columns=[*columns, *optional], fill_value="").apply(lambda column: column.str.strip())
    for column in columns:
        if len(empty := table.index[table[column].map(canonical_name) == ""]):
            raise InputError(f"{path}:{empty[0]}: no {column}; fill it in or remove the row")
    items = table[columns[0]].map(lambda name: _composed(PureWindowsPath(name).name))
    if len(double := items.index[items.duplicated()]):
        raise InputError(f"{path}:{double[0]}: {items[double[0]]} is listed twice; remove one row")
    return table.assign(**{columns[0]: items})


def _freesound(data_set: DataSet, identifier: str, uploaders: Mapping[str, str]) -> str:
    """The source of a sound of Freesound: whoever uploaded it, where that is known, else the sound."""
    uploader = canonical_name(uploaders.get(identifier, ""))
    return f"freesound:@{uploader}" if uploader else f"freesound:{identifier}"


def _sound_name(written: str) -> str:
    """What FSD50K calls a sound, the number of Freesound, whose file's suffix, zeros or decimals some programs add."""
    number = whole_number(written)
    return re.sub(r"\.wav$", "", written, flags=re.IGNORECASE) if number is None else str(number)


def _freesound_id(path: Path, source: str, where: str) -> str:
    """The number of Freesound in the name of a file of ESC-50, where src_file says the same; "" where either says none.

    Raises InputError where they say two.
    """
    number, named = whole_number(source), re.fullmatch(r"\d-(\d+)-[A-Z]-\d+", path.stem, re.IGNORECASE)
    if number is None or not named:
        return ""
    if number != int(named[1]):
        raise InputError(f"{where}: src_file is {source}, but the name of {path.name} says {named[1]}; correct the wrong one")
    return str(number)


def _describe_esc50(data_set: DataSet, files: list[Path], uploaders: Mapping[str, str]) -> tuple[dict[Path, Annotation], list[str]]:
    (path,) = annotation_files("esc50", data_set.path, data_set.name)
    remedy = f"ESC-50 has none of that name; correct it, or say what it is with {data_set.key}.labels (SPEECH, NONSPEECH or excluded)"
    own = own_labels(data_set)
    categories = Vocabulary([*(term for term in ESC50_TARGETS if term_key(term) not in map(term_key, own)), *own], "category", remedy)
    rows: dict[str, tuple[str, str, str]] = {}
    for line, name, written, source, target in _rows(data_set, path, ["filename", "category", "src_file"], ["target"]).itertuples():
        category = categories.term(written, f"{path}:{line}")
        _refuse_other_target(category, target, name, f"{path}:{line}")
        rows[name] = (category, source, f"{path}:{line}")
    annotations = {}
    for wav in files:
        if _composed(wav.name) in rows:
            category, source, where = rows[_composed(wav.name)]
            voice = "category with human voice: " + category if category in ESC50_HUMAN_VOICE else ""
            label = own.get(category, "NONSPEECH")
            excluded = f"category {category} is mapped to excluded" if label == EXCLUDED else "" if category in own else voice
            number = "" if data_set.origin == "embedded" else _freesound_id(wav, source, where)
            source_id = _freesound(data_set, number, uploaders) if number else f"{data_set.name}:{canonical_name(source)}"
            annotations[wav] = Annotation([Part(source_id, "NONSPEECH" if label == EXCLUDED else label, category)], excluded=excluded)
    idle = rows.keys() - {_composed(wav.name) for wav in files}
    return annotations, [f"{len(idle)} rows of {path} have no file in audio/: {_named(idle)}"] if idle else []


def _describe_fsd50k(data_set: DataSet, files: list[Path], uploaders: Mapping[str, str]) -> tuple[dict[Path, Annotation], list[str]]:
    paths = annotation_files("fsd50k", data_set.path, data_set.name)
    tables = [path for path in paths if path.name in ("dev.csv", "eval.csv")]
    if not tables:
        raise InputError(f"{data_set.key}: {data_set.path} holds neither FSD50K.ground_truth/dev.csv nor eval.csv; name the folder above them")
    known = Vocabulary(FSD50K_LABELS, "label", "FSD50K has none of that name; correct it, or describe the recordings in a manifest")
    labels: dict[str, list[str]] = {}
    for path in tables:
        for line, name, text in _rows(data_set, path, ["fname", "labels"]).itertuples():
            name = _sound_name(name)
            if name in labels:
                raise InputError(f"{path}:{line}: {name} is listed twice; remove one row")
            labels[name] = [known.term(label, f"{path}:{line}") for label in divided_labels(text)]
            if not labels[name]:
                raise InputError(f"{path}:{line}: no labels; fill them in or remove the row")
    clips = _clips_info(path for path in paths if path.suffix == ".json")
    annotations, unknown = {}, []
    for wav in files:
        if (name := _sound_name(_composed(wav.stem))) in labels:
            about = clips.get(name, {})
            label, category, excluded = judge_fsd50k(labels[name])
            uploader = str(about.get("uploader") or "")
            unknown += [] if canonical_name(uploader) else [name]
            if data_set.origin != "embedded" and name.isdecimal():
                source = _freesound(data_set, name, {name: uploader} if uploader else uploaders)
            else:
                source = f"{data_set.name}:{canonical_name(uploader or name)}"
            annotations[wav] = Annotation([Part(source, label, category)], excluded, licence=str(about.get("license") or ""))
    if not clips:
        return annotations, ["FSD50K.metadata is missing: every sound counts as a source of its own, though one uploader may have made many"]
    told = f"FSD50K.metadata names no uploader of {len(unknown)} sounds, each a source of its own: {_named(unknown)}"
    return annotations, [told] if unknown else []


def read_uploaders(paths: Iterable[Path]) -> dict[str, str]:
    """Freesound id -> who uploaded it, from FSD50K's clips-info files. Raises InputError where one cannot be read."""
    return {name: str(about["uploader"]) for name, about in _clips_info(paths).items() if about.get("uploader")}


def _clips_info(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        try:
            clips = strict_json(read_text(path))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: not valid JSON ({error}); replace it") from error
        if not isinstance(clips, dict) or not all(isinstance(about, dict) for about in clips.values()):
            raise InputError(f"{path}: expected one object per clip, keyed by its name; replace it")
        for name, about in clips.items():
            if not isinstance(about.get("uploader"), str | int | None):
                raise InputError(f"{path}: the uploader of {name} is no name ({str(about['uploader'])[:40]}); correct it")
        found |= {_sound_name(name): about for name, about in clips.items()}
    return found


_READERS = {"voxconverse": _describe_voxconverse, "esc50": _describe_esc50, "fsd50k": _describe_fsd50k}


def summary(found: Catalogue) -> str:
    """One line: how many files are usable, excluded and broken, and how many sources that leaves."""
    verdicts = Counter(found.check.verdict)
    return (
        f"{len(found.check)} files: {verdicts['ok']} usable from {found.recordings.source_id.nunique()} sources,"
        f" {verdicts['excluded']} excluded, {verdicts['broken']} broken"
    )
