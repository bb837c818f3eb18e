"""The audit's test of itself: plant a leak in a copy of a split, and see which checks find it.

Nothing is written: the copy is the split's tables in memory, and its audio is altered as it is read.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from earwitness.audio.io import Waveform
from earwitness.core.progress import Progress
from earwitness.leakage.audit import run_checks
from earwitness.leakage.audit_input import Audited, AuditInput
from earwitness.leakage.disguises import DISGUISES
from earwitness.leakage.registry import Check, Finding

LETTERS_TO_MISSPELL = 6
"""Shorter names at one letter's distance are too often two names."""


class CannotPlant(Exception):
    """The split has nothing to plant this leak in; the message says what is missing."""


@dataclass(frozen=True)
class Leak:
    """A leak that can be planted.

    kind: its name; text: what is planted; found_by: checks, one of which must find it; plant: makes the copy, or raises
    CannotPlant. also: checks that may find it too, because it is one of theirs as well. limit: why it may be missed all the
    same; "" where missing it is a fault.
    """

    kind: str
    text: str
    found_by: tuple[str, ...]
    plant: Callable[[AuditInput], AuditInput]
    also: frozenset[str] = frozenset()
    limit: str = ""


def sampled(audited: Audited, sources: int, stimuli: int) -> Audited:
    """The first sources of every part and class, and the first stimuli of each, in the order of their ids."""
    rows = audited.data.stimuli.sort_values("stimulus_id")
    rows = rows[rows.groupby(["part", "label"]).source_id.rank("dense") <= sources]
    rows = rows.groupby(["part", "source_id"]).head(stimuli).sort_index().reset_index(drop=True)
    recordings = audited.data.recordings
    used = recordings[recordings.recording_id.isin(rows.recording_id)].reset_index(drop=True)
    return replace(audited, data=replace(audited.data, stimuli=rows, recordings=used))


def self_test(audited: Audited) -> dict[str, Any]:
    """Plant every leak, each in a copy of its own, and run the checks on each copy.

    Returns planted and detected (how many), passed (every leak that was planted and has no limit was found by a check of its
    own, none raised the alarm of a check that it should not, and one at least was found), checks (the ids of all), and leaks: for
    each its kind, text, expected (ids of the checks that find it), result ("detected", "missed", "within its limit", "false
    alarm" or "not planted"), reason, and found_by and unexpected (ids of checks).
    A check finds a leak where it fails and did not before, or fails otherwise than before.
    """
    before = {check.id: (check, finding) for check, finding in run_checks(audited)}
    rows = []
    for leak in Progress(LEAKS, desc="planting leaks", unit="leaks"):
        row = {"kind": leak.kind, "text": leak.text, "expected": list(leak.found_by), "found_by": [], "unexpected": []}
        able = [id for id in leak.found_by if id in before and before[id][1].status not in ("not_run", "not_applicable")]
        if not able:
            rows.append(row | {"result": "not planted", "reason": _why_unable(leak, before)})
            continue
        try:
            copy = leak.plant(audited.data)
        except CannotPlant as error:
            rows.append(row | {"result": "not planted", "reason": str(error)})
            continue
        # A check that failed before tells nothing by failing again, unless it is one of the leak's own checks.
        telling = {id for id, (check, finding) in before.items() if finding.status != "fail" and check.severity == "error"} | set(able)
        after = {check.id: finding for check, finding in run_checks(replace(audited, data=copy), telling)}
        rows.append(row | _judged(leak, before, after))
    planted = [row for row in rows if row["result"] != "not planted"]
    detected = [row for row in planted if row["result"] == "detected"]
    return {
        "split": audited.name,
        "checks": list(before),
        "planted": len(planted),
        "detected": len(detected),
        "passed": bool(detected) and all(row["result"] in ("detected", "within its limit") for row in planted),
        "leaks": rows,
    }


def _why_unable(leak: Leak, before: dict[str, tuple[Check, Finding]]) -> str:
    reasons = [f"{id} does not run: {before[id][1].reason}" if id in before else f"{id} is no check of this audit" for id in leak.found_by]
    return "; ".join(reasons)


