"""Near duplicates across the parts of a split: louder, shifted, resampled, noisy or re-encoded copies under other names.

Comparing all pairs is out of the question for large corpora, so candidates come from an index and are then verified.

1. Landmarks. Local maxima of the spectrogram survive gain, filtering, coding and noise (A. Wang, "An industrial-strength
   audio search algorithm", ISMIR 2003). The strongest are kept apart for the band of telephone speech and for what lies
   above, so that a copy that lost its upper band still has all of the lower, and some of every quarter of a second, so that
   a copy that lost the loudest event has those of the rest. Peak times are interpolated: a shift by half
   a frame would otherwise change which frame is the maximum.
2. Index. Every landmark with two of its nearest successors is one 31-bit hash, independent of when it occurs (triplets of
   peaks: J. Six and M. Leman, "Panako", ISMIR 2014). Hashes are sorted, and each is paired with a bounded number of
   neighbours of the same value (the sorted neighbourhood of M. Hernandez and S. Stolfo, SIGMOD 1995), so work grows with
   the number of hashes, not of pairs. Items are ordered by a digest of their name: their order in a file does not matter.
3. Candidates. Pairs of items whose common hashes agree on one time shift, and whose landmarks then coincide.
4. Verification. Normalised cross-correlation r of the overlap, band-limited, at the best lag near that shift. Unrelated
   recordings correlate as well where one tone, or one click, makes up most of both. So the correlations of short frames in
   octave bands, all equally weighted, must agree too: their mean times -log(1 - r^2), which is twice the information that
   a sample of one has about the other, must reach a limit. A faithful copy needs little support, a noisy one more.
5. Several pairs together. Short pieces in noise tell too little each, but what pieces of other stretches of the same two
   sources tell adds up, as they err independently; their sum is held to the same limit.
"""

import hashlib
import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft
from tqdm import tqdm

from earwitness.audio.io import SAMPLE_RATE, Waveform, read_mono
from earwitness.leakage.audit_input import BATCH, AuditInput, Batch
from earwitness.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, no_offenders
from earwitness.leakage.workers import Workers

FRAME, HOP = 512, 128
"""Samples: frames of 32 ms every 8 ms."""

PIECE_S = 10
"""Seconds; longer audio is indexed in pieces of this length."""

LANDMARK_BANDS = ((1, 121, 60), (121, 250, 30))
"""First and last bin (exclusive; 31.25 Hz each), and landmarks per second: 31 to 3,750 Hz, and above to 7.8 kHz."""

STRETCH, STRETCH_SHARE = 31, 0.5
"""Frames (a quarter of a second), and the share of a band's landmarks that each has at least: or else one loud event has
them all, and a copy that begins after it has others."""

REACH = 2
"""Frames and bins, before and after, over which a landmark is the maximum."""

LOUDEST_SILENCE = 1e-3
"""Spectral magnitude (of a frame, full scale 1) below which there are no landmarks: under one step of 16-bit audio."""

SUCCESSORS_SEEN, SUCCESSORS_PAIRED, ZONE = 24, 4, 31
"""Later landmarks that are looked at, those of them that are nearest, and how far they may be in frames and in bins."""

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

CORRELATED_BANDS_HZ = ((20.0, 500.0), (100.0, 3700.0), (20.0, 7600.0))
"""Bands in which pairs are correlated, the best one counts: a copy may have lost its upper half, or all but its rumble in
noise."""

SLACK = 2 * HOP
"""Samples by which the lag may differ from the shift that the hashes agree on."""

MIN_OVERLAP_S, MIN_OVERLAP_SHARE = 0.5, 0.75
"""Seconds of overlap that are judged, or this share of the shorter waveform where that is less; unrelated tones agree for a while."""

SHIFTS_TRIED = 3
"""Shifts per pair of pieces, the best supported first: a clock agrees with itself at every tick."""

LOST_BETWEEN_LAGS = 1.7
"""How much higher than at whole samples the correlation may be between them."""

FEWEST_JUDGED = 0.3
"""Correlation below which a pair is not looked at any closer."""

OCTAVE_BINS = ((2, 4), (6, 9), (12, 17), (20, 32), (36, 64), (68, 126), (130, 250))
"""First and last bin (exclusive) of the bands of a frame, about an octave each, 62 Hz to 7.8 kHz, further apart than the
two bins of a tone's main lobe: one tone is in one band."""

QUIET, FEWEST_FRAMES = 1e-4, 15
"""A frame this much below the loudest, in power, on either side tells nothing; fewer frames than that count as that many."""

MOST_INFORMATION = 2.0
"""Nats; more counts as that much, or two pure tones of one pitch would need no support."""

