"""The audit's test of itself: plant a leak in a copy of a split, and see which checks find it.

Nothing is written: the copy is the split's tables in memory, and its audio is altered as it is read.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from earwitness.audio.io import Waveform
from earwitness.core.randomness import stream
from earwitness.leakage.audit import run_checks
from earwitness.leakage.audit_input import Audited, AuditInput
from earwitness.leakage.registry import Check, Finding


class CannotPlant(Exception):
    """The split has nothing to plant this leak in; the message says what is missing."""


@dataclass(frozen=True)
class Leak:
    """A leak that can be planted.

    check: the check that must find it; text: what is planted; also: checks that may find it too, because it is one of
    theirs as well; plant: makes the copy, or raises CannotPlant.
    """

    check: str
    text: str
    also: frozenset[str]
    plant: Callable[[AuditInput], AuditInput]


def sampled(audited: Audited, sources: int, stimuli: int) -> Audited:
    """The first sources of every part and class, and the first stimuli of each, in the order of their ids."""
    rows = audited.data.stimuli.sort_values("stimulus_id")
    rows = rows[rows.groupby(["part", "label"]).source_id.rank("dense") <= sources]
    rows = rows.groupby(["part", "source_id"]).head(stimuli).sort_index().reset_index(drop=True)
    recordings = audited.data.recordings
    used = recordings[recordings.recording_id.isin(rows.recording_id)].reset_index(drop=True)
    return replace(audited, data=replace(audited.data, stimuli=rows, recordings=used))


def self_test(audited: Audited) -> dict[str, Any]:
    """Plant every leak, each in a copy of its own, and run every check on each copy.

    Returns planted and detected (how many), passed (all that were planted were found by their check, none raised the
    alarm of a check that it should not, and there was one at least) and leaks: for each its check, text, result
    ("detected", "missed", "false alarm" or "not planted"), reason, and found_by and unexpected (ids of checks).
    A check finds a leak where it fails and did not before, or fails otherwise than before.
    """
    before = {check.id: (check, finding) for check, finding in run_checks(audited)}
    leaks = {leak.check: leak for leak in LEAKS}
    rows = []
    for id, (check, finding) in tqdm(before.items(), desc="Planting leaks", unit="leak", mininterval=5):
        row = {"check": id, "name": check.name, "text": "", "found_by": [], "unexpected": []}
        if id not in leaks:
            rows.append(row | {"result": "not planted", "reason": "no edit of tables or audio makes this leak"})
            continue
        row["text"] = leaks[id].text
        if finding.status == "not_run":
            rows.append(row | {"result": "not planted", "reason": f"the check does not run: {finding.reason}"})
            continue
        try:
            copy = leaks[id].plant(audited.data)
        except CannotPlant as error:
            rows.append(row | {"result": "not planted", "reason": str(error)})
            continue
        # What failed before tells nothing by failing again, unless it is the leak's own check.
        telling = {check.id for check, finding in before.values() if finding.status != "fail"} | {id}
        after = {check.id: finding for check, finding in run_checks(replace(audited, data=copy), telling)}
        rows.append(row | _judged(leaks[id], before, after))
    planted = [row for row in rows if row["result"] != "not planted"]
    detected = [row for row in planted if row["result"] == "detected"]
    return {
        "split": audited.name,
        "planted": len(planted),
        "detected": len(detected),
        "passed": bool(planted) and len(detected) == len(planted),
        "leaks": rows,
    }


def _judged(leak: Leak, before: dict[str, tuple[Check, Finding]], after: dict[str, Finding]) -> dict[str, Any]:
    new = [id for id, finding in after.items() if finding.status == "fail" and before[id][1].status != "fail"]
    was, now = before[leak.check][1], after[leak.check]
    otherwise = now.status == was.status == "fail" and (now.statistic != was.statistic or not now.offenders.equals(was.offenders))
    found = sorted({*new, leak.check} if otherwise else new)
    unexpected = sorted(set(new) - leak.also - {leak.check})
    if leak.check not in found:
        return {"result": "missed", "reason": f"{leak.check} did not find it", "found_by": found, "unexpected": unexpected}
    if unexpected:
        return {"result": "false alarm", "reason": f"{', '.join(unexpected)} should not see it", "found_by": found, "unexpected": unexpected}
    return {"result": "detected", "reason": "", "found_by": found, "unexpected": []}


def detection_table(result: dict[str, Any]) -> str:
    """The result of self_test as a Markdown table: planted leaks down, checks across."""
    ids = [row["check"] for row in result["leaks"]]
    lines = [["planted leak", *ids, "result"], ["---"] * (len(ids) + 2)]
    for row in result["leaks"]:
        marks = ["!" if id in row["unexpected"] else "x" if id in row["found_by"] else " " for id in ids]
        outcome = row["result"] + (f": {row['reason']}" if row["reason"] else "")
        lines.append([f"{row['check']} {row['text'] or row['name']}", *marks, outcome])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def plant_source(data: AuditInput) -> AuditInput:
    """A test stimulus is of a speaker (or sound) of the training part."""
    return _edited(data, _one(data, "test"), source_id=_one(data, "train").source_id)


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


def plant_disguised_copy(data: AuditInput) -> AuditInput:
    """A test clip is a training clip, half as loud, shifted, with noise at 20 dB."""
    name, copied = _longest_clip(data, "train", "SPEECH")
    noise = stream(0, "self_test", name).standard_normal(len(copied)) * np.sqrt(np.mean(np.square(copied, dtype=np.float64))) / 10
    return _with_clip(data, _one(data, "test").clip_id, np.pad(0.5 * (copied + noise), (123, 0)).astype(np.float32))


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


LEAKS = (
    Leak("L01", "A test stimulus is of a speaker (or sound) of the training part", frozenset(), plant_source),
    Leak("L02", "A test stimulus is cut from a recording of the training part, long after its last training segment", frozenset(), plant_recording),
    Leak("L03", "A test clip is a training clip with other zero padding", frozenset({"L04"}), plant_copy),
    Leak("L04", "A test clip is a training clip, half as loud, shifted, with noise at 20 dB", frozenset(), plant_disguised_copy),
    Leak("L05", "A test stimulus has the noise of a training stimulus", frozenset(), plant_noise),
    Leak("L06", "A test stimulus overlaps a training segment by 10 ms", frozenset({"L02"}), plant_neighbour),
    Leak("L10", "All non-speech is 40 dB softer than it was", frozenset(), plant_soft_class),
    Leak("L13", "The test part has too few speech sources", frozenset(), plant_missing_sources),
    Leak("L14", "A non-speech clip of the training part holds the audio of one of its speech clips", frozenset(), plant_speech_as_sound),
)
"""Every leak that can be planted by editing tables or audio. A neighbour is in the same recording; an exact copy is also a near one."""