def _judged(leak: Leak, before: dict[str, tuple[Check, Finding]], after: dict[str, Finding]) -> dict[str, Any]:
    found = {id for id, finding in after.items() if finding.status == "fail" and _new(before[id][1], finding)}
    unexpected = sorted(id for id in found - leak.also - set(leak.found_by) if before[id][1].status != "fail")
    told = {"found_by": sorted(found), "unexpected": unexpected}
    if unexpected:
        return told | {"result": "false alarm", "reason": f"{', '.join(unexpected)} should not see it"}
    if found & set(leak.found_by):
        return told | {"result": "detected", "reason": ""}
    missed = f"{' and '.join(leak.found_by)} did not find it"
    return told | ({"result": "within its limit", "reason": f"{missed}: {leak.limit}"} if leak.limit else {"result": "missed", "reason": missed})


def _new(was: Finding, now: Finding) -> bool:
    """Does a check fail that passed before, or that failed with another finding?"""
    return was.status != "fail" or now.statistic != was.statistic or not now.offenders.equals(was.offenders)


def detection_table(result: dict[str, Any]) -> str:
    """The result of self_test as a Markdown table: planted leaks down, checks across.

    x: found it, and should; o: should, and did not; !: found it, and should not.
    """
    ids = result["checks"]
    lines = [["planted leak", *ids, "result"], ["---"] * (len(ids) + 2)]
    for row in result["leaks"]:
        missed = row["expected"] if row["result"] in ("missed", "within its limit") else []
        marks = ["!" if id in row["unexpected"] else "x" if id in row["found_by"] else "o" if id in missed else " " for id in ids]
        outcome = row["result"] + (f": {row['reason']}" if row["reason"] else "")
        lines.append([f"{row['kind']}: {row['text']}", *marks, outcome])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
    planted = {id for row in result["leaks"] for id in row["expected"]}
    without = [id for id in ids if id not in planted]
    return table + (f"\nNo edit of tables or audio makes a leak for {', '.join(without)}.\n" if without else "")


def plant_source(data: AuditInput) -> AuditInput:
    """A test stimulus is of a speaker (or sound) of the training part."""
    planted = _one(data, "test")
    others = replace(data, stimuli=data.stimuli[data.stimuli.source_id != planted.source_id])  # a split that leaks may have the first in both parts
    return _edited(data, planted, source_id=_one(others, "train").source_id)


def plant_recording(data: AuditInput) -> AuditInput:
    """A test stimulus is cut from a recording of the training part, long after its last training segment."""
    return _moved(data, gap_s=data.policy.adjacency_guard_s + 60)


def plant_neighbour(data: AuditInput) -> AuditInput:
    """A test stimulus overlaps a training segment by 10 ms."""
    return _moved(data, gap_s=-0.01)


def plant_noise(data: AuditInput) -> AuditInput:
    """A test stimulus has the noise of a training stimulus."""
    noisy = data.stimuli[data.stimuli.snr_db.notna()]
    if not {"train", "test"} <= set(noisy.part):
        raise CannotPlant("no noise is mixed into train and test")
    taken = noisy[noisy.part == "train"].iloc[0]
    return _edited(data, noisy[(noisy.part == "test") & (noisy.noise_id != taken.noise_id)].iloc[0], noise_id=taken.noise_id)


def plant_copy(data: AuditInput) -> AuditInput:
    """A test clip is a training clip with other zero padding."""
    _, copied = _longest_clip(data, "train", "SPEECH")
    return _with_clip(data, _one(data, "test").clip_id, np.pad(copied, (37, 11)))


def plant_disguised_copy(data: AuditInput, disguise: str) -> AuditInput:
    """A test clip is a changed copy (earwitness.leakage.disguises.DISGUISES) of a training clip."""
    _, copied = _longest_clip(data, "train", "SPEECH")
    _, other = _longest_clip(data, "train", "NONSPEECH")
    return _with_clip(data, _one(data, "test").clip_id, DISGUISES[disguise](copied, other))


def plant_renamed_speaker(data: AuditInput) -> AuditInput:
    """Half of the clips of a speaker of the training part are in the test part, under another name and of another recording."""
    rows = data.stimuli[(data.stimuli.part == "train") & (data.stimuli.label == "SPEECH")]
    clips = {str(source): sorted(of_source.clip_id.unique()) for source, of_source in rows.groupby("source_id")}
    most = max(clips.values(), key=len, default=[])
    if len(most) < 2:
        raise CannotPlant("no speaker of the training part has two clips")
    moved = data.stimuli.clip_id.isin(most[1::2])
    recording = data.recordings[data.recordings.recording_id.isin(data.stimuli.recording_id[moved])].head(1)
    renamed = recording.assign(recording_id="another recording", source_id="another name", path="another.wav")
    values = {"part": "test", "source_id": "another name", "recording_id": "another recording"}
    stimuli = data.stimuli.assign(**{column: data.stimuli[column].mask(moved, value) for column, value in values.items()})
    return replace(data, stimuli=stimuli, recordings=pd.concat([data.recordings, renamed], ignore_index=True))