MIN_SUPPORTED_INFORMATION = 0.4
"""Nats, for an overlap of a second or more, and more for a shorter one, as unrelated short sounds agree further by chance.
Set on synthetic sounds and on one half of some real recordings; see benchmarks/README.md for the other."""

LEAST_AGREEMENT = 0.3
"""Agreement of short frames from which a pair counts together with others of the same two sources. What agrees less has at
most two octave bands in common, which every stretch of two tones of one pitch has: that does not add up."""

MIN_STIMULUS_S = 0.4
"""Shorter stimuli are left to their clips: unrelated vowels of a few periods look alike."""

HELD_S = 30_000
"""Seconds of candidates' audio held in memory at once (16 bits a sample, so 1 GB)."""

Integers = npt.NDArray[np.int64]
Magnitudes = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]
Spectrum = npt.NDArray[np.complexfloating]
Pcm = npt.NDArray[np.int16]
OverAudio = Callable[[Callable[[Batch], Any], Set[str] | None], Iterator[Any]]
"""Applies a function to batches of named 16 kHz mono waveforms, of those named only where names are given."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The spectral peaks of one piece of audio, sorted by time and bin.

    time: frames, fractional; bin: number of the frequency bin; both of shape (n_peaks,).
    """

    time: npt.NDArray[np.float64]
    bin: Integers


@dataclass(frozen=True)
class Pair:
    """Two pieces of audio that may be copies. correlation in [0, 1]; shift_s: how much later the audio comes in `item_a`;
    information: nats that support the correlation (see MIN_SUPPORTED_INFORMATION)."""

    item_a: str
    item_b: str
    correlation: float
    shift_s: float
    information: float

    def alone(self, threshold: float) -> bool:
        """Are these copies, whatever else of their sources is alike? threshold: a correlation in [0, 1]."""
        return self.correlation >= threshold and self.information >= MIN_SUPPORTED_INFORMATION


class Origin(NamedTuple):
    """Where audio comes from: its source, and the stretch of it; pieces of one stretch are not independent."""

    source: str
    stretch: str


def copies_among(pairs: Iterable[Pair], origins: Mapping[str, Origin], threshold: float) -> list[Pair]:
    """The pairs that are near duplicates, alone or together with others of the same two sources.

    origins: of every item. Of the pairs of two sources that correlate by the threshold, the best supported come first, and
    every stretch counts once.
    """
    of_sources: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.correlation >= threshold:
            of_sources[tuple(sorted((origins[pair.item_a].source, origins[pair.item_b].source)))].append(pair)
    found = []
    for alike in of_sources.values():
        counted, used = list[Pair](), set[str]()
        for pair in sorted(alike, key=lambda pair: (-pair.information, pair.item_a, pair.item_b)):
            stretches = {origins[pair.item_a].stretch, origins[pair.item_b].stretch}
            if not stretches & used:
                counted.append(pair)
                used |= stretches
        together = sum(pair.information for pair in counted) >= MIN_SUPPORTED_INFORMATION
        found += [pair for pair in alike if pair.alone(threshold) or (together and pair in counted)]
    return sorted(found, key=lambda pair: (pair.item_a, pair.item_b))


_WINDOW = np.hanning(FRAME).astype(np.float32)


def landmarks(waveform: Waveform) -> Landmarks:
    """The strongest local maxima of a waveform's magnitude spectrogram, per band; none in silence."""
    n_frames = 1 + -(-len(waveform) // HOP)
    padded = np.zeros((n_frames - 1) * HOP + FRAME, np.float32)
    padded[FRAME // 2 : FRAME // 2 + len(waveform)] = waveform
    spectrum = np.abs(fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP] * _WINDOW, axis=1))
    times, bins = [], []
    for first, last, per_second in LANDMARK_BANDS:
        band = spectrum[:, first:last]
        highest = _highest_around(_highest_around(band).T).T
        peaks = np.flatnonzero((band == highest) & (band > LOUDEST_SILENCE))
        kept = int(np.ceil(per_second * max(len(waveform) / SAMPLE_RATE, 0.25)))
        if len(peaks) > kept:
            height, stretch = band.ravel()[peaks], peaks // ((last - first) * STRETCH)
            by_stretch = np.lexsort((-height, stretch))
            rank = np.empty(len(peaks), np.int64)
            rank[by_stretch] = np.arange(len(peaks)) - np.searchsorted(stretch, stretch)
            of_its_stretch = rank < STRETCH_SHARE * per_second * STRETCH * HOP / SAMPLE_RATE
            peaks = peaks[of_its_stretch | (height >= -np.partition(-height, kept - 1)[kept - 1])]
        time, bin = np.divmod(peaks, last - first)
        times.append(time + _summit(band, time, bin))
        bins.append(bin + first)
    time, bin = np.concatenate(times), np.concatenate(bins)
    order = np.lexsort((bin, np.rint(time)))
    return Landmarks(time[order], bin[order])


