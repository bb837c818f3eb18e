"""Readers of the three data sets: which files there are, which can be used, and what they hold.

VoxConverse   audio/*.wav and RTTM by the same stem (https://github.com/joonson/voxconverse). Speaker labels are local to
              a recording, so the recording is the source.
ESC-50        audio/*.wav and meta/esc50.csv (https://github.com/karolpiczak/ESC-50). The source is the Freesound sound.
FSD50K        FSD50K.{dev,eval}_audio/*.wav, FSD50K.ground_truth/{dev,eval}.csv and, where there,
              FSD50K.metadata/*_clips_info_FSD50K.json (https://zenodo.org/records/4060432). The source is the uploader,
              or the sound where that file is missing.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from tqdm import tqdm

from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of
from earwitness.corpora.file_checks import AudioReport, Limits, check_audio
from earwitness.corpora.layouts import annotation_files, audio_files
from earwitness.corpora.rttm import EmptyRttmError, Turn, read_rttm, single_speaker_stretches

ESC50_HUMAN_VOICE = frozenset({"breathing", "clapping", "coughing", "crying_baby", "drinking_sipping", "laughing", "sneezing", "snoring"})
"""ESC-50 categories that can contain a human voice, and so cannot stand for "no speech".

Of its ten categories of humans, all that come from the vocal tract (breathing and snoring are often voiced, sips often end
in a voiced sigh), and clapping, since audiences cheer. Footsteps and brushing teeth stay: nothing there is voiced. Outdoor
scenes (fireworks, train, church bells, ...) stay: a voice in their background is an accident of one clip, not of the
category. On 217 original clips silero-vad marked speech in no such scene; of the categories that stay it marked 0.3 to
1.8 s in one or two clips each of pig, insects, hen, chainsaw, sheep and dog, which nobody has listened to.
"""

FSD50K_SPEECH = frozenset(
    {"Speech", "Human_voice", "Male_speech_and_man_speaking", "Female_speech_and_woman_speaking", "Child_speech_and_kid_speaking"}
)
"""A clip with Speech and no label but these is SPEECH: somebody speaks, and nothing else was heard."""

FSD50K_HUMAN_VOICE = FSD50K_SPEECH | {
    "Applause",
    "Breathing",
    "Burping_and_eructation",
    "Chatter",
    "Cheering",
    "Chuckle_and_chortle",
    "Clapping",
    "Conversation",
    "Cough",
    "Crowd",
    "Crying_and_sobbing",
    "Female_singing",
    "Gasp",
    "Giggle",
    "Human_group_actions",
    "Laughter",
    "Male_singing",
    "Respiratory_sounds",
    "Scratching_(performance_technique)",
    "Screaming",
    "Shout",
    "Sigh",
    "Singing",
    "Sneeze",
    "Speech_synthesizer",
    "Whispering",
    "Yell",
}
"""FSD50K labels of sounds that can contain a human voice; scratched records usually carry one, audiences cheer."""


class Annotation(NamedTuple):
    """What a data set says of one file.

    excluded, broken: why the file must not or cannot be used, else "". stretches: where clips may be cut from, seconds;
    None is the whole file. licence: None is the data set's own.
    """

    source_id: str
    category: str
    label: str
    excluded: str = ""
    broken: str = ""
    stretches: list[Turn] | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Catalogue:
    """The tables RECORDINGS, SEGMENTS and AUDIO_CHECK of earwitness.tables, and remarks for the log."""

    recordings: pd.DataFrame
    segments: pd.DataFrame
    check: pd.DataFrame
    remarks: list[str]


def catalogue(dataset: str, folder: Path, licence: str, limits: Limits, strict: bool = False, threads: int = 2) -> Catalogue:
    """List and check every audio file of a data set.

    dataset: voxconverse, esc50 or fsd50k, which names the layout of `folder`. strict: a broken file is an error.
    Raises InputError where files are missing, annotations cannot be read, or no file is usable.
    """
    files = audio_files(dataset, folder)
    _refuse_bad_names(dataset, files)
    annotations, remarks = _READERS[dataset](folder, files)

    recordings, segments, checks = [], [], []
    with ThreadPool(threads) as pool:
        measured = pool.imap(partial(_digest_and_check, limits=limits), files, chunksize=8)
        for path, (digest, report) in zip(files, tqdm(measured, total=len(files), desc="checking", unit="file", mininterval=5), strict=True):
            annotation = annotations.get(path) or Annotation("", "", "", broken="no annotation")
            stretches = _usable_stretches(annotation, report)
            broken = report.reason or annotation.broken or ("" if stretches else "no stretch with one speaker alone")
            verdict = "broken" if broken else "excluded" if annotation.excluded else "ok"
            checks.append({"path": str(path), "verdict": verdict, "reason": broken or annotation.excluded or report.remark, **report.row()})
            if verdict != "ok":
                continue
            recording_id = f"{dataset}:{path.stem}"
            recordings.append(
                {
                    "recording_id": recording_id,
                    "dataset": dataset,
                    "path": str(path),
                    "sha256": digest,
                    "sample_rate": report.sample_rate,
                    "duration_s": report.duration_s,
                    "source_id": annotation.source_id,
                    "category": annotation.category,
                    "label": annotation.label,
                    "licence": annotation.licence or licence,
                }
            )
            segments += [{"recording_id": recording_id, "start_s": start, "end_s": end} for start, end in stretches]

    faults = [row for row in checks if row["verdict"] == "broken"]
    if strict and faults:
        raise InputError(
            f"{faults[0]['path']}: {faults[0]['reason']} ({len(faults)} of {len(files)} files are broken);"
            " repair or remove them, or set check.strict to false to leave them out"
        )
    if not recordings:
        first = next((row for row in faults), checks[0])
        raise InputError(f"sources.{dataset}: none of the {len(files)} files in {folder} is usable; the first: {first['path']}: {first['reason']}")
    remarks += [f"broken: {row['path']}: {row['reason']}" for row in faults]
    remarks += [f"{row['path']}: {row['reason']}" for row in checks if row["verdict"] == "ok" and row["reason"]]
    return Catalogue(pd.DataFrame(recordings), pd.DataFrame(segments), pd.DataFrame(checks), remarks)


def _digest_and_check(path: Path, limits: Limits) -> tuple[str, AudioReport]:
    report = check_audio(path, limits)
    return ("" if report.reason else sha256_of(path)), report


def _usable_stretches(annotation: Annotation, report: AudioReport) -> list[tuple[float, float]]:
    """The annotation's stretches inside the file; the whole file where it names none."""
    end = report.duration_s or 0.0
    if annotation.stretches is None:
        return [(0.0, end)]
    return [(turn.start_s, min(turn.end_s, end)) for turn in annotation.stretches if turn.start_s < end]


