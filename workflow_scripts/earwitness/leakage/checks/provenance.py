"""Checks of where stimuli come from: sources, recordings, noises, and stretches of one recording."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from earwitness.audio.noise_names import noise_parts
from earwitness.core.names import canonical_name
from earwitness.leakage.audit_input import AuditInput
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, not_applicable, not_run
from earwitness.leakage.shared_items import shared_between_parts
from earwitness.splits.study import with_origins

MOSTLY = 0.5
"""Share of a class's sources; where more than this have a single item, that is remarked."""


def _shared(stimuli: pd.DataFrame, key: str, noun: str, remarks: Sequence[str] = ()) -> Finding:
    """Is any value of a column in more than one part? noun: what a value is called."""
    offenders = shared_between_parts(stimuli, key, noun)
    n_shared = int(stimuli.groupby(key).part.nunique().gt(1).sum())
    reason = f"{n_shared} {noun}{'s are' if n_shared > 1 else ' is'} in more than one part"
    return judge(offenders, stimuli[key].nunique(), n_shared, 0, reason, remarks)


def _of_several(stimuli: pd.DataFrame, key: str) -> pd.DataFrame:
    """The stimuli whose value of a column others have too: what one stimulus has alone cannot be in two parts."""
    return stimuli[stimuli.groupby(key)[key].transform("size") > 1]


@check(
    id="L01",
    name="source_overlap",
    severity="error",
    units="sources",
    question="Is any source (speaker, sound) in more than one part?",
    remedy="Split by source_id, so that every stimulus of a speaker or sound is in one part.",
)
def source_overlap(data: AuditInput) -> Finding:
    """Sources are compared by their canonical names (earwitness.core.names), and named in the evidence as each part writes them."""
    stimuli = data.stimuli.assign(name=data.stimuli.source_id.map(canonical_name))
    several = _of_several(stimuli, "name")
    if several.empty and len(stimuli):
        return not_run("no source has two items, so none could be in two parts: every item has a source of its own; name who speaks, or what sounds")
    remarks = []
    for label, rows in stimuli.groupby("label"):
        names, alone = set(rows.name), set(rows.name) - set(several.name)
        if len(alone) > MOSTLY * len(names):
            remarks.append(f"{len(alone)} of {len(names)} {label} sources have one item, and so could not be in two parts.")
    parts = zip(stimuli.name, stimuli.part.astype(str), strict=True)
    if all(part.casefold() in source for source, part in parts):
        remarks.append("Every source is named after its part, so no name could be in two.")
    return _shared(several, "name", "source", remarks)


@check(
    id="L02",
    name="recording_overlap",
    severity="error",
    units="recordings",
    question="Is any recording in more than one part, under whatever source?",
    remedy="Give the recording one source_id, or keep all its stimuli in one part: they share speaker, microphone and room.",
)
def recording_overlap(data: AuditInput) -> Finding:
    """Recordings are compared by recording_id; files that were cut from one recording are one."""
    stimuli = with_origins(data.stimuli, [data.recordings])
    several = _of_several(stimuli.assign(recording=stimuli.original.where(stimuli.original != "", stimuli.recording_id)), "recording")
    if several.empty and len(data.stimuli):
        return not_run("no recording has two items, so none could be in two parts; name the recording that each item was cut from")
    return _shared(several, "recording", "recording")


@check(
    id="L05",
    name="shared_noise",
    severity="error",
    units="noises",
    question="Is any noise, or any recording that noises are made of, mixed into stimuli of more than one part?",
    remedy="Draw the noise of every stimulus on its own, or keep the stimuli that share a noise in one part.",
)
def shared_noise(data: AuditInput) -> Finding:
    """Noises are compared by what they were made of, recordings or, where they were computed, themselves.

    Mixing defeats comparisons of audio, so this rests on noise_id. A stimulus without an SNR has no noise added.
    """
    noisy = data.stimuli[data.stimuli.snr_db.notna()]
    if noisy.empty and len(data.stimuli):
        return not_applicable("no noise was added to any stimulus")
    return _shared(noisy.assign(noise_id=noisy.noise_id.map(noise_parts)).explode("noise_id"), "noise_id", "noise")


@check(
    id="L06",
    name="temporal_adjacency",
    severity="error",
    units="segments",
    question="Do segments of one recording that are in different parts overlap, or lie closer than the guard?",
    remedy="Keep neighbouring segments of a recording in one part, or drop those within the guard (audit.adjacency_guard_s).",
)
def temporal_adjacency(data: AuditInput) -> Finding:
    """The gap between segments of one recording in different parts, against the policy's guard; the statistic is the smallest.

    One sweep per part over the segments sorted by recording and start: of the earlier segments of another part only the
    one that ends last can be the nearest, so no pairs are enumerated. Evidence is the closest pair per recording and
    pair of parts.
    """
    guard = data.policy.adjacency_guard_s
    span = ["recording_id", "segment_start_s", "segment_end_s", "part"]
    several = _of_several(data.stimuli, "recording_id")
    if several.empty and len(data.stimuli):
        return not_run(
            "no recording has two items, so none could lie beside another; name the recording that each item was cut from", threshold=guard
        )
    segments = several.sort_values([*span, "stimulus_id"]).drop_duplicates(span).reset_index(drop=True)
    part, recording, stimulus, source = (segments[name].to_numpy() for name in ("part", "recording_id", "stimulus_id", "source_id"))
    start, end = segments.segment_start_s, segments.segment_end_s

    earlier, later, gaps = [np.empty(0, int)], [np.empty(0, int)], [np.empty(0)]
    for other in sorted(segments.part.unique()):
        latest_end = end.where(part == other, -np.inf).groupby(recording).cummax()
        holder = pd.Series(np.where((part == other) & (end == latest_end), np.arange(len(segments)), -1)).groupby(recording).cummax()
        met = np.flatnonzero((part != other) & np.isfinite(latest_end))
        earlier.append(holder.to_numpy()[met])
        later.append(met)
        gaps.append((start - latest_end).to_numpy()[met].round(6))
    first, second, gap = np.concatenate(earlier), np.concatenate(later), np.concatenate(gaps)
    smallest = float(gap.min()) if len(gap) else None

    first, second, gap = first[gap < guard], second[gap < guard], gap[gap < guard]
    swap = part[first] > part[second]
    a, b = np.where(swap, second, first), np.where(swap, first, second)
    sides = {"part_a": part[a], "part_b": part[b], "item_a": stimulus[a], "item_b": stimulus[b], "source_a": source[a], "source_b": source[b]}
    place = ["recording_id", "part_a", "part_b"]
    offenders = pd.DataFrame({**sides, "recording_id": recording[a], "gap_s": gap})
    offenders = offenders.sort_values([*place, "gap_s", "item_a", "item_b"]).drop_duplicates(place)
    detail = [
        f"recording {name}: " + (f"segments overlap by {-gap_s:.3f} s" if gap_s < 0 else f"segments are {gap_s:.3f} s apart, guard {guard:g} s")
        for name, gap_s in zip(offenders.recording_id, offenders.gap_s, strict=True)
    ]
    n_recordings = offenders.recording_id.nunique()
    reason = f"{n_recordings} recording{'s have' if n_recordings > 1 else ' has'} segments of different parts less than {guard:g} s apart"
    offenders = offenders.assign(detail=pd.Series(detail, index=offenders.index, dtype=str))
    return judge(offenders[list(EVIDENCE_COLUMNS)], len(segments), smallest, guard, reason)