def _highest_around(table: Magnitudes) -> Magnitudes:
    """The maximum over REACH rows before and after each, by whole-row maxima: several times faster than scipy's filter."""
    padded = np.zeros((len(table) + 2 * REACH, table.shape[1]), np.float32)
    padded[REACH:-REACH] = table
    highest = padded[: len(table)].copy()
    for row in range(1, 2 * REACH + 1):
        np.maximum(highest, padded[row : row + len(table)], out=highest)
    return highest


def _summit(band: Magnitudes, time: Integers, bin: Integers) -> npt.NDArray[np.float64]:
    """Where between frames each peak is highest, in [-0.5, 0.5], by a parabola through three log magnitudes."""
    summit = np.zeros(len(time))
    inside = (time > 0) & (time < len(band) - 1)
    before, at, after = (np.log(band[time[inside] + step, bin[inside]] + 1e-6) for step in (-1, 0, 1))
    summit[inside] = np.clip(0.5 * (before - after) / np.minimum(before - 2 * at + after, -1e-6), -0.5, 0.5)
    return summit


def hashes(marks: Landmarks) -> tuple[Hashes, Integers]:
    """The hashes of every landmark with two of its nearest successors in its band, and the frame of the landmark.

    A hash is made of the band, the first bin, and the differences in frames and bins to the other two, in 31 bits.
    """
    found, frames = [], []
    for band, (first, last, _) in enumerate(LANDMARK_BANDS):
        chosen = (marks.bin >= first) & (marks.bin < last)
        time, bin = marks.time[chosen], marks.bin[chosen] - first
        seen = np.arange(len(time))[:, None] + np.arange(1, SUCCESSORS_SEEN + 1)
        exists = seen < len(time)
        seen = np.where(exists, seen, 0)
        later, higher = np.rint(time[seen] - time[:, None]).astype(np.int64), bin[seen] - bin[:, None]
        usable = exists & (later >= 0) & (later <= ZONE) & (np.abs(higher) <= ZONE)
        distance = np.where(usable, later + 0.5 * np.abs(higher), np.inf)
        nearest = np.sort(np.argsort(distance, axis=1, kind="stable")[:, :SUCCESSORS_PAIRED], axis=1)
        later, higher, usable = (np.take_along_axis(table, nearest, axis=1) for table in (later, higher, usable))
        for j in range(SUCCESSORS_PAIRED):
            for k in range(j + 1, SUCCESSORS_PAIRED):
                rows = np.flatnonzero(usable[:, j] & usable[:, k])
                value = 2 * bin[rows] + band
                for table, size in ((later[:, j], 32), (later[:, k], 32), (higher[:, j] + 32, 64), (higher[:, k] + 32, 64)):
                    value = value * size + table[rows]
                found.append(value)
                frames.append(np.rint(time[rows]).astype(np.int64))
    return np.concatenate(found).astype(np.uint64), np.concatenate(frames)


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


