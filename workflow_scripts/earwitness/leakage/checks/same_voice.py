"""Is one voice in the data under several names?"""

from collections import defaultdict
from collections.abc import Iterable, Set
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.audio.io import SAMPLE_RATE, Waveform, dbfs
from earwitness.audio.speaker_embedding import MIN_EMBEDDED_S, not_installed, speaker_embedding
from earwitness.core.progress import Progress
from earwitness.corpora.clips import cut
from earwitness.leakage.audit_input import AuditInput
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, not_run, some
from earwitness.leakage.voices import MIN_CALIBRATED, Pairs, Voices, calibrated, one_voice, unit
from earwitness.tables.clips import CLIPS
from earwitness.tables.columns import LABELS
from earwitness.tables.files import read_table

Names = npt.NDArray[np.str_]

STRETCHES = 3
"""How many stretches of a source's recordings, or else of its longest clips, make up its voice."""

LONGEST_STRETCH_S = 5.0
"""Seconds heard of each, from its middle; more says little more."""

COLLAR_MS = 100
"""Left out at both ends of a turn, where the next may begin, but not where the recording begins or ends."""

READ_AT_ONCE = 16
"""Stretches of recordings that one task has; it reads one after the other."""

MIN_SPEECH_S = 1.0
"""Seconds of speech that a source needs; voices heard for less are confused."""

QUIETEST_DBFS = -70.0
"""Level below which a stretch is silence, which has no voice."""

FEWEST_RECOGNISED = 0.5
"""Share of recordings of one voice that must be recognisable, or a search that finds nothing says nothing."""


class StretchVoice(NamedTuple):
    """The voice of one stretch: its name, seconds heard and where they begin in it, and embeddings of all and of either half."""

    name: str
    heard_from_s: float
    duration_s: float
    whole: npt.NDArray[np.float64]
    halves: npt.NDArray[np.float64]


class _Stretch(NamedTuple):
    """What is to be heard of a source, in seconds of its recording.

    name: unique; clip_id: a clip of the source; path, sample_rate: the recording's; "" and 0 where the clip itself, its name, is heard.
    """

    name: str
    clip_id: str
    source_id: str
    recording_id: str
    start_s: float
    end_s: float
    path: str
    sample_rate: int


class _Turn(NamedTuple):
    """Where a source is alone in a recording, less collars."""

    source_id: str
    recording_id: str
    path: str
    sample_rate: int
    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