def plant_respelled_source(data: AuditInput) -> AuditInput:
    """A test stimulus is of a speaker of the training part, whose name is written in other case, with space and decomposed letters."""
    name = str(_one(data, "train").source_id)
    return _edited(data, _one(data, "test"), source_id=unicodedata.normalize("NFD", f" {name.swapcase()} "))


def plant_misspelt_source(data: AuditInput) -> AuditInput:
    """A test stimulus is of a speaker of the training part, whose name has one letter twice."""
    sources = data.stimuli[(data.stimuli.part == "train") & (data.stimuli.label == "SPEECH")].source_id.astype(str).unique()
    for name in sorted(sources):
        letters = [place for place, character in enumerate(name) if character.isalpha()]
        if len(letters) > LETTERS_TO_MISSPELL:
            middle = letters[-2]
            return _edited(data, _one(data, "test"), source_id=name[:middle] + name[middle] + name[middle:])
    raise CannotPlant(f"no speaker of the training part has a name of more than {LETTERS_TO_MISSPELL} letters")


def plant_same_freesound_id(data: AuditInput) -> AuditInput:
    """A test sound of another data set has the Freesound id of a training sound."""
    train, test = _one(data, "train", "NONSPEECH"), _one(data, "test", "NONSPEECH")
    source = "freesound:0"
    named = _edited(_edited(data, train, source_id=source), test, source_id=source, recording_id="other set/0.wav")
    recording = data.recordings[data.recordings.recording_id == test.recording_id]
    elsewhere = recording.assign(recording_id="other set/0.wav", dataset="another", source_id=source, path="0.wav")
    return replace(named, recordings=pd.concat([data.recordings, elsewhere], ignore_index=True))


def plant_soft_class(data: AuditInput) -> AuditInput:
    """All non-speech is 40 dB softer than it was."""
    sounds = data.stimuli[data.stimuli.label == "NONSPEECH"]
    softer = {*sounds.clip_id, *sounds.stimulus_id}
    return replace(data, altered=lambda item, stored: 0.01 * stored if item in softer else stored)


def plant_missing_sources(data: AuditInput) -> AuditInput:
    """The test part has too few speech sources."""
    _one(data, "test")
    stimuli = data.stimuli
    speech = (stimuli.part == "test") & (stimuli.label == "SPEECH")
    kept = sorted(stimuli.source_id[speech].unique())[: max(0, int(data.policy.min_sources_per_class) - 1)]
    return replace(data, stimuli=stimuli[~speech | stimuli.source_id.isin(kept)].reset_index(drop=True))


def plant_speech_as_sound(data: AuditInput) -> AuditInput:
    """A non-speech clip of the training part holds the audio of one of its speech clips."""
    _, spoken = _longest_clip(data, "train", "SPEECH")
    return _with_clip(data, _one(data, "train", "NONSPEECH").clip_id, spoken)


def plant_session(data: AuditInput) -> AuditInput:
    """A test recording is of the session of a training recording."""
    together = [_one(data, part).recording_id for part in ("train", "test")]
    recordings = data.recordings
    return replace(data, recordings=recordings.assign(session=recordings.session.mask(recordings.recording_id.isin(together), "planted")))


def _one(data: AuditInput, part: str, label: str = "SPEECH") -> pd.Series:
    """The first stimulus of the source that has most in a part, so that losing it costs the part no source."""
    rows = data.stimuli[(data.stimuli.part == part) & (data.stimuli.label == label)]
    if rows.empty:
        raise CannotPlant(f"the {part} part has no {label}")
    source = rows.source_id.value_counts().sort_index().idxmax()
    return rows[rows.source_id == source].sort_values("stimulus_id").iloc[0]


