"""Checks of where stimuli come from: sources, recordings, noises, and stretches of one recording."""

import numpy as np
import pandas as pd

from earwitness.audio.noise_folder import noise_parts
from earwitness.leakage.audit_input import AuditInput
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge
from earwitness.leakage.shared_items import shared_between_parts


def _shared(stimuli: pd.DataFrame, key: str, noun: str) -> Finding:
    offenders = shared_between_parts(stimuli, key, noun)
    n_shared = int(stimuli.groupby(key).part.nunique().gt(1).sum())
    reason = f"{n_shared} {noun}{'s are' if n_shared > 1 else ' is'} in more than one part"
    return judge(offenders, stimuli[key].nunique(), n_shared, 0, reason)


@check(
    id="L01",
    name="source_overlap",
    severity="error",
    units="sources",
    question="Is any source (speaker, sound) in more than one part?",
    remedy="Split by source_id, so that every stimulus of a speaker or sound is in one part.",
)
def source_overlap(data: AuditInput) -> Finding:
    """Is any source (speaker, sound) in more than one part?"""
    return _shared(data.stimuli, "source_id", "source")


@check(
    id="L02",
    name="recording_overlap",
    severity="error",
    units="recordings",
    question="Is any recording in more than one part, under whatever source?",
    remedy="Give the recording one source_id, or keep all its stimuli in one part: they share speaker, microphone and room.",
)
def recording_overlap(data: AuditInput) -> Finding:
    """Is any recording in more than one part, under whatever source?"""
    return _shared(data.stimuli, "recording_id", "recording")


@check(
    id="L05",
    name="shared_noise",
    severity="error",
    units="noises",
    question="Is any noise, or any recording that noises are made of, mixed into stimuli of more than one part?",
    remedy="Draw the noise of every stimulus on its own, or keep the stimuli that share a noise in one part.",
)
def shared_noise(data: AuditInput) -> Finding:
    """Is any noise, or any recording that noises are made of, mixed into stimuli of more than one part?

    Mixing defeats comparisons of audio, so this rests on noise_id. A stimulus without an SNR has no noise added.
    """
    noisy = data.stimuli[data.stimuli.snr_db.notna()]
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
    """Do segments of one recording that are in different parts overlap, or lie closer than the guard?

    One sweep per part over the segments sorted by recording and start: of the earlier segments of another part only the
    one that ends last can be the nearest, so no pairs are enumerated. Evidence is the closest pair per recording and
    pair of parts.
    """
    guard = data.policy.adjacency_guard_s
    span = ["recording_id", "segment_start_s", "segment_end_s", "part"]
    segments = data.stimuli.sort_values([*span, "stimulus_id"]).drop_duplicates(span).reset_index(drop=True)
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
