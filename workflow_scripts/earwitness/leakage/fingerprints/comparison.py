"""From named audio to the pairs that may be copies: fingerprints, candidates from the index, correlation of each."""

import itertools
from collections.abc import Callable, Iterator, Set
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.core.progress import Progress
from earwitness.leakage.audit_input import BATCH, Batch
from earwitness.leakage.fingerprints.alignment import MIN_SUPPORTED_INFORMATION, Alignment, aligned_correlation, least_overlap
from earwitness.leakage.fingerprints.grouping import Pair
from earwitness.leakage.fingerprints.index import Index, fingerprints_of, pieces
from earwitness.leakage.fingerprints.landmarks import HOP
from earwitness.leakage.fingerprints.speed import aligned_at_other_speed, may_overlap, worth_another_speed
from earwitness.leakage.workers import Workers

HELD_S = 30_000
"""Seconds of candidates' audio held in memory at once (16 bits a sample, so 1 GB)."""

Pcm = npt.NDArray[np.int16]
OverAudio = Callable[[Callable[[Batch], Any], Set[str] | None], Iterator[Any]]
"""Applies a function to batches of named 16 kHz mono waveforms, of those named only where names are given."""


def fingerprinted(over: OverAudio, n_items: int, what: str) -> Index:
    """The index of named audio. what: names the items in the line of progress."""
    index = Index()
    with Progress(desc=f"fingerprinting {what}", total=n_items, unit=what) as progress:
        for batch in over(fingerprints_of, None):
            index.add(batch)
            progress.update(len(set(batch.names)))
    return index


def correlated_pairs(over: OverAudio, index: Index, parts: dict[str, int], what: str, workers: Workers) -> list[Pair]:
    """Candidate near duplicates among indexed audio of different parts with their correlations, sorted by name.

    over: applies a function to the audio that was indexed. parts: a bit per part that holds the name; names in one and the
    same part are not paired. Unrelated pairs that the index does not propose are not in the result.
    """
    best: dict[tuple[str, str], Pair] = {}
    candidates = index.candidates(parts)
    for group in _in_memory(candidates[_can_be_judged(candidates, index.lengths_s)], index.lengths_s):
        for pair in _correlated(over, index, group, what, workers):
            known = best.get((pair.item_a, pair.item_b))
            if known is None or (pair.information, pair.correlation) > (known.information, known.correlation):
                best[pair.item_a, pair.item_b] = pair
    return [best[key] for key in sorted(best)]


def _can_be_judged(candidates: pd.DataFrame, lengths_s: list[float]) -> npt.NDArray[np.bool_]:
    """Which candidates overlap for long enough, at the shift or at another speed; most of those of short audio do not."""
    samples = [round(length * SAMPLE_RATE) for length in lengths_s]
    judged = []
    for a, b, frames, share in zip(candidates.a, candidates.b, candidates["shift"], candidates.share, strict=True):
        n_a, n_b, shift = samples[a], samples[b], frames * HOP
        overlap, shorter = min(n_a, n_b + shift) - max(0, shift), min(n_a, n_b)
        other_speed = worth_another_speed(share, shorter / SAMPLE_RATE) and may_overlap(n_a, n_b, shift)
        judged.append(overlap >= least_overlap(shorter) or other_speed)
    return np.array(judged, np.bool_)


def _correlated(over: OverAudio, index: Index, group: pd.DataFrame, what: str, workers: Workers) -> Iterator[Pair]:
    """The pairs of one group; when they are through, nothing holds its audio any more, before that of the next is read."""
    held = _fetch(over, index, group)
    rows = list(zip(group.a, group.b, group["shift"], group.share, strict=True))
    batches = ([(held[a], held[b], int(shift) * HOP, share) for a, b, shift, share in rows[k : k + BATCH]] for k in range(0, len(rows), BATCH))
    measured = itertools.chain.from_iterable(workers.map(_correlations, batches))
    progress = Progress(measured, desc=f"correlating {what}", total=len(rows), unit="pairs")
    for (a, b, *_), (correlation, lag, information, inverted, speed) in zip(rows, progress, strict=True):
        shift_s = lag / SAMPLE_RATE + index.starts_s[a] - index.starts_s[b]
        forward, backward = (index.names[a], index.names[b], shift_s, speed), (index.names[b], index.names[a], -shift_s, 1 / speed)
        first, second, shift_s, speed = min(forward, backward)
        yield Pair(first, second, correlation, shift_s, information, inverted, speed)


def _correlations(pairs: list[tuple[Pcm, Pcm, int, float]]) -> list[Alignment]:
    return [_aligned(_waveform(a), _waveform(b), shift, share) for a, b, shift, share in pairs]


def _aligned(a: Waveform, b: Waveform, shift: int, share: float) -> Alignment:
    """The better alignment at an equal and, where that tells too little though many landmarks coincide, at another speed."""
    alignment = aligned_correlation(a, b, shift)
    if alignment.information >= MIN_SUPPORTED_INFORMATION or not worth_another_speed(share, min(len(a), len(b)) / SAMPLE_RATE):
        return alignment
    other = aligned_at_other_speed(a, b, shift)
    return other if other.information > alignment.information else alignment


def _waveform(pcm: Pcm) -> Waveform:
    return pcm.astype(np.float32) / np.float32(32768)


def _in_memory(candidates: pd.DataFrame, lengths_s: list[float]) -> Iterator[pd.DataFrame]:
    """Cut candidates into groups whose audio fits into memory."""
    start, held, seconds = 0, set[int](), 0.0
    for row, pair in enumerate(zip(candidates.a, candidates.b, strict=True)):
        new = set(pair) - held
        needed = sum(lengths_s[number] for number in new)
        if seconds + needed > HELD_S:
            yield candidates.iloc[start:row]
            start, held, seconds, new, needed = row, set(), 0.0, set(pair), sum(lengths_s[number] for number in pair)
        held |= new
        seconds += needed
    if start < len(candidates):
        yield candidates.iloc[start:]


def _fetch(over: OverAudio, index: Index, group: pd.DataFrame) -> dict[int, Pcm]:
    """The audio of the pieces in a group of candidates, by number."""
    wanted = {(index.names[number], index.starts_s[number]): number for number in {*group.a, *group.b}}
    held: dict[int, Pcm] = {}
    for places, lengths, pcm in over(_pcm_of, {name for name, _ in wanted}):
        ends = np.cumsum(lengths)
        # Views of one large array leave no gaps in memory, as long as nothing else is in it.
        whole = all(place in wanted for place in places)
        cut = ((place, pcm[end - length : end]) for place, length, end in zip(places, lengths, ends, strict=True) if place in wanted)
        held |= {wanted[place]: piece if whole else piece.copy() for place, piece in cut}
    return held


def _pcm_of(batch: Batch) -> tuple[list[tuple[str, int]], list[int], Pcm]:
    """Name and start of every piece of a batch, how many samples it has, and the audio of all one after the other."""
    cut = [((name, start_s), piece) for name, waveform in batch for start_s, piece in pieces(waveform)]
    audio = np.concatenate([piece for _, piece in cut])
    return [place for place, _ in cut], [len(piece) for _, piece in cut], np.clip(np.rint(audio * 32768), -32768, 32767).astype(np.int16)
