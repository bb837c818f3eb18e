"""Is one voice under several names? What names hide, the voice tells."""

from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.audio.io import SAMPLE_RATE, dbfs
from earwitness.audio.speaker_embedding import MIN_EMBEDDED_S, not_installed, speaker_embedding
from earwitness.core.progress import Progress
from earwitness.leakage.audit_input import AuditInput, Batch
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, not_run
from earwitness.leakage.voices import MIN_CALIBRATED, Pairs, Voices, calibrated, one_voice, unit
from earwitness.tables.clips import CLIPS
from earwitness.tables.columns import LABELS
from earwitness.tables.files import read_table

Names = npt.NDArray[np.str_]

STRETCHES = 3
"""The longest clips of a source, of which its voice is made."""

LONGEST_STRETCH_S = 5.0
"""Seconds heard of each, from its middle; more says little more."""

MIN_SPEECH_S = 1.0
"""Seconds of speech that a source needs; voices heard for less are confused."""

QUIETEST_DBFS = -70.0
"""Level below which a stretch is silence, which has no voice."""

FEWEST_RECOGNISED = 0.5
"""Share of recordings of one voice that must be recognisable, or a search that finds nothing says nothing."""


class Heard(NamedTuple):
    """The voice of one stretch: its clip, seconds heard and where they begin in the clip, and embeddings of all and of either half."""

    clip_id: str
    start_s: float
    duration_s: float
    whole: npt.NDArray[np.float64]
    halves: npt.NDArray[np.float64]


def voices_in(batch: Batch, model: str) -> list[Heard]:
    """Embed the middle of named 16 kHz mono waveforms; those that are silent or too short to halve are left out."""
    embed = speaker_embedding(model)
    heard = []
    for name, waveform in batch:
        start = max(0, len(waveform) - round(LONGEST_STRETCH_S * SAMPLE_RATE)) // 2
        stretch = waveform[start : start + round(LONGEST_STRETCH_S * SAMPLE_RATE)]
        middle = len(stretch) // 2
        if middle >= MIN_EMBEDDED_S * SAMPLE_RATE and dbfs(stretch) > QUIETEST_DBFS:
            halves = unit([embed(stretch[:middle]), embed(stretch[middle:])])
            heard.append(Heard(name, start / SAMPLE_RATE, len(stretch) / SAMPLE_RATE, unit(embed(stretch)), halves))
    return heard


@check(
    id="L16",
    name="same_voice_across_sources",
    severity="error",
    required=False,
    units="pairs of sources",
    question="Is one voice under several names in several parts?",
    remedy="Listen to the pairs; give what is one speaker one source, and split again. Waive the check where they are different people.",
)
def same_voice_across_sources(data: AuditInput) -> Finding:
    """Compare speaker embeddings of all pairs of speech sources that are in different parts under different names.

    A source's voice is the mean, weighted by duration, of the embeddings of its longest clips before noise is added. The limit is the
    score that a pair of different voices exceeds as rarely as the policy allows, and higher where there are many pairs
    (earwitness.leakage.voices). The statistic is the number of pairs found.

    Severity error: a shared voice is the very leak that L01 looks for by name, and a clean split fails by chance in one of 50 cases, however
    many pairs it has. Not run, which does not fail: without the optional packages, with too few sources that have a second of speech, and
    where nothing found would say nothing, since less than half the recordings of one voice would be recognised.
    """
    model, false_alarms = data.policy.speaker_model, data.policy.voice_false_alarms
    if reason := not_installed(model):
        return not_run(reason)
    stretches = _longest_stretches(data)
    heard: list[Heard] = []
    with Progress(desc="hearing voices", total=len(stretches), unit="stretches") as progress:
        for batch in data.over_clips(partial(voices_in, model=model), set(stretches.clip_id)):
            heard += batch
            progress.update(len(batch))
    stretches = stretches.merge(pd.DataFrame(heard, columns=list(Heard._fields)), on="clip_id", suffixes=("_of_clip", ""), validate="one_to_one")
    n_sources = data.stimuli[data.stimuli.label == LABELS[0]].source_id.nunique()
    by_source = {str(source): rows for source, rows in stretches.groupby("source_id") if rows.duration_s.sum() >= MIN_SPEECH_S}
    short = n_sources - len(by_source)
    left_out = [f"{short} of {n_sources} speech sources have less than {MIN_SPEECH_S:g} s of sounding speech and are not compared."] if short else []
    if len(by_source) < MIN_CALIBRATED:
        reason = f"{len(by_source)} speech sources have {MIN_SPEECH_S:g} s of speech; {MIN_CALIBRATED} are needed to learn how alike voices are"
        return not_run(reason, remarks=left_out)

    whole, scores = calibrated(_voices(by_source))
    sources = np.array(list(by_source))
    pairs, n_compared = one_voice(whole, scores, _parts_as_bits(data, sources), false_alarms)
    recognised = f"{scores.recognised(false_alarms):.0%} of recordings of one voice in one channel would be recognised"
    if not len(pairs.first) and scores.recognised(false_alarms) < FEWEST_RECOGNISED:
        return not_run(f"voices are too alike, or speech too short: only {recognised}", n_compared, 0, left_out)
    reason = f"{len(pairs.first)} pairs of sources in different parts seem to have one voice (score of at least {scores.limit(false_alarms):.2f})"
    return judge(_offenders(data, sources, by_source, pairs), n_compared, len(pairs.first), 0, reason, [f"{recognised}.", *left_out])


