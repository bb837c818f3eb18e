"""Is a changed copy of any audio in another part, under whatever name? How copies are found: earwitness.leakage.fingerprints."""

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from earwitness.audio.io import read_mono
from earwitness.leakage.audit_input import AuditInput, Batch
from earwitness.leakage.fingerprints.alignment import MIN_SUPPORTED_INFORMATION
from earwitness.leakage.fingerprints.comparison import OverAudio, correlated_pairs, fingerprinted
from earwitness.leakage.fingerprints.grouping import Origin, Pair, copies_among
from earwitness.leakage.fingerprints.index import fingerprints_of
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, no_offenders, not_run, some

MIN_STIMULUS_S = 0.4
"""Shorter stimuli are left to their clips: unrelated vowels of a few periods look alike."""


@dataclass(frozen=True, eq=False)
class _Kind:
    """One kind of audio to compare: rows say which item is in which part, of which source and which stretch of it."""

    what: str
    rows: pd.DataFrame
    over: OverAudio

    def parts(self) -> dict[str, int]:
        bits = {part: 1 << bit for bit, part in enumerate(sorted(self.rows.part.unique()))}
        held = self.rows.drop_duplicates(["item", "part"])
        sums = held.part.map(bits).groupby(held["item"]).sum()
        return {str(item): int(bit) for item, bit in sums.items()}

    def origins(self) -> dict[str, Origin]:
        firsts = self.rows.drop_duplicates("item")
        return {item: Origin(source, stretch) for item, source, stretch in zip(firsts["item"], firsts.source, firsts.stretch, strict=True)}

    def offenders(self, pairs: list[Pair]) -> pd.DataFrame:
        """One row per two sources and parts that share audio: the pair that correlates best."""
        held = self.rows.drop_duplicates(["item", "part"]).groupby("item")[["part", "source"]].agg(list)
        rows = []
        for pair in pairs:
            places = [list(zip(*held.loc[item], strict=True)) for item in (pair.item_a, pair.item_b)]
            for part_a, source_a in places[0]:
                for part_b, source_b in places[1]:
                    how = f"{self.what}, correlation {pair.correlation:.3f}{' inverted' if pair.inverted else ''}"
                    how += (f", speeds {100 * abs(pair.speed - 1):.1f} % apart," if pair.speed != 1 else "") + " at a shift of"
                    detail = f"{how} {pair.shift_s:+.3f} s"
                    forward = (part_a, part_b, pair.item_a, pair.item_b, source_a, source_b, detail, pair.correlation)
                    if part_a < part_b:
                        rows.append(forward)
                    elif part_b < part_a:
                        backward = f"{how} {-pair.shift_s:+.3f} s"
                        rows.append((part_b, part_a, pair.item_b, pair.item_a, source_b, source_a, backward, pair.correlation))
        table = pd.DataFrame(rows, columns=[*EVIDENCE_COLUMNS, "correlation"])
        table = table.sort_values(["correlation", "item_a", "item_b", "part_a", "part_b"], ascending=[False, True, True, True, True])
        place = ["part_a", "part_b", "source_a", "source_b"]
        return table.drop_duplicates(place).sort_values([*place, "item_a", "item_b"])[list(EVIDENCE_COLUMNS)]


def _kinds(data: AuditInput) -> Iterator[_Kind]:
    stimuli = data.stimuli

    def rows(items: pd.DataFrame, key: str, stretch: str) -> pd.DataFrame:
        return pd.DataFrame({"item": items[key], "part": items.part, "source": items.source_id, "stretch": items[stretch]})

    yield _Kind("clips", rows(stimuli, "clip_id", "clip_id"), data.over_clips)

    files = {name: Path(path) for name, path in zip(data.recordings.recording_id, data.recordings.path, strict=True) if Path(path).is_file()}
    cut_from = stimuli[stimuli.recording_id.isin(files)]
    wanted = sorted(cut_from.recording_id.unique())
    if wanted:

        def over_recordings(function: Callable[[Batch], Any], only: Set[str] | None) -> Iterator[Any]:
            chosen = [(name, files[name]) for name in wanted if only is None or name in only]
            return data.workers.map(partial(_on_file, function), chosen)

        yield _Kind("recordings", rows(cut_from, "recording_id", "recording_id"), over_recordings)

    long = stimuli[stimuli.duration_ms >= 1000 * MIN_STIMULUS_S]
    names = set(long.stimulus_id)
    if data.shards and names:
        # Stimuli of one clip are not independent: the clip stands for the stretch.
        of_clips = rows(long, "stimulus_id", "clip_id")
        yield _Kind("stimuli", of_clips, lambda function, only: data.over_stimuli(function, names if only is None else only))


def _on_file(function: Callable[[Batch], Any], named: tuple[str, Path]) -> Any:
    name, path = named
    return function([(name, read_mono(path))])


@check(
    id="L04",
    name="near_duplicate_audio",
    severity="error",
    units="clips, recordings and stimuli",
    question="Is a changed copy (gain, polarity, shift, rate, filter, noise, codec, speed) of any audio in another part?",
    remedy="Remove the copies, or give the recordings that hold the same audio one source_id, and split again.",
    asks=lambda policy: [fingerprints_of],
)
def near_duplicate_audio(data: AuditInput) -> Finding:
    """Fingerprints and correlation of everything in one part with everything in the others (earwitness.leakage.fingerprints).

    Compares clips with clips, recordings with recordings where their files are at hand (so that copies are found
    wherever their clips were cut), and stimuli of at least MIN_STIMULUS_S with stimuli. Evidence is the pair that
    correlates best per two sources and parts. A single copy of 0.4 s in noise at 10 dB is missed one time in six, and
    more often of tones and clicks; several of one pair of sources tell together.
    """
    threshold = data.policy.near_duplicate_correlation
    offenders, correlations, remarks, n_compared, n_pairs = [no_offenders()], list[float](), list[str](), 0, 0
    for kind in _kinds(data):
        parts = kind.parts()
        index = fingerprinted(kind.over, len(parts), kind.what)
        missing = len(parts.keys() - set(index.names))
        unmarked = index.unmarked()
        n_compared += len(parts) - missing - len(unmarked)
        if unmarked:
            told = f"{len(unmarked)} of {len(parts)} {kind.what} are silent, or too short or even to be recognised"
            remarks.append(f"{told}, and were not compared: {some(unmarked)}.")
        if missing:
            return not_run(f"{missing} of {len(parts)} {kind.what} have no audio", n_compared, threshold, remarks)
        pairs = correlated_pairs(kind.over, index, parts, kind.what, data.workers)
        alike = copies_among(pairs, kind.origins(), threshold)
        correlations += [pair.correlation for pair in pairs if pair in alike or pair.information >= MIN_SUPPORTED_INFORMATION]
        n_pairs += len(alike)
        offenders.append(kind.offenders(alike))
    reason = f"{n_pairs} pair{'s' if n_pairs > 1 else ''} of near-duplicate audio {'are' if n_pairs > 1 else 'is'} in different parts"
    return judge(pd.concat(offenders, ignore_index=True), n_compared, max(correlations, default=None), threshold, reason, remarks)