def _fingerprints(batch: Batch) -> Fingerprints:
    cut = [(name, start_s, piece) for name, waveform in batch for start_s, piece in pieces(waveform)]
    entries, peaks = [], []
    for _, _, piece in cut:
        marks = landmarks(piece)
        values, frames = hashes(marks)
        entries.append(values << np.uint64(_ITEM_BITS + _FRAME_BITS) | frames.astype(np.uint64))
        peaks.append(np.stack([np.rint(marks.time), marks.bin]).astype(np.int16))
    return Fingerprints(
        [name for name, _, _ in cut],
        [start_s for _, start_s, _ in cut],
        [len(piece) / SAMPLE_RATE for _, _, piece in cut],
        np.concatenate(entries),
        list(map(len, entries)),
        np.concatenate(peaks, axis=1),
        [table.shape[1] for table in peaks],
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


class Alignment(NamedTuple):
    """How alike two waveforms are where they overlap, the lag in samples at which they are, and the nats that support it."""

    correlation: float
    lag: float
    information: float


def aligned_correlation(a: Waveform, b: Waveform, shift: int) -> Alignment:
    """Compare two waveforms where they overlap.

    shift: samples by which the audio comes later in `a`, right within SLACK.
    Returns the normalised cross-correlation in [0, 1] of the best band with its support, both 0 where the overlap is too
    short or silent, or only a tone or click agrees (see LEAST_AGREEMENT).
    """
    left, right = (a[shift:], b) if shift >= 0 else (a, b[-shift:])
    n = min(len(left), len(right))
    if n < min(MIN_OVERLAP_S * SAMPLE_RATE, MIN_OVERLAP_SHARE * min(len(a), len(b))) or n < 2 * SLACK:
        return Alignment(0.0, float(shift), 0.0)
    size = fft.next_fast_len(n + SLACK, real=True)
    # Without a taper, a tone that both have leaks into every frequency.
    taper = _taper(n)
    spectra = [fft.rfft(side[:n] * taper, size) for side in (left, right)]
    cross = spectra[0] * spectra[1].conj()
    powers = [np.square(spectrum.real) + np.square(spectrum.imag) for spectrum in spectra]
    best, lag = 0.0, 0.0
    for low, high in CORRELATED_BANDS_HZ:
        band = slice(math.ceil(low * size / SAMPLE_RATE), math.ceil(high * size / SAMPLE_RATE))
        scale = math.sqrt(math.prod(float(power[band].sum(dtype=np.float64)) for power in powers))
        if scale <= 0:
            continue
        correlation, at = _highest_correlation(cross, band, size, scale, max(best, FEWEST_JUDGED))
        if correlation > best:
            best, lag = min(correlation, 1.0), at
    if best == 0.0:
        return Alignment(0.0, float(shift), 0.0)
    delayed = fft.irfft(spectra[1] * np.exp(-2j * np.pi * lag / size * np.arange(len(cross))), size)[:n]
    information = min(-math.log(max(1 - best**2, 1e-9)), MOST_INFORMATION) * min(n / SAMPLE_RATE, 1.0)
    agreement = _frame_agreement(left[:n] * taper, delayed)
    if agreement < LEAST_AGREEMENT and information * agreement < MIN_SUPPORTED_INFORMATION:
        return Alignment(0.0, float(shift), 0.0)
    return Alignment(best, shift + lag, information * agreement)


@lru_cache(maxsize=64)
def _taper(n: int) -> Waveform:
    return np.hanning(n).astype(np.float32)


def _highest_correlation(cross: Spectrum, band: slice, size: int, scale: float, needed: float) -> tuple[float, float]:
    """The highest correlation of a band within SLACK, to a quarter of a sample, and its lag; 0 where it is below `needed`."""
    only = np.zeros_like(cross)
    only[band] = cross[band]
    by_lag = fft.irfft(only, size)
    near = np.concatenate([by_lag[-SLACK:], by_lag[:SLACK]])
    whole = int(np.argmax(near)) - SLACK
    # irfft halves the sum over bins and divides by the size.
    if LOST_BETWEEN_LAGS * float(near.max()) * size / 2 < needed * scale:
        return 0.0, 0.0
    # Three quarters of a sample to either side, where the audio was resampled in between.
    angle = 2 * np.pi / size * np.arange(band.start, min(band.stop, len(cross)))
    lags = whole + np.arange(-3, 4) / 4
    sums = [float((cross[band] * np.exp(1j * lag * angle)).real.sum()) / scale for lag in lags]
    at = int(np.argmax(sums))
    return (sums[at], float(lags[at])) if sums[at] >= needed else (0.0, 0.0)


def _frame_agreement(a: Waveform, b: Waveform) -> float:
    """The mean correlation of frames in octave bands, each counting the same: near 0 where two aligned waveforms of one
    length share only a tone or a click."""
    frames = [fft.rfft(np.lib.stride_tricks.sliding_window_view(side, FRAME)[:: FRAME // 2] * _WINDOW, axis=1) for side in (a, b)]
    edges = np.ravel(OCTAVE_BINS)
    products, *powers = (
        np.add.reduceat(table, edges, axis=1)[:, ::2]
        for table in ((frames[0] * frames[1].conj()).real, *(np.square(np.abs(side)) for side in frames))
    )
    sounding = np.logical_and(*(power.sum(axis=1) > QUIET * power.sum(axis=1).max(initial=0.0) for power in powers))
    scale = np.sqrt(np.prod(powers, axis=0))
    correlations = products / np.where(scale > 0, scale, 1)
    return float(correlations[sounding].sum()) / len(OCTAVE_BINS) / max(int(sounding.sum()), FEWEST_FRAMES)


def fingerprinted(over: OverAudio, n_items: int, what: str) -> Index:
    """The index of named audio. what: names the items in the progress bar."""
    index = Index()
    with tqdm(desc=f"Fingerprinting {what}", total=n_items, unit=f" {what}", mininterval=5) as progress:
        for batch in over(_fingerprints, None):
            index.add(batch)
            progress.update(len(set(batch.names)))
    return index


def correlated_pairs(over: OverAudio, index: Index, parts: dict[str, int], what: str, workers: Workers) -> list[Pair]:
    """Candidate near duplicates among indexed audio of different parts with their correlations, sorted by name.

    over: applies a function to the audio that was indexed. parts: a bit per part that holds the name; names in one and the
    same part are not paired. Unrelated pairs that the index does not propose are not in the result.
    """
    best: dict[tuple[str, str], Pair] = {}
    for group in _in_memory(index.candidates(parts), index.lengths_s):
        for pair in _correlated(over, index, group, what, workers):
            known = best.get((pair.item_a, pair.item_b))
            if known is None or (pair.information, pair.correlation) > (known.information, known.correlation):
                best[pair.item_a, pair.item_b] = pair
    return [best[key] for key in sorted(best)]


def _correlated(over: OverAudio, index: Index, group: pd.DataFrame, what: str, workers: Workers) -> Iterator[Pair]:
    """The pairs of one group; when they are through, nothing holds its audio any more, before that of the next is read."""
    held = _fetch(over, index, group)
    rows = list(zip(group.a, group.b, group["shift"], strict=True))
    batches = ([(held[a], held[b], int(shift) * HOP) for a, b, shift in rows[k : k + BATCH]] for k in range(0, len(rows), BATCH))
    measured = itertools.chain.from_iterable(workers.map(_correlations, batches))
    progress = tqdm(measured, desc=f"Correlating {what}", total=len(rows), unit=" pairs", mininterval=5)
    for (a, b, _), (correlation, lag, information) in zip(rows, progress, strict=True):
        shift_s = lag / SAMPLE_RATE + index.starts_s[a] - index.starts_s[b]
        first, second, shift_s = min((index.names[a], index.names[b], shift_s), (index.names[b], index.names[a], -shift_s))
        yield Pair(first, second, correlation, shift_s, information)


def _correlations(pairs: list[tuple[Pcm, Pcm, int]]) -> list[Alignment]:
    return [aligned_correlation(_waveform(a), _waveform(b), shift) for a, b, shift in pairs]


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
                    detail = f"{self.what}, correlation {pair.correlation:.3f} at a shift of {pair.shift_s:+.3f} s"
                    forward = (part_a, part_b, pair.item_a, pair.item_b, source_a, source_b, detail, pair.correlation)
                    if part_a < part_b:
                        rows.append(forward)
                    elif part_b < part_a:
                        backward = f"{self.what}, correlation {pair.correlation:.3f} at a shift of {-pair.shift_s:+.3f} s"
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
        # Stimuli of one clip are cut from one another's place.
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
    question="Is a changed copy (gain, shift, rate, noise, codec) of any audio in another part? Single ones of 0.4 s in noise may be missed.",
    remedy="Remove the copies, or give the recordings that hold the same audio one source_id, and split again.",
)
def near_duplicate_audio(data: AuditInput) -> Finding:
    """Is a changed copy (gain, shift, rate, noise, codec) of any audio in another part? Single ones of 0.4 s in noise may be missed.

    Compares clips with clips, recordings with recordings where their files are at hand (so that copies are found
    wherever their clips were cut), and stimuli of at least MIN_STIMULUS_S with stimuli. Evidence is the pair that
    correlates best per two sources and parts. A single copy of 0.4 s in noise at 10 dB is missed one time in six, and
    more often of tones and clicks; several of one pair of sources tell together.
    """
    threshold = data.policy.near_duplicate_correlation
    offenders, correlations, n_compared, n_pairs = [no_offenders()], list[float](), 0, 0
    for kind in _kinds(data):
        parts = kind.parts()
        index = fingerprinted(kind.over, len(parts), kind.what)
        missing = len(parts.keys() - set(index.names))
        n_compared += len(parts) - missing
        if missing:
            reason = f"{missing} of {len(parts)} {kind.what} have no audio"
            return Finding("not_run", n_compared, None, threshold, reason, no_offenders())
        pairs = correlated_pairs(kind.over, index, parts, kind.what, data.workers)
        alike = copies_among(pairs, kind.origins(), threshold)
        correlations += [pair.correlation for pair in pairs if pair in alike or pair.information >= MIN_SUPPORTED_INFORMATION]
        n_pairs += len(alike)
        offenders.append(kind.offenders(alike))
    reason = f"{n_pairs} pair{'s' if n_pairs > 1 else ''} of near-duplicate audio {'are' if n_pairs > 1 else 'is'} in different parts"
    return judge(pd.concat(offenders, ignore_index=True), n_compared, max(correlations, default=None), threshold, reason)
