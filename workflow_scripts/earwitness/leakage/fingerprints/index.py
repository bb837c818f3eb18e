"""The index: which of many pieces of audio share hashes at one time shift, without comparing all pairs."""

import hashlib
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from earwitness.audio.io import SAMPLE_RATE, Waveform
from earwitness.leakage.audit_input import BATCH, Batch
from earwitness.leakage.fingerprints.landmarks import FRAME, Hashes, Integers, hashes, landmarks

PIECE_S = 10
"""Seconds; longer audio is indexed in pieces of this length."""

NEIGHBOURS = 32
"""Entries of one hash that an entry is paired with, at most."""

MOST_HITS = 60_000_000
"""Pairs of equal hashes held in memory (8 bytes each); from then on no further neighbours are paired."""

CHUNK = 2_000_000
"""Hashes that are compared with their neighbours at once."""

HEAPS = 16
"""Parts into which those pairs are divided, to be counted one after another."""

GRID_BYTES = 1 << 25
"""Memory for looking up which landmarks of candidates coincide."""

MIN_VOTES, MIN_COINCIDENCES, MIN_COINCIDING_SHARE = 4, 5, 0.2
"""What makes a candidate: common hashes at one shift; landmarks that coincide, and their share of those in the overlap."""

CANDIDATES_PER_PIECE = 8
"""Candidates that are verified of each piece, the likeliest first, so that the work grows with the number of pieces."""

SHIFTS_TRIED = 3
"""Shifts per pair of pieces, the best supported first: a periodic sound, such as a clock, agrees with itself at every period."""


_ITEM_BITS, _FRAME_BITS, _PLACE_BITS = 21, 11, 12
_MOST_PIECES = 1 << _ITEM_BITS


class Fingerprints(NamedTuple):
    """What the index keeps of some pieces of audio, one after the other.

    names, starts_s, lengths_s: of every piece. entries: hashes with their frames; peaks: frames and bins of landmarks,
    shape (2, n_landmarks); n_entries, n_peaks: how many of them each piece has.
    """

    names: list[str]
    starts_s: list[int]
    lengths_s: list[float]
    entries: Hashes
    n_entries: list[int]
    peaks: npt.NDArray[np.int16]
    n_peaks: list[int]


def fingerprints_of(batch: Batch) -> Fingerprints:
    cut = [(name, start_s, piece) for name, waveform in batch for start_s, piece in pieces(waveform)]
    marks = landmarks([piece for _, _, piece in cut])
    values, frames, piece_of = hashes(marks)
    entries = values << np.uint64(_ITEM_BITS + _FRAME_BITS) | frames.astype(np.uint64)
    return Fingerprints(
        [name for name, _, _ in cut],
        [start_s for _, start_s, _ in cut],
        [len(piece) / SAMPLE_RATE for _, _, piece in cut],
        entries[np.argsort(piece_of, kind="stable")],
        np.bincount(piece_of, minlength=len(cut)).tolist(),
        np.stack([np.rint(marks.time), marks.bin]).astype(np.int16),
        np.bincount(marks.waveform, minlength=len(cut)).tolist(),
    )