def voices_in(batch: Iterable[tuple[str, Waveform]], model: str) -> list[StretchVoice]:
    """Embed the middle of named 16 kHz mono waveforms; those that are silent or too short to halve are left out."""
    embed = speaker_embedding(model)
    heard = []
    for name, waveform in batch:
        start = max(0, len(waveform) - round(LONGEST_STRETCH_S * SAMPLE_RATE)) // 2
        stretch = waveform[start : start + round(LONGEST_STRETCH_S * SAMPLE_RATE)]
        middle = len(stretch) // 2
        if middle >= MIN_EMBEDDED_S * SAMPLE_RATE and dbfs(stretch) > QUIETEST_DBFS:
            halves = unit([embed(stretch[:middle]), embed(stretch[middle:])])
            heard.append(StretchVoice(name, start / SAMPLE_RATE, len(stretch) / SAMPLE_RATE, unit(embed(stretch)), halves))
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

    A source's voice is the mean, weighted by duration, of the embeddings of up to 3 stretches of 5 s. Where the turns of its recordings are
    known, a stretch is a clip with what surrounds it in the turn; where these are fewer, the longest other turns follow. A stretch is within
    one turn, in which the speaker is alone. Elsewhere the longest clips are heard, before noise is added. A clip whose recording is no longer
    there is heard itself, beside turns of such as are: what trains and tests comes first. The limit is the
    score that a pair of different voices exceeds as rarely as the policy allows, and higher where there are many pairs
    (earwitness.leakage.voices). The statistic is the number of pairs found.

    Severity error: a shared voice is the very leak that L01 looks for by name, and a clean split fails by chance in one of 50 cases, however
    many pairs it has. Not run, which does not fail: without the optional packages, with too few sources that have a second of speech, and where
    finding nothing would prove nothing, since less than half of the pairs of one voice would be recognised.
    """
    model, false_alarms = data.policy.speaker_model, data.policy.voice_false_alarms
    if reason := not_installed(model):
        return not_run(reason)
    lost = _recordings_lost(data)
    stretches = _stretches(data, lost)
    stretches = stretches.merge(pd.DataFrame(_hear(data, stretches, model), columns=list(StretchVoice._fields)), on="name", validate="one_to_one")
    n_sources = data.stimuli[data.stimuli.label == LABELS[0]].source_id.nunique()
    by_source = {str(source): rows for source, rows in stretches.groupby("source_id") if rows.duration_s.sum() >= MIN_SPEECH_S}
    short = n_sources - len(by_source)
    listened = stretches[stretches.path != ""].source_id.nunique()
    remarks = [f"{listened} of {n_sources} speech sources were listened to in their recordings, the others in their clips alone."]
    remarks += [_told_of(lost)] if lost else []
    remarks += [f"{short} of {n_sources} speech sources have less than {MIN_SPEECH_S:g} s of sounding speech and are not compared."] if short else []
    if len(by_source) < MIN_CALIBRATED:
        reason = f"{len(by_source)} speech sources have {MIN_SPEECH_S:g} s of speech; {MIN_CALIBRATED} are needed to learn how alike voices are"
        return not_run(reason, remarks=remarks)

    whole, scores = calibrated(_voices(by_source))
    sources = np.array(list(by_source))
    pairs, n_compared = one_voice(whole, scores, _parts_as_bits(data, sources), false_alarms)
    recognised = f"{scores.recognised(false_alarms):.0%} of recordings of one voice in one channel would be recognised"
    if not len(pairs.first) and scores.recognised(false_alarms) < FEWEST_RECOGNISED:
        return not_run(f"voices are too alike, or speech too short: only {recognised}", n_compared, 0, remarks)
    reason = f"{len(pairs.first)} pairs of sources in different parts seem to have one voice (score of at least {scores.limit(false_alarms):.2f})"
    return judge(_offenders(data, sources, by_source, pairs), n_compared, len(pairs.first), 0, reason, [f"{recognised}.", *remarks])


def _stretches(data: AuditInput, lost: Set[str]) -> pd.DataFrame:
    """What is to be heard of each speech source, as _Stretch."""
    speech = data.stimuli[data.stimuli.label == LABELS[0]].drop_duplicates("clip_id")[["clip_id", "source_id", "recording_id"]]
    times = pd.concat([read_table(path, CLIPS) for path in data.clip_files], ignore_index=True)[["clip_id", "start_s", "end_s"]]
    clips = speech.merge(times, on="clip_id", validate="one_to_one").assign(path="", sample_rate=0)
    clips = clips.assign(name=clips.clip_id, length=(clips.end_s - clips.start_s).round(3))
    clips = clips.sort_values(["length", "clip_id"], ascending=[False, True])
    turns: defaultdict[str, list[_Turn]] = defaultdict(list)
    for turn in _turns(data, lost):
        turns[turn.source_id].append(turn)
    found: list[_Stretch] = []
    for _, rows in clips.groupby("source_id"):
        own = [_Stretch(*row) for row in rows[list(_Stretch._fields)].itertuples(index=False, name=None)]
        found += _in_turns(own, turns[own[0].source_id], lost) or own[:STRETCHES]
    return pd.DataFrame(found, columns=list(_Stretch._fields))


def _recordings_lost(data: AuditInput) -> set[str]:
    """Recordings with speech that were to be listened to and whose files are not there."""
    speech = data.recordings[data.recordings.label == LABELS[0]]
    wanted = speech[speech.recording_id.isin(data.segments.recording_id)].drop_duplicates("recording_id")
    return {name for name, path in zip(wanted.recording_id, wanted.path, strict=True) if not Path(path).is_file()}


def _told_of(lost: Set[str]) -> str:
    n, their = len(lost), "its clips" if len(lost) == 1 else "their clips"
    gone = f"{n} recording{'s' if n > 1 else ''} of speech {'are' if n > 1 else 'is'} no longer there ({some(lost)}), so {their} were heard instead"
    return f"{gone}; a clip is shorter than its turn, and so more shared voices are missed."


def _turns(data: AuditInput, lost: Set[str]) -> list[_Turn]:
    """Where speech sources can be heard alone, less collars; the longest first, and none that is too short to be heard."""
    whose = ["recording_id", "source_id", "label"]
    there = data.recordings[~data.recordings.recording_id.isin(lost)]
    turns = data.segments[data.segments.label == LABELS[0]].merge(there, on=whose, validate="many_to_one")
    length = np.floor(turns.duration_s.astype(float) * 1000)
    start, end = np.ceil(turns.start_s.astype(float) * 1000), np.minimum(np.floor(turns.end_s.astype(float) * 1000), length)
    start_ms, end_ms = (start + COLLAR_MS * (start > 0)).astype(int), (end - COLLAR_MS * (end < length)).astype(int)
    turns = turns.assign(start_ms=start_ms, end_ms=end_ms)[list(_Turn._fields)]
    alone = [_Turn(*row) for row in turns.itertuples(index=False, name=None)]
    return sorted((turn for turn in alone if turn.length_ms >= 2000 * MIN_EMBEDDED_S), key=lambda turn: -turn.length_ms)


def _in_turns(clips: list[_Stretch], turns: list[_Turn], lost: Set[str]) -> list[_Stretch]:
    """Stretches of one source's turns: around its clips, the longest first, then in the middle of its longest turns; none overlap.

    Clips come first, since one name may stand for all people of a recording, and what trains and tests is to be heard. Those of a lost
    recording are stretches themselves.
    """
    taken: list[_Stretch] = []

    def take(turn: _Turn, middle_ms: float, clip_id: str) -> None:
        length = min(round(1000 * LONGEST_STRETCH_S), turn.length_ms)
        start = min(max(round(middle_ms - length / 2), turn.start_ms), turn.end_ms - length)
        start_s, end_s = start / 1000, (start + length) / 1000
        if all(other.recording_id != turn.recording_id or end_s <= other.start_s or other.end_s <= start_s for other in taken):
            name = repr((turn.source_id, turn.recording_id, start))
            taken.append(_Stretch(name, clip_id, turn.source_id, turn.recording_id, start_s, end_s, turn.path, turn.sample_rate))

    for clip in clips:
        if clip.recording_id in lost:
            taken.append(clip)
        middle_ms = 500 * (clip.start_s + clip.end_s)
        for turn in turns:
            if turn.recording_id == clip.recording_id and turn.start_ms <= middle_ms <= turn.end_ms:
                take(turn, middle_ms, clip.clip_id)
    taken.sort(key=lambda stretch: round(stretch.start_s - stretch.end_s, 3))
    for turn in turns:
        if len(taken) >= STRETCHES:
            break
        take(turn, (turn.start_ms + turn.end_ms) / 2, clips[0].clip_id)
    return taken[:STRETCHES]


def _hear(data: AuditInput, stretches: pd.DataFrame, model: str) -> list[StretchVoice]:
    recorded = list(stretches[stretches.path != ""].sort_values(["path", "start_s"]).itertuples(index=False, name=None))
    batches = [[_Stretch(*row) for row in recorded[first : first + READ_AT_ONCE]] for first in range(0, len(recorded), READ_AT_ONCE)]
    in_recordings = data.workers.map(partial(_voices_of, model=model), batches)
    in_clips = data.over_clips(partial(voices_in, model=model), set(stretches.name[stretches.path == ""]))
    heard: list[StretchVoice] = []
    with Progress(desc="hearing voices", total=len(stretches), unit="stretches") as progress:
        for batch in chain(in_recordings, in_clips):
            heard += batch
            progress.update(len(batch))
    return heard


def _voices_of(stretches: list[_Stretch], model: str) -> list[StretchVoice]:
    """The same as voices_in, of stretches of recordings, of which little else is read."""
    read = ((one.name, cut(Path(one.path), one.sample_rate, round(1000 * one.start_s), one.end_s - one.start_s)) for one in stretches)
    return voices_in(read, model)


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
    starts = stretches.start_s + stretches.heard_from_s
    spans = zip(starts, starts + stretches.duration_s, stretches.recording_id, strict=True)
    where = " and ".join(name for name, heard in (("recordings", stretches.path != ""), ("clips", stretches.path == "")) if heard.any())
    return ", ".join(f"{start:.2f}-{end:.2f} s of {recording}" for start, end, recording in spans) + f" (in its {where})"