def _refuse_bad_names(dataset: str, files: Iterable[Path]) -> None:
    stems: dict[str, Path] = {}
    for path in files:
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise InputError(f"sources.{dataset}: the file name {str(path)!a} is not valid UTF-8 text; rename the file") from error
        if path.stem in stems:
            raise InputError(f"sources.{dataset}: {stems[path.stem]} and {path} would both be recording {path.stem}; rename one")
        stems[path.stem] = path


def _named(names: Iterable[str]) -> str:
    """The first few of many names."""
    listed = sorted(names)
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "")


def _read_voxconverse(folder: Path, files: list[Path]) -> tuple[dict[Path, Annotation], list[str]]:
    rttms: dict[str, Path] = {}
    for path in annotation_files("voxconverse", folder):
        if path.stem in rttms:
            raise InputError(f"sources.voxconverse: {rttms[path.stem]} and {path} both annotate {path.stem}; remove one")
        rttms[path.stem] = path
    annotations = {}
    for wav in files:
        if wav.stem not in rttms:
            continue
        try:
            stretches, broken = single_speaker_stretches(read_rttm(rttms[wav.stem])), ""
        except EmptyRttmError as error:
            stretches, broken = [], str(error)
        annotations[wav] = Annotation(f"voxconverse:{wav.stem}", "speech", "SPEECH", broken=broken, stretches=stretches)
    idle = rttms.keys() - {wav.stem for wav in files}
    return annotations, [f"{len(idle)} RTTM files have no recording in audio/: {_named(idle)}"] if idle else []