def _edited(data: AuditInput, stimulus: pd.Series, **values: Any) -> AuditInput:
    """A copy in which one stimulus has other values."""
    stimuli = data.stimuli
    it = stimuli.stimulus_id == stimulus.stimulus_id
    stimuli = stimuli.assign(**{column: stimuli[column].mask(it, value) for column, value in values.items()})
    return replace(data, stimuli=stimuli)


def _moved(data: AuditInput, gap_s: float) -> AuditInput:
    """A copy in which a test stimulus starts `gap_s` after the last training segment of a training recording."""
    stimulus, recording_id = _one(data, "test"), _one(data, "train").recording_id
    end = data.stimuli.segment_end_s[data.stimuli.recording_id == recording_id].max()
    length = stimulus.segment_end_s - stimulus.segment_start_s
    return _edited(data, stimulus, recording_id=recording_id, segment_start_s=end + gap_s, segment_end_s=end + gap_s + length)


def _with_clip(data: AuditInput, clip_id: str, waveform: Waveform) -> AuditInput:
    """A copy in which a clip, and what was cut from it, sounds like `waveform`."""
    changed = {clip_id, *data.stimuli.stimulus_id[data.stimuli.clip_id == clip_id]}
    return replace(data, altered=lambda item, stored: waveform if item in changed else stored)


def _longest_clip(data: AuditInput, part: str, label: str) -> tuple[str, Waveform]:
    wanted = set(data.stimuli.clip_id[(data.stimuli.part == part) & (data.stimuli.label == label)])
    name, longest = "", np.zeros(0, np.float32)
    for clip_id, waveform in data.clip_audio():
        if clip_id in wanted and len(waveform) > len(longest):
            name, longest = clip_id, waveform
    if not longest.any():
        raise CannotPlant(f"the {part} part has no audible {label} clip")
    return name, longest


LIMITS = {
    "telephone": "of a second, too little is left in four octaves",
    "noise at 5 dB": "short pieces in noise tell too little",
    "noise at 0 dB": "there is as much noise as sound",
    "under another sound at 0 dB": "another sound is as loud",
    "1 % faster": "less than a second tells no speed",
}
"""Disguises under which a copy may be missed, and why; benchmarks/README.md tells how often."""

NAMES = frozenset({"L18"})
"""What warns of names that resemble one another."""

LEAKS = (
    Leak("shared source", "a test stimulus is of a speaker of the training part", ("L01",), plant_source),
    Leak(
        "respelled source",
        "the same, its name in other case, with space and decomposed letters",
        ("L01",),
        plant_respelled_source,
        NAMES,
    ),
    Leak("misspelt source", "the same, its name with one letter twice", ("L18",), plant_misspelt_source),
    Leak("renamed speaker", "half of a training speaker's clips are in the test part under another name", ("L16",), plant_renamed_speaker),
    Leak(
        "same Freesound id",
        "a test sound of another data set has the Freesound id of a training sound",
        ("L01",),
        plant_same_freesound_id,
        NAMES,
    ),
    Leak("shared recording", "a test stimulus is cut from a training recording, long after its last segment", ("L02",), plant_recording),
    Leak("neighbour", "a test stimulus overlaps a training segment by 10 ms", ("L06",), plant_neighbour, frozenset({"L02"})),
    Leak("shared noise", "a test stimulus has the noise of a training stimulus", ("L05",), plant_noise),
    Leak("exact copy", "a test clip is a training clip with other zero padding", ("L03",), plant_copy, frozenset({"L04", "L16"})),
    *(
        Leak(
            f"copy, {disguise}",
            "a test clip is a training clip, changed",
            ("L04",),
            partial(plant_disguised_copy, disguise=disguise),
            also=frozenset({"L03", "L16"}),
            limit=LIMITS.get(disguise, ""),
        )
        for disguise in DISGUISES
    ),
    Leak("shortcut", "all non-speech is 40 dB softer than it was", ("L10",), plant_soft_class, frozenset({"L17"})),
    Leak("shared session", "a test recording is of the session of a training recording", ("L17",), plant_session),
    Leak("lost sources", "the test part has too few speech sources", ("L13",), plant_missing_sources),
    Leak("speech as sound", "a non-speech clip of the training part holds the audio of a speech clip", ("L14",), plant_speech_as_sound),
)
"""Every leak that can be planted by editing tables or audio. A neighbour is in the same recording; an exact copy is also a near
one, a copy that is only shifted is an exact one, and a copy of speech has its voice."""
