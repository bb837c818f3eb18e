"""Near duplicates across the parts of a split: louder, shifted, resampled, noisy or re-encoded copies under other names.

Comparing all pairs is out of the question for large corpora, so candidates come from an index and are then verified.

1. Landmarks. Local maxima of the spectrogram survive gain, filtering, coding and noise (A. Wang, "An industrial-strength
   audio search algorithm", ISMIR 2003). The strongest are kept apart for the band of telephone speech and for what lies
   above, so that a copy that lost its upper band still has all of the lower. Peak times are interpolated: a shift by half
   a frame would otherwise change which frame is the maximum.
2. Index. Every landmark with two of its nearest successors is one 31-bit hash, independent of when it occurs (triplets of
   peaks: J. Six and M. Leman, "Panako", ISMIR 2014). Hashes are sorted, and each is paired with a bounded number of
   neighbours of the same value (the sorted neighbourhood of M. Hernandez and S. Stolfo, SIGMOD 1995), so work grows with
   the number of hashes, not of pairs. Items are ordered by a digest of their name: their order in a file does not matter.
3. Candidates. Pairs of items whose common hashes agree on one time shift, and whose landmarks then coincide.
4. Verification. Normalised cross-correlation of the overlap, band-limited, at the best lag near that shift. Two
   recordings with one tone in common correlate as well, so the phases of all frequencies, equally weighted as in the phase
   transform (C. Knapp and G. Carter, IEEE Trans. ASSP 24, 1976), must agree beyond chance too; and two with a click each
   do, so blocks of the overlap, equally weighted, must agree.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft
from tqdm import tqdm

from earshot.audio import SAMPLE_RATE, Waveform, read_mono
from earshot.leakage.evidence import AuditInput
from earshot.leakage.registry import EVIDENCE_COLUMNS, Finding, check, judge, no_offenders

FRAME, HOP = 512, 128
"""Samples: frames of 32 ms every 8 ms."""

PIECE_S = 10
"""Seconds; longer audio is indexed in pieces of this length."""

LANDMARK_BANDS = ((3, 121, 60), (121, 250, 30))
"""First and last bin (exclusive; 31.25 Hz each), and landmarks per second: 94 to 3,750 Hz, and above to 7.8 kHz."""

REACH = 2
"""Frames and bins, before and after, over which a landmark is the maximum."""

LOUDEST_SILENCE = 1e-3
"""Spectral magnitude (of a frame, full scale 1) below which there are no landmarks: under one step of 16-bit audio."""

SUCCESSORS_SEEN, SUCCESSORS_PAIRED, ZONE = 24, 4, 31
"""Later landmarks that are looked at, those of them that are nearest, and how far they may be in frames and in bins."""

NEIGHBOURS = 32
"""Entries of one hash that an entry is paired with, at most."""

MOST_HITS = 100_000_000
"""Pairs of equal hashes held in memory (8 bytes each); with more, NEIGHBOURS is lowered until they fit."""

MIN_VOTES, MIN_COINCIDENCES, MIN_COINCIDING_SHARE = 5, 6, 0.15
"""What makes a candidate: common hashes at one shift; landmarks that coincide, and their share of those in the overlap."""

CANDIDATES_PER_PIECE = 8
"""Candidates that are verified of each piece, the likeliest first, so that the work grows with the number of pieces."""

CORRELATED_BANDS_HZ = ((100.0, 3700.0), (100.0, 7600.0))
"""Bands in which pairs are correlated, the better one counts: a copy may have lost its upper half."""

SLACK = 2 * HOP
"""Samples by which the lag may differ from the shift that the hashes agree on."""

MIN_OVERLAP_S, MIN_OVERLAP_SHARE = 0.5, 0.6
"""Seconds of overlap that are judged, or this share of the shorter waveform where that is less; unrelated tones agree for a while."""

PHASE_STANDARD_ERRORS = 4.0
"""How far beyond chance the phases must agree, in standard errors of the mean cosine of random phases."""

SHIFTS_TRIED = 3
"""Shifts per pair of pieces, the best supported first: a clock agrees with itself at every tick."""

BLOCK_S, MIN_BLOCK_CORRELATION, BEYOND_DOUBT = 0.02, 0.4, 0.9
"""Seconds of the blocks of which each counts the same, and the mean of their correlations that is asked for below a
correlation that needs no such support: of a copy of clicks only the clicks survive added noise. Measured on real clips:
most copies with noise at 10 dB reach 0.5, unrelated tones and vowels of one pitch at most 0.35."""

MIN_STIMULUS_S = 0.4
"""Shorter stimuli are left to their clips: unrelated vowels of a few periods look alike."""

HELD_S = 40_000
"""Seconds of candidates' audio held in memory at once (16 bits a sample, so 1.3 GB)."""