def _read_csv(path: Path, columns: list[str]) -> pd.DataFrame:
    """The columns of a CSV file as text. Raises InputError naming file and column, or file and line."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a readable CSV table ({error}); replace it") from error
    for column in columns:
        if column not in table:
            raise InputError(f"{path}: no column {column}; it has {', '.join(table.columns)}")
        empty = table.index[table[column].str.strip() == ""]
        if len(empty):
            raise InputError(f"{path}: row {empty[0] + 1} has no {column}; fill it in or remove the row")
    double = table.index[table[columns[0]].duplicated()]
    if len(double):
        raise InputError(f"{path}: {table[columns[0]][double[0]]} is listed twice; remove one row")
    return table[columns]


def _read_esc50(folder: Path, files: list[Path]) -> tuple[dict[Path, Annotation], list[str]]:
    (path,) = annotation_files("esc50", folder)
    table = _read_csv(path, ["filename", "category", "src_file"])
    rows = {name: (category, source) for name, category, source in table.itertuples(index=False)}
    annotations = {}
    for wav in files:
        if wav.name in rows:
            category, source = rows[wav.name]
            excluded = "category with human voice: " + category if category in ESC50_HUMAN_VOICE else ""
            annotations[wav] = Annotation(f"esc50:{source}", category, "NONSPEECH", excluded=excluded)
    idle = rows.keys() - {wav.name for wav in files}
    return annotations, [f"{len(idle)} rows of {path} have no file in audio/: {_named(idle)}"] if idle else []


def _read_fsd50k(folder: Path, files: list[Path]) -> tuple[dict[Path, Annotation], list[str]]:
    paths = annotation_files("fsd50k", folder)
    tables = [_read_csv(path, ["fname", "labels"]) for path in paths if path.name in ("dev.csv", "eval.csv")]
    if not tables:
        raise InputError(f"sources.fsd50k: {folder} holds neither FSD50K.ground_truth/dev.csv nor eval.csv; name the folder above them")
    labels = {name: text.split(",") for table in tables for name, text in zip(table.fname, table.labels, strict=True)}
    clips: dict[str, dict[str, Any]] = {}
    for path in paths:
        if path.suffix == ".json":
            clips |= _read_clips_info(path)
    annotations = {}
    for wav in files:
        if wav.stem in labels:
            about = clips.get(wav.stem, {})
            label, category, excluded = _judge_fsd50k(labels[wav.stem])
            source = str(about.get("uploader") or wav.stem)
            annotations[wav] = Annotation(f"fsd50k:{source}", category, label, excluded=excluded, licence=about.get("license"))
    return annotations, [] if clips else [
        "FSD50K.metadata is missing: every sound counts as a source of its own, though one uploader may have made many"
    ]


def _judge_fsd50k(labels: list[str]) -> tuple[str, str, str]:
    """Label, category and reason for exclusion ("" for none); a clip's labels run from the most specific to the broadest."""
    voices = [label for label in labels if label in FSD50K_HUMAN_VOICE]
    if not voices:
        return "NONSPEECH", labels[0], ""
    others = [label for label in labels if label not in FSD50K_SPEECH]
    if "Speech" not in labels:
        return "NONSPEECH", labels[0], f"label with human voice: {voices[0]}"
    return "SPEECH", "speech", f"speech and something else: {others[0]}" if others else ""


def _read_clips_info(path: Path) -> dict[str, dict[str, Any]]:
    try:
        clips = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error}); replace it") from error
    if not isinstance(clips, dict) or not all(isinstance(about, dict) for about in clips.values()):
        raise InputError(f"{path}: expected one object per clip, keyed by its name; replace it")
    return clips


_READERS = {"voxconverse": _read_voxconverse, "esc50": _read_esc50, "fsd50k": _read_fsd50k}


def summary(found: Catalogue) -> str:
    """One line: how many files are usable, excluded and broken, and how many sources that leaves."""
    verdicts = Counter(found.check.verdict)
    return (
        f"{len(found.check)} files: {verdicts['ok']} usable from {found.recordings.source_id.nunique()} sources,"
        f" {verdicts['excluded']} excluded, {verdicts['broken']} broken"
    )