class Index:
    """The landmarks and hashes of many pieces of audio; memory is about 5 kB per second of audio, and twice that while
    candidates are found."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.starts_s: list[int] = []
        self.lengths_s: list[float] = []
        self._entries: list[Hashes] = []
        self._n_entries: list[int] = []
        self._peaks: list[npt.NDArray[np.int16]] = []
        self._n_peaks: list[int] = []

    def add(self, batch: Fingerprints) -> None:
        """Add pieces of audio."""
        self.names += batch.names
        self.starts_s += batch.starts_s
        self.lengths_s += batch.lengths_s
        self._entries.append(batch.entries)
        self._n_entries += batch.n_entries
        self._peaks.append(batch.peaks)
        self._n_peaks += batch.n_peaks

    def unmarked(self) -> list[str]:
        """Names of audio that has too few landmarks in any of its pieces for a copy of it to be found."""
        most: dict[str, int] = {}
        for name, entries in zip(self.names, self._n_entries, strict=True):
            most[name] = max(entries, most.get(name, 0))
        return [name for name, entries in most.items() if entries < MIN_VOTES]

    def candidates(self, parts: dict[str, int]) -> pd.DataFrame:
        """Pairs of pieces, from different names and parts, that may be near duplicates; to be called once, as the hashes go.

        parts: a bit per part that holds the name.
        Returns columns a, b (numbers of pieces), shift (frames by which the audio comes later in a), share (of landmarks
        that coincide).
        """

        def place(piece: int) -> tuple[bytes, int]:
            return hashlib.blake2b(self.names[piece].encode()).digest(), self.starts_s[piece]

        order = np.array(sorted(range(len(self.names)), key=place), dtype=np.int64)
        if len(order) > _MOST_PIECES:
            raise ValueError(f"{len(order)} pieces of audio; the index holds {_MOST_PIECES}")
        part = np.array([parts[self.names[piece]] for piece in order], dtype=np.int64)
        name = pd.factorize(np.array(self.names, dtype=object)[order])[0]
        a, b, shift = _agreeing(self._sorted_entries(order), part, name)
        coinciding, share = self._coincidences(order[a], order[b], shift)
        kept = (coinciding >= MIN_COINCIDENCES) & (share >= MIN_COINCIDING_SHARE)
        likely = pd.DataFrame({"a": order[a], "b": order[b], "shift": shift, "share": share})[kept]
        likely = likely.sort_values(["share", "a", "b", "shift"], ascending=[False, True, True, True], ignore_index=True)
        rank = np.minimum(likely.groupby("a").cumcount(), likely.groupby("b").cumcount())
        return likely[rank < CANDIDATES_PER_PIECE].reset_index(drop=True)

    def _sorted_entries(self, order: Integers) -> Hashes:
        """The entries of all pieces, each with the rank of its piece in `order`; the index gives them up."""
        rank = np.empty(len(order), np.uint64)
        rank[order] = np.arange(len(order), dtype=np.uint64)
        table = np.concatenate([*self._entries, np.empty(0, np.uint64)])
        self._entries.clear()
        counts = np.array(self._n_entries, np.int64)
        first = 0
        for start in range(0, len(counts), BATCH):
            some = slice(start, start + BATCH)
            last = first + int(counts[some].sum())
            table[first:last] |= np.repeat(rank[some] << np.uint64(_FRAME_BITS), counts[some])
            first = last
        table.sort()
        return table

    def _coincidences(self, a: Integers, b: Integers, shift: Integers) -> tuple[Integers, npt.NDArray[np.float64]]:
        """How many landmarks of each pair coincide within a frame and a bin, and their share of those in the overlap."""
        peaks = np.concatenate([*self._peaks, np.empty((2, 0), np.int16)], axis=1)
        size = np.array(self._n_peaks, np.int64)
        first = np.cumsum(size) - size
        frame, bin = peaks[0].astype(np.int64), peaks[1]
        last_frame = np.full(len(size), -1, np.int64)
        last_frame[size > 0] = frame[(first + size - 1)[size > 0]]

        # Landmarks are sorted by frame, so those of a stretch are found by bisection; + 1: no frame lies before 0.
        place = np.repeat(np.arange(len(size)) << _PLACE_BITS, size) + frame + 1

        def marks_between(piece: Integers, from_frame: Integers, to_frame: Integers) -> Integers:
            ends = [(piece << _PLACE_BITS) + np.clip(at, 0, (1 << _PLACE_BITS) - 1) for at in (from_frame, to_frame + 3)]
            return np.subtract(*(np.searchsorted(place, end) for end in ends[::-1]))

        from_frame, to_frame = np.maximum(0, shift), np.minimum(last_frame[a], last_frame[b] + shift)
        marks = np.minimum(marks_between(a, from_frame, to_frame), marks_between(b, from_frame - shift, to_frame - shift))

        count = np.zeros(len(a), np.int64)
        by_b, n_frames = np.argsort(b, kind="stable"), int(last_frame.max(initial=0)) + 3
        step = max(1, GRID_BYTES // (n_frames * FRAME // 2))
        for start in range(0, len(by_b), step):
            rows = by_b[start : start + step]
            # A grid of frames and bins per piece b, true around its landmarks, in which those of a are looked up.
            some, grid_of_row = np.unique(b[rows], return_inverse=True)
            grid = np.zeros((len(some), n_frames, FRAME // 2), np.bool_)
            owner, mark = _ranges(first[some], size[some])
            for later, higher in itertools.product((0, 1, 2), (-1, 0, 1)):
                grid[owner, frame[mark] + later, bin[mark] + higher] = True
            owner, mark = _ranges(first[a[rows]], size[a[rows]])
            at = frame[mark] - shift[rows][owner] + 1
            inside = (at >= 0) & (at < n_frames)
            owner, mark, at = owner[inside], mark[inside], at[inside]
            count[rows] = np.bincount(owner[grid[grid_of_row[owner], at, bin[mark]]], minlength=len(rows))
        return count, count / np.maximum(marks, 1)


def _ranges(first: Integers, size: Integers) -> tuple[Integers, Integers]:
    """The numbers first[k] ... first[k] + size[k] - 1 for every k, one after the other, each with its k."""
    owner = np.repeat(np.arange(len(size)), size)
    return owner, np.arange(len(owner)) + np.repeat(first - (np.cumsum(size) - size), size)


def pieces(waveform: Waveform) -> Iterator[tuple[int, Waveform]]:
    """Cut a waveform into pieces of PIECE_S seconds, the last one shorter; yield where each starts, in seconds."""
    for start_s in range(0, max(-(-len(waveform) // SAMPLE_RATE), 1), PIECE_S):
        yield start_s, waveform[start_s * SAMPLE_RATE : (start_s + PIECE_S) * SAMPLE_RATE]


def _agreeing(entries: Hashes, part: Integers, name: Integers) -> tuple[Integers, Integers, Integers]:
    """Pairs of items whose common hashes agree on a shift: items a and b, and the shift in frames.

    entries: sorted; hash, item, frame from the highest bit to the lowest. part, name: of every item.
    """
    values = (entries >> np.uint64(_ITEM_BITS + _FRAME_BITS)).astype(np.uint32)
    heaps: list[list[Hashes]] = [[] for _ in range(HEAPS)]
    total = 0
    for step in range(1, NEIGHBOURS + 1):
        for start in range(0, len(values) - step, CHUNK):
            stop = min(start + CHUNK, len(values) - step)
            first = start + np.flatnonzero(values[start:stop] == values[start + step : stop + step])
            earlier, later = entries[first], entries[first + step]
            a, b = _item(earlier), _item(later)
            across = (name[a] != name[b]) & ((part[a] != part[b]) | (part[a] & (part[a] - 1) != 0))
            total += int(across.sum())
            a, b, earlier, later = a[across], b[across], earlier[across], later[across]
            shift = (earlier & np.uint64(2047)) - (later & np.uint64(2047)) + np.uint64(2048)
            hits = (a.astype(np.uint64) << np.uint64(_ITEM_BITS) | b.astype(np.uint64)) << np.uint64(12) | shift
            for number, heap in enumerate(heaps):
                heap.append(hits[a % HEAPS == number])
        if total > MOST_HITS:
            break
    del values
    best = pd.concat([_best_supported(heap) for heap in heaps], ignore_index=True).sort_values(["items", "rank"])
    items, hit = best["items"].to_numpy(), best["hit"].to_numpy()
    a, b = (items >> np.uint64(_ITEM_BITS)).astype(np.int64), (items & np.uint64(_MOST_PIECES - 1)).astype(np.int64)
    return a, b, (hit & np.uint64(4095)).astype(np.int64) - 2048


def _best_supported(heap: list[Hashes]) -> pd.DataFrame:
    """The shifts of every pair of items that most of its hits agree on; columns items, hit, rank. Empties the heap."""
    hits = np.sort(np.concatenate([*heap, np.empty(0, np.uint64)]))
    heap.clear()
    starts = np.flatnonzero(np.diff(hits, prepend=hits[:1] - np.uint64(1)))
    votes = np.diff(starts, append=len(hits))
    distinct = hits[starts]
    follows = np.flatnonzero(np.diff(distinct) == 1)
    agreed = votes.copy()
    agreed[follows] += votes[follows + 1]
    agreed[follows + 1] += votes[follows]
    enough = agreed >= MIN_VOTES
    best = pd.DataFrame({"items": distinct[enough] >> np.uint64(12), "hit": distinct[enough], "agreed": agreed[enough], "votes": votes[enough]})
    best = best.sort_values(["items", "agreed", "votes", "hit"], ascending=[True, False, False, True])
    best = best.assign(rank=best.groupby("items").cumcount())
    return best.loc[best["rank"] < SHIFTS_TRIED, ["items", "hit", "rank"]]


def _item(entries: Hashes) -> Integers:
    return ((entries >> np.uint64(_FRAME_BITS)) & np.uint64(_MOST_PIECES - 1)).astype(np.int64)