Integers = npt.NDArray[np.int64]
Magnitudes = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]
Audio = Callable[[], Iterable[tuple[str, Waveform]]]


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The spectral peaks of one piece of audio, sorted by time and bin.

    time: frames, fractional; bin: number of the frequency bin; both of shape (n_peaks,).
    """

    time: npt.NDArray[np.float64]
    bin: Integers


@dataclass(frozen=True)
class Pair:
    """Two near duplicates. correlation in [0, 1]; shift_s: how much later the audio comes in `item_a`."""

    item_a: str
    item_b: str
    correlation: float
    shift_s: float


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
            peaks = np.sort(peaks[np.argpartition(-band.ravel()[peaks], kept - 1)[:kept]])
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


_ITEM_BITS, _FRAME_BITS = 21, 11
_MOST_PIECES = 1 << _ITEM_BITS


class Index:
    """The landmarks and hashes of many pieces of audio; memory is about 3 kB per second of audio."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.starts_s: list[int] = []
        self.lengths_s: list[float] = []
        self._entries: list[Hashes] = []
        self._peaks: list[npt.NDArray[np.int16]] = []

    def add(self, name: str, waveform: Waveform) -> None:
        """Add a named waveform, in pieces."""
        for start_s, piece in pieces(waveform):
            marks = landmarks(piece)
            values, frames = hashes(marks)
            self._entries.append(values << np.uint64(_ITEM_BITS + _FRAME_BITS) | frames.astype(np.uint64))
            self._peaks.append(np.stack([np.rint(marks.time), marks.bin]).astype(np.int16))
            self.names.append(name)
            self.starts_s.append(start_s)
            self.lengths_s.append(len(piece) / SAMPLE_RATE)

    def candidates(self, parts: dict[str, int]) -> pd.DataFrame:
        """Pairs of pieces, from different names and parts, that may be near duplicates.

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
        entries = [self._entries[piece] | np.uint64(rank << _FRAME_BITS) for rank, piece in enumerate(order)]
        a, b, shift = _agreeing(np.sort(np.concatenate(entries)) if entries else np.empty(0, np.uint64), part, name)
        coinciding, share = self._coincidences(order[a], order[b], shift)
        kept = (coinciding >= MIN_COINCIDENCES) & (share >= MIN_COINCIDING_SHARE)
        likely = pd.DataFrame({"a": order[a], "b": order[b], "shift": shift, "share": share})[kept]
        likely = likely.sort_values(["share", "a", "b", "shift"], ascending=[False, True, True, True], ignore_index=True)
        rank = np.minimum(likely.groupby("a").cumcount(), likely.groupby("b").cumcount())
        return likely[rank < CANDIDATES_PER_PIECE].reset_index(drop=True)

    def _coincidences(self, a: Integers, b: Integers, shift: Integers) -> tuple[Integers, npt.NDArray[np.float64]]:
        """How many landmarks of each pair coincide within a frame and a bin, and their share of those in the overlap."""
        count, share = np.zeros(len(a), np.int64), np.zeros(len(a))
        sizes = np.array([peaks.shape[1] for peaks in self._peaks], dtype=np.int64)
        step = max(1, 4_000_000 // int(max(sizes[a].max(), sizes[b].max()) ** 2)) if len(a) else 1
        for start in range(0, len(a), step):
            rows = slice(start, start + step)
            left, right = self._padded(a[rows], sizes), self._padded(b[rows], sizes)
            right[:, 0] += shift[rows, None].astype(np.int16)
            near = np.abs(left[:, 0, :, None] - right[:, 0, None, :]) <= 1
            near &= np.abs(left[:, 1, :, None] - right[:, 1, None, :]) <= 1
            count[rows] = (near.any(axis=2) & (left[:, 1] > 0)).sum(axis=1)
            from_frame = np.maximum(0, shift[rows])
            to_frame = np.minimum(_last_frame(left), _last_frame(right))
            marks = [_marks_between(side, from_frame, to_frame) for side in (left, right)]
            share[rows] = count[rows] / np.maximum(np.minimum(*marks), 1)
        return count, share

    def _padded(self, numbers: Integers, sizes: Integers) -> npt.NDArray[np.int16]:
        """Landmarks of pieces, shape (n_pieces, 2, most landmarks); what is missing is at bin -9, far from any other."""
        table = np.full((len(numbers), 2, max(int(sizes[numbers].max()), 1)), -9, np.int16)
        for row, number in enumerate(numbers):
            table[row, :, : sizes[number]] = self._peaks[number]
        return table


def _last_frame(table: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    return np.where(table[:, 1] > 0, table[:, 0], -1).max(axis=1)


def _marks_between(table: npt.NDArray[np.int16], from_frame: Integers, to_frame: npt.NDArray[np.int16]) -> Integers:
    time = table[:, 0]
    return ((time >= from_frame[:, None] - 1) & (time <= to_frame[:, None] + 1) & (table[:, 1] > 0)).sum(axis=1)


def pieces(waveform: Waveform) -> Iterator[tuple[int, Waveform]]:
    """Cut a waveform into pieces of PIECE_S seconds, the last one shorter; yield where each starts, in seconds."""
    for start_s in range(0, max(-(-len(waveform) // SAMPLE_RATE), 1), PIECE_S):
        yield start_s, waveform[start_s * SAMPLE_RATE : (start_s + PIECE_S) * SAMPLE_RATE]


def _agreeing(entries: Hashes, part: Integers, name: Integers) -> tuple[Integers, Integers, Integers]:
    """Pairs of items whose common hashes agree on a shift: items a and b, and the shift in frames.

    entries: sorted; hash, item, frame from the highest bit to the lowest. part, name: of every item.
    """
    values = (entries >> np.uint64(_ITEM_BITS + _FRAME_BITS)).astype(np.uint32)
    neighbours, total = 0, 0
    matches: list[npt.NDArray[Any]] = []
    for step in range(1, NEIGHBOURS + 1):
        first = np.flatnonzero(values[:-step] == values[step:])
        if not len(first):
            break
        a, b = _item(entries[first]), _item(entries[first + step])
        across = (name[a] != name[b]) & ((part[a] != part[b]) | (part[a] & (part[a] - 1) != 0))
        if step > 1 and total + across.sum() > MOST_HITS:
            break
        matches.append(first[across].astype(np.uint32))
        neighbours, total = step, total + int(across.sum())
    del values
    hits = np.empty(total, np.uint64)
    filled = 0
    for step in range(1, neighbours + 1):
        first = matches[step - 1]
        matches[step - 1] = np.empty(0, np.uint32)
        earlier, later = entries[first], entries[first + step]
        shift = (earlier & np.uint64(2047)) - (later & np.uint64(2047)) + np.uint64(2048)
        items = _item(earlier).astype(np.uint64) << np.uint64(_ITEM_BITS) | _item(later).astype(np.uint64)
        hits[filled : filled + len(first)] = items << np.uint64(12) | shift
        filled += len(first)
    hits.sort()
    starts = np.flatnonzero(np.diff(hits, prepend=hits[:1] - np.uint64(1)))
    votes = np.diff(starts, append=len(hits))
    distinct = hits[starts]
    del hits
    follows = np.flatnonzero(np.diff(distinct) == 1)
    agreed = votes.copy()
    agreed[follows] += votes[follows + 1]
    agreed[follows + 1] += votes[follows]
    enough = agreed >= MIN_VOTES
    best = pd.DataFrame({"items": distinct[enough] >> np.uint64(12), "hit": distinct[enough], "agreed": agreed[enough], "votes": votes[enough]})
    best = best.sort_values(["items", "agreed", "votes", "hit"], ascending=[True, False, False, True]).groupby("items").head(SHIFTS_TRIED)
    items, hit = best["items"].to_numpy(), best["hit"].to_numpy()
    a, b = (items >> np.uint64(_ITEM_BITS)).astype(np.int64), (items & np.uint64(_MOST_PIECES - 1)).astype(np.int64)
    return a, b, (hit & np.uint64(4095)).astype(np.int64) - 2048


def _item(entries: Hashes) -> Integers:
    return ((entries >> np.uint64(_FRAME_BITS)) & np.uint64(_MOST_PIECES - 1)).astype(np.int64)


def aligned_correlation(a: Waveform, b: Waveform, shift: int) -> tuple[float, float]:
    """How alike two waveforms are where they overlap, and the lag at which they are, in samples.

    shift: samples by which the audio comes later in `a`, right within SLACK.
    Returns the normalised cross-correlation in [0, 1] of the better band, 0 where the overlap is too short,
    silent, or only one tone or click agrees.
    """
    left, right = (a[shift:], b) if shift >= 0 else (a, b[-shift:])
    n = min(len(left), len(right))
    if n < min(MIN_OVERLAP_S * SAMPLE_RATE, MIN_OVERLAP_SHARE * min(len(a), len(b))) or n < 2 * SLACK:
        return 0.0, float(shift)
    size = fft.next_fast_len(n + SLACK, real=True)
    # Without a taper, a tone that both have leaks into every frequency, and there its phases agree.
    spectra = [fft.rfft(side[:n] * np.hanning(n), size) for side in (left, right)]
    frequency = np.arange(size // 2 + 1) * SAMPLE_RATE / size
    cross = spectra[0] * spectra[1].conj()
    best = (0.0, float(shift))
    for low, high in CORRELATED_BANDS_HZ:
        band = (frequency >= low) & (frequency < high)
        scale = np.sqrt(np.prod([np.square(np.abs(spectrum[band])).sum() for spectrum in spectra]))
        if scale <= 0:
            continue
        by_lag = fft.irfft(np.where(band, cross, 0), size)
        whole = int(np.argmax(np.concatenate([by_lag[-SLACK:], by_lag[:SLACK]]))) - SLACK
        # A lag of three quarters of a sample to either side, where the audio was resampled in between.
        angle = 2 * np.pi * np.flatnonzero(band) / size
        quarter, turned = np.exp(0.25j * angle), cross[band] * np.exp((whole - 0.75) * 1j * angle)
        by_quarter = []
        for _ in range(7):
            by_quarter.append(turned)
            turned = turned * quarter
        at = int(np.argmax([quarter_turned.real.sum() for quarter_turned in by_quarter]))
        correlation = float(by_quarter[at].real.sum() / scale)
        if correlation <= best[0]:
            continue
        magnitude = np.abs(by_quarter[at])
        phases = float(np.mean(by_quarter[at].real / np.where(magnitude > 0, magnitude, 1)))
        chance = float(np.sqrt(1 / (2 * (high - low) * n / SAMPLE_RATE)))
        delayed = spectra[1] * np.exp(-2j * np.pi * np.arange(len(cross)) * (whole + (at - 3) / 4) / size)
        filtered = [fft.irfft(np.where(band, spectrum, 0), size)[:n] for spectrum in (spectra[0], delayed)]
        spread = correlation >= BEYOND_DOUBT or _block_correlation(filtered[0], filtered[1]) >= MIN_BLOCK_CORRELATION
        if phases >= PHASE_STANDARD_ERRORS * chance and spread:
            best = (min(correlation, 1.0), shift + whole + (at - 3) / 4)
    return best


def _block_correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """The mean of the correlations of blocks of BLOCK_S: near 0 where two waveforms agree in a click or two only."""
    length = round(BLOCK_S * SAMPLE_RATE)
    blocks = [side[: len(side) // length * length].reshape(-1, length) for side in (a, b)]
    products, powers = (blocks[0] * blocks[1]).sum(axis=1), np.prod([np.square(side).sum(axis=1) for side in blocks], axis=0)
    return float(np.mean(products / np.sqrt(np.where(powers > 0, powers, 1))))


def correlated_pairs(audio: Audio, parts: dict[str, int], what: str) -> list[Pair]:
    """Candidate near duplicates among named audio of different parts with their correlations, sorted by name.

    audio: yields names and 16 kHz mono waveforms; called again where candidates must be verified.
    parts: a bit per part that holds the name; names in one and the same part are not paired. what: names the items in
    the progress bar. Unrelated pairs that the index does not propose are not in the result.
    """
    index = Index()
    for name, waveform in tqdm(audio(), desc=f"Fingerprinting {what}", total=len(parts), unit=f" {what}", mininterval=5):
        index.add(name, waveform)
    best: dict[tuple[str, str], Pair] = {}
    for group in _in_memory(index.candidates(parts), index.lengths_s):
        held = _fetch(audio, index, group)
        for row in tqdm(group.itertuples(), desc=f"Correlating {what}", total=len(group), unit=" pairs", mininterval=5):
            a, b = ((held[number] / 32768).astype(np.float32) for number in (row.a, row.b))
            correlation, lag = aligned_correlation(a, b, int(row.shift) * HOP)
            shift_s = lag / SAMPLE_RATE + index.starts_s[row.a] - index.starts_s[row.b]
            first, second = index.names[row.a], index.names[row.b]
            pair = Pair(first, second, correlation, shift_s) if first < second else Pair(second, first, correlation, -shift_s)
            known = best.get((pair.item_a, pair.item_b))
            if known is None or pair.correlation > known.correlation:
                best[pair.item_a, pair.item_b] = pair
    return [best[key] for key in sorted(best)]


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


def _fetch(audio: Audio, index: Index, group: pd.DataFrame) -> dict[int, npt.NDArray[np.int16]]:
    """The audio of the pieces in a group of candidates, by number, as 16-bit PCM."""
    wanted = {(index.names[number], index.starts_s[number]): number for number in {*group.a, *group.b}}
    names = {name for name, _ in wanted}
    held = {}
    for name, waveform in audio():
        if name in names:
            for start_s, piece in pieces(waveform):
                if (name, start_s) in wanted:
                    held[wanted[name, start_s]] = np.clip(np.rint(piece * 32768), -32768, 32767).astype(np.int16)
    return held


@dataclass(frozen=True, eq=False)
class _Kind:
    """One kind of audio to compare: rows say which item is in which part and of which source."""

    what: str
    rows: pd.DataFrame
    audio: Audio

    def parts(self) -> dict[str, int]:
        bits = {part: 1 << bit for bit, part in enumerate(sorted(self.rows.part.unique()))}
        held = self.rows.drop_duplicates(["item", "part"])
        sums = held.part.map(bits).groupby(held["item"]).sum()
        return {str(item): int(bit) for item, bit in sums.items()}

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


def _kinds(evidence: AuditInput) -> Iterator[_Kind]:
    stimuli = evidence.stimuli

    def rows(items: pd.DataFrame, key: str) -> pd.DataFrame:
        return items[[key, "part", "source_id"]].set_axis(["item", "part", "source"], axis=1)

    yield _Kind("clips", rows(stimuli, "clip_id"), evidence.clip_audio)

    files = {name: Path(path) for name, path in zip(evidence.recordings.recording_id, evidence.recordings.path, strict=True) if Path(path).is_file()}
    cut_from = stimuli[stimuli.recording_id.isin(files)]
    wanted = sorted(cut_from.recording_id.unique())
    if wanted:
        yield _Kind("recordings", rows(cut_from, "recording_id"), lambda: ((name, read_mono(files[name])) for name in wanted))

    long = stimuli[stimuli.duration_ms >= 1000 * MIN_STIMULUS_S]
    names = set(long.stimulus_id)
    if evidence.shards and names:
        yield _Kind("stimuli", rows(long, "stimulus_id"), lambda: (named for named in evidence.stimulus_audio() if named[0] in names))


@check(
    id="L04",
    name="near_duplicate_audio",
    severity="warn",
    units="clips, recordings and stimuli",
    remedy="Remove the copies, or give the recordings that hold the same audio one source_id, and split again.",
)
def near_duplicate_audio(evidence: AuditInput) -> Finding:
    """Is a louder, shifted, resampled, noisy or re-encoded copy of any audio in another part, under another name?

    Compares clips with clips, recordings with recordings where their files are at hand (so that copies are found
    wherever their clips were cut), and stimuli of at least MIN_STIMULUS_S with stimuli. Evidence is the pair that
    correlates best per two sources and parts. It warns and does not stop training: how often unrelated recordings of
    other corpora than those it was set on look alike to it is not known yet.
    """
    threshold = evidence.policy.near_duplicate_correlation
    offenders, correlations, n_compared, n_pairs = [no_offenders()], list[float](), 0, 0
    for kind in _kinds(evidence):
        compared: set[str] = set()

        def counted(audio: Audio = kind.audio, compared: set[str] = compared) -> Iterator[tuple[str, Waveform]]:
            for name, waveform in audio():
                compared.add(name)
                yield name, waveform

        parts = kind.parts()
        pairs = correlated_pairs(counted, parts, kind.what)
        n_compared += len(compared)
        if len(compared) < len(parts):
            missing = f"{len(parts) - len(compared)} of {len(parts)} {kind.what} have no audio"
            return Finding("not_run", n_compared, None, threshold, missing, no_offenders())
        correlations += [pair.correlation for pair in pairs]
        alike = [pair for pair in pairs if pair.correlation >= threshold]
        n_pairs += len(alike)
        offenders.append(kind.offenders(alike))
    reason = f"{n_pairs} pair{'s' if n_pairs > 1 else ''} of near-duplicate audio {'are' if n_pairs > 1 else 'is'} in different parts"
    return judge(pd.concat(offenders, ignore_index=True), n_compared, max(correlations, default=None), threshold, reason)