def _longest_stretches(data: AuditInput) -> pd.DataFrame:
    """The longest speech clips of each source: clip_id, source_id, recording_id, clip_start_s."""
    speech = data.stimuli[data.stimuli.label == LABELS[0]].drop_duplicates("clip_id")[["clip_id", "source_id"]]
    clips = pd.concat([read_table(path, CLIPS) for path in data.clip_files], ignore_index=True)
    clips = speech.merge(clips[["clip_id", "recording_id", "start_s", "end_s"]], on="clip_id", validate="one_to_one")
    clips = clips.assign(length=(clips.end_s - clips.start_s).round(3)).sort_values(["length", "clip_id"], ascending=[False, True])
    longest = clips.groupby("source_id").head(STRETCHES).rename(columns={"start_s": "clip_start_s"})
    return longest[["clip_id", "source_id", "recording_id", "clip_start_s"]].reset_index(drop=True)


def _voices(by_source: dict[str, pd.DataFrame]) -> Voices:
    def mean(rows: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
        return np.average(np.stack(list(rows[column])), axis=0, weights=rows.duration_s)

    return Voices(*(unit([mean(rows, column) for rows in by_source.values()]) for column in ("whole", "halves")))


def _parts_as_bits(data: AuditInput, sources: Names) -> npt.NDArray[np.int64]:
    """The parts that hold each source, as bits of a number."""
    bit = {part: 1 << k for k, part in enumerate(sorted(data.stimuli.part.unique()))}
    held = data.stimuli[["source_id", "part"]].drop_duplicates()
    return held.part.map(bit).groupby(held.source_id).sum().loc[list(sources)].to_numpy(np.int64)


def _offenders(data: AuditInput, sources: Names, by_source: dict[str, pd.DataFrame], pairs: Pairs) -> pd.DataFrame:
    """A row per pair: first the part that comes first by name, the longest clip of each, and where each was heard."""
    parts = data.stimuli.groupby("source_id").part.agg(lambda parts: sorted(set(parts)))
    rows = []
    for first, second, score, chance in zip(*pairs, strict=True):
        a, b = str(sources[first]), str(sources[second])
        part_a, part_b = min((p, q) for p in parts[a] for q in parts[b] if p != q)
        if part_a > part_b:
            a, b, part_a, part_b = b, a, part_b, part_a
        detail = f"score {score:.3f}, by chance in {chance:.1e} of pairs of different voices; heard {_times(by_source[a])} and {_times(by_source[b])}"
        rows.append((part_a, part_b, by_source[a].clip_id.iloc[0], by_source[b].clip_id.iloc[0], a, b, detail))
    return pd.DataFrame(rows, columns=list(EVIDENCE_COLUMNS), dtype=str)


def _times(stretches: pd.DataFrame) -> str:
    starts = stretches.clip_start_s + stretches.start_s
    spans = zip(starts, starts + stretches.duration_s, stretches.recording_id, strict=True)
    return ", ".join(f"{start:.2f}-{end:.2f} s of {recording}" for start, end, recording in spans)
