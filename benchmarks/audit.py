"""Time, memory and detection of the leakage audit on synthetic studies of growing size.

    PYTHONPATH=workflow_scripts python benchmarks/audit.py growth 1000 10000 100000
    PYTHONPATH=workflow_scripts python benchmarks/audit.py recall --recordings ESC-50/audio voxconverse/audio

growth audits a clean study of each size in a process of its own, prints seconds per check and the peak of memory, and
the exponent of the growth from each size to the next. recall plants changed copies of pieces of real recordings in another
part, and prints the share that check L04 finds, and how many pairs of unrelated pieces it takes for copies, beside plain landmark
hashing on the same pairs. Limits may be set on half A of the sources; half B, which is shown, tells how good they are.
"""

import argparse
import contextlib
import json
import math
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from scipy import ndimage, signal

from earwitness.audio.io import SAMPLE_RATE, Waveform, encode_flac, read_mono
from earwitness.config import complete_config
from earwitness.core.randomness import stream
from earwitness.leakage.audit import audited_files, checks
from earwitness.leakage.audit_input import OnePass, Policy, in_batches
from earwitness.leakage.disguises import DISGUISES
from earwitness.leakage.fingerprints.comparison import OverAudio, correlated_pairs, fingerprinted
from earwitness.leakage.fingerprints.grouping import Origin, Pair, copies_among
from earwitness.leakage.fingerprints.landmarks import LOUDEST_SILENCE
from earwitness.leakage.workers import Workers
from earwitness.tables.audio import AudioTableWriter
from earwitness.tables.clips import CLIPS
from earwitness.tables.files import write_table
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI

CLIPS_PER_SOURCE, BATCH, STIMULUS_S = 5, 1000, 0.4
PARTS = ("train", "train", "train", "dev", "test")

ESC50_SOURCE = r"\d-\d+(?=-[A-Z]-\d)"
"""ESC-50 cuts several files from one source, and tells them apart by a letter; other names are sources themselves."""

MANY, UNRELATED_S = 20, 300
"""Unaltered pieces of a file, at most, and seconds of all of one length, of which pairs of unrelated ones are made."""

QUIETEST = 1e-3
"""Root mean square (full scale 1) below which a piece counts as silence and is not used."""


def policy() -> Policy:
    """The configuration's defaults."""
    settings = complete_config({})["audit"]
    return Policy.from_settings({key: settings[key] for key in Policy.__dataclass_fields__})


def sound(rng: np.random.Generator) -> Waveform:
    """A second of filtered noise in bursts, gliding harmonics and clicks, in random proportions."""
    time_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    low, high = np.sort(rng.uniform(80, 7500, size=2))
    colour = signal.butter(2, (low, max(high, low + 200)), "bandpass", fs=SAMPLE_RATE, output="sos")
    gate = np.repeat(rng.random(20) ** rng.uniform(0, 3), SAMPLE_RATE // 20)
    noise = signal.sosfilt(colour, rng.normal(size=SAMPLE_RATE)) * gate
    glide = rng.uniform(80, 600) * 2 ** np.interp(time_s, np.linspace(0, 1, 8), rng.normal(scale=0.3, size=8))
    phase = 2 * np.pi * np.cumsum(glide) / SAMPLE_RATE
    tone = sum(rng.random() / k * np.sin(k * phase) for k in range(1, 9)) * np.repeat(rng.random(10), SAMPLE_RATE // 10)
    clicks = np.zeros(SAMPLE_RATE)
    clicks[rng.integers(0, SAMPLE_RATE, size=rng.integers(0, 10))] = rng.normal(scale=20)
    mixed = rng.random() * noise / noise.std() + rng.random() * tone / tone.std() + signal.sosfilt(colour, clicks)
    return (rng.uniform(0.05, 0.9) * mixed / np.abs(mixed).max()).astype(np.float32)


def make_study(folder: Path, n_clips: int) -> dict[str, Path]:
    """Write a clean study of n_clips clips of 1 s, one stimulus of each, and its split, in batches."""
    paths = {name: folder / f"{name}.parquet" for name in ("clips", "recordings", "index", "shard")} | {"split": folder / "grouped.csv"}
    stimuli = []
    with AudioTableWriter(paths["clips"], CLIPS) as clip_writer, AudioTableWriter(paths["shard"], STIMULI) as shard_writer:
        for start in range(0, n_clips, BATCH):
            numbers = np.arange(start, min(start + BATCH, n_clips))
            source = numbers // CLIPS_PER_SOURCE
            rows = pd.DataFrame({"clip_id": [f"clip{number:06d}" for number in numbers], "source_id": [f"source{k:06d}" for k in source]})
            rows["recording_id"] = [f"recording{k:06d}" for k in source]
            rows["label"] = np.where(source // len(PARTS) % 2 == 0, "SPEECH", "NONSPEECH")
            rows = rows.assign(category="any", start_s=2.0 * (numbers % CLIPS_PER_SOURCE), active_fraction=1.0)
            rows["end_s"] = rows.start_s + 1.0
            audio = [sound(stream(1, "sound", number)) for number in numbers]
            clip_writer.write(rows[list(CLIPS.columns)], [encode_flac(waveform) for waveform in audio], [f"{name}.flac" for name in rows.clip_id])
            index = rows.assign(
                stimulus_id=rows.clip_id + "-s", noise_id="none", design="factorial", axis="none", snr_db=np.nan, achieved_snr_db=np.nan
            )
            index = index.assign(duration_ms=round(1000 * STIMULUS_S), band="full", room="none", normalisation="peak", achieved_level_dbfs=-20.0)
            index = index.assign(segment_start_s=index.start_s + 0.3, segment_end_s=index.start_s + 0.3 + STIMULUS_S)
            cut = slice(round(0.3 * SAMPLE_RATE), round((0.3 + STIMULUS_S) * SAMPLE_RATE))
            index = index[list(STIMULI.columns)]
            shard_writer.write(index, [encode_flac(waveform[cut]) for waveform in audio], [f"{name}.flac" for name in index.stimulus_id])
            stimuli.append(index)
    table = pd.concat(stimuli, ignore_index=True)
    write_table(paths["index"], table, STIMULI)
    part = [PARTS[int(name.removeprefix("source")) % len(PARTS)] for name in table.source_id]
    write_table(paths["split"], table.assign(part=part)[list(SPLIT.columns)], SPLIT)
    recordings = table.drop_duplicates("recording_id")[["recording_id", "source_id", "category", "label"]]
    recordings = recordings.assign(
        dataset="benchmark", sha256="0" * 64, sample_rate=SAMPLE_RATE, duration_s=10.0, licence="none", original="", session=""
    )
    write_table(paths["recordings"], recordings.assign(path=recordings.recording_id + ".wav")[list(RECORDINGS.columns)], RECORDINGS)
    return paths


class MemoryWatch:
    """The most memory that this process and its children held together (proportional set sizes), looked at twice a second."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.5):
            held = 0
            for process in [me, *me.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    held += process.memory_full_info().pss
            self.peak_bytes = max(self.peak_bytes, held)


def audit_once(study: Path, jobs: int) -> None:
    """Audit a study in this process and `jobs` others, and print what it took as JSON."""
    paths = {path.stem: path for path in study.iterdir()}
    seconds, started, findings = {}, time.perf_counter(), {}
    with MemoryWatch() as memory, Workers(jobs) as workers:
        audited = audited_files(paths["grouped"], paths["index"], [paths["clips"]], [paths["recordings"]], [paths["shard"]], policy())
        seconds["reading"] = time.perf_counter() - started
        together = OnePass(function for check in checks() for function in check.asks(audited.data.policy))
        data = replace(audited.data, workers=workers, together=together)
        for check in checks():
            before = time.perf_counter()
            findings[check.id] = check.run(data)
            seconds[check.id] = time.perf_counter() - before
    total = time.perf_counter() - started
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    result = {
        "seconds": total,
        "processor_s": sum(usage.ru_utime + usage.ru_stime for usage in (own, others)),
        "peak_mib": memory.peak_bytes / 2**20,
        "per_check": seconds,
        "false_alarms": len(findings["L04"].offenders),
    }
    print(json.dumps(result))


def growth(sizes: list[int], jobs: int) -> None:
    before: tuple[int, float] | None = None
    for size in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run([sys.executable, __file__, "make", str(size), scratch], check=True)
            audit = [sys.executable, __file__, "once", scratch, "--jobs", str(jobs)]
            result = json.loads(subprocess.run(audit, check=True, stdout=subprocess.PIPE).stdout)
        line = f"{size:>8,} clips  {result['seconds']:.1f} s ({result['processor_s']:.1f} s of processor)  {result['peak_mib']:.0f} MiB"
        line += f"  near-duplicate false alarms {result['false_alarms']}"
        if before is not None:
            line += f"  exponent {math.log(result['seconds'] / before[1]) / math.log(size / before[0]):.2f}"
        print(line, flush=True)
        print("          " + ", ".join(f"{check} {seconds:.1f} s" for check, seconds in result["per_check"].items() if seconds >= 0.05), flush=True)
        before = size, result["seconds"]


def over(audio: list[tuple[str, Waveform]]) -> OverAudio:
    return lambda function, only: map(function, in_batches(named for named in audio if only is None or named[0] in only))


def compared(audio: dict[str, Waveform], parts: dict[str, int]) -> list[Pair]:
    """Candidate pairs between parts with their correlations."""
    named = list(audio.items())
    return correlated_pairs(over(named), fingerprinted(over(named), len(named), "clips"), parts, "clips", Workers())


def original_of(item: str) -> str:
    return item.removeprefix("copy of ")


def cut(folders: list[Path], half: str, seconds: float, most: int, source_pattern: str) -> dict[str, Waveform]:
    """Pieces of the sources of one half, "A" or "B", at most `most` of a file, named source/file/start in samples.

    source_pattern: what it matches at the start of a file's name, without ending, is the source of the file.
    """
    pieces: dict[str, Waveform] = {}
    length = round(seconds * SAMPLE_RATE)
    for path in sorted((path for folder in folders for path in folder.rglob("*.wav")), key=lambda path: path.name):
        matched = re.match(source_pattern, path.stem)
        source = matched[0] if matched else path.stem
        if ("A" if stream(1, "half", source).random() < 0.5 else "B") != half:
            continue
        waveform = read_mono(path)
        places = stream(1, "pieces", path.name).permutation(len(waveform) // length) * length
        audible = [start for start in places if np.sqrt(np.mean(np.square(waveform[start : start + length]))) >= QUIETEST]
        pieces |= {f"{source}/{path.name}/{start}": waveform[start : start + length] for start in audible[:most]}
    return pieces


def some_of(pieces: dict[str, Waveform], count: int) -> dict[str, Waveform]:
    """So many of the pieces, drawn without regard to their order."""
    return {name: pieces[name] for name in sorted(pieces, key=lambda name: stream(1, "piece", name).random())[:count]}


def source_of(item: str) -> str:
    return original_of(item).split("/")[0]


def origin_of(item: str) -> Origin:
    """Copies are of a source of their own, as they are where a recording is in two corpora."""
    return Origin(item.split("/")[0], item)


def sorted_out(pairs: list[Pair], threshold: float) -> tuple[set[str], set[tuple[str, str]]]:
    """The pieces of which the copy was found, and the pairs of other sources that were taken for copies."""
    origins = {item: origin_of(item) for pair in pairs for item in (pair.item_a, pair.item_b)}
    found = {(pair.item_a, pair.item_b) for pair in copies_among(pairs, origins, threshold)}
    return counted(found)


def counted(found: set[tuple[str, str]]) -> tuple[set[str], set[tuple[str, str]]]:
    copies = {original_of(a) for a, b in found if original_of(a) == original_of(b)}
    return copies, {pair for pair in found if source_of(pair[0]) != source_of(pair[1])}


def landmark_votes(audio: dict[str, Waveform], parts: dict[str, int]) -> Counter[tuple[str, str]]:
    """The alternative: plain landmark hashing (A. Wang 2003, as in Dejavu), the votes of every pair of different parts for its best offset.

    Peaks of a spectrogram of 64 ms frames every 32 ms are the maxima of 11 x 11 neighbourhoods; every peak is paired with its
    15 successors within 6.4 s; a hash is both frequencies and their distance in frames. Nothing is verified.
    """
    found = []
    for name, waveform in audio.items():
        _, _, spectrum = signal.stft(waveform, SAMPLE_RATE, nperseg=1024, noverlap=512)
        level = np.abs(spectrum)
        frame, bin = np.nonzero(((level == ndimage.maximum_filter(level, size=11)) & (level > LOUDEST_SILENCE / 100)).T)
        for step in range(1, 16):
            apart = frame[step:] - frame[:-step]
            hashes = (bin[:-step] * 1024 + bin[step:]) * 1024 + apart
            found.append(pd.DataFrame({"hash": hashes, "name": name, "frame": frame[:-step]})[apart <= 200])
    table = pd.concat(found, ignore_index=True).astype({"name": "category"})
    first, second = (table[table.name.map(parts).astype(int) == part] for part in (1, 2))
    alike = first.merge(second, on="hash", suffixes=("_a", "_b"))
    votes = alike.assign(offset=alike.frame_a - alike.frame_b).groupby(["name_a", "name_b", "offset"], observed=True).size()
    return Counter(votes.groupby(["name_a", "name_b"], observed=True).max().to_dict())


def copies_of(originals: dict[str, Waveform], kind: str) -> dict[str, Waveform]:
    """A changed copy of every piece, named "copy of" it; what lies over a mixed one is a piece of another source."""
    names = list(originals)
    other = {name: names[(k + len(names) // 2) % len(names)] for k, name in enumerate(names)}
    return {f"copy of {name}": DISGUISES[kind](waveform, originals[other[name]]) for name, waveform in originals.items()}


@dataclass
class Alarms:
    """False alarms of both methods, and the pairs in which there could be one."""

    ours: int = 0
    theirs: int = 0
    pairs: int = 0

    def count(self, ours: set[tuple[str, str]], theirs: set[tuple[str, str]], pairs: int) -> None:
        self.ours, self.theirs, self.pairs = self.ours + len(ours), self.theirs + len(theirs), self.pairs + pairs

    def told(self) -> str:
        per_million = [f"{name} {n} ({n / self.pairs * 1e6:.0f} per million)" for name, n in (("L04", self.ours), ("landmark hashing", self.theirs))]
        return f"{', '.join(per_million)} of {self.pairs:,} pairs"


def recall(folders: list[Path], lengths_s: list[float], most: int, n_pieces: int, source_pattern: str) -> None:
    """Print, per kind of copy and length of the pieces, the share that L04 finds and that plain landmark hashing finds, and what
    both take for copies among unrelated pieces, changed ones and unaltered ones. Half B of the sources is shown."""
    threshold = policy().near_duplicate_correlation
    table: dict[str, list[str]] = {kind: [] for kind in DISGUISES}
    changed, unaltered = Alarms(), Alarms()
    for seconds in lengths_s:
        halves = {half: some_of(cut(folders, half, seconds, most, source_pattern), n_pieces) for half in "AB"}
        limit = votes_limit(halves["A"])
        pieces, per_source = halves["B"], Counter(map(source_of, halves["B"]))
        unrelated = len(pieces) ** 2 - sum(n**2 for n in per_source.values())
        for kind in DISGUISES:
            copies = copies_of(pieces, kind)
            audio, parts = pieces | copies, dict.fromkeys(pieces, 1) | dict.fromkeys(copies, 2)
            ours = sorted_out(compared(audio, parts), threshold)
            theirs = counted({pair for pair, n in landmark_votes(audio, parts).items() if n >= limit})
            table[kind].append(f"{len(ours[0]) / len(pieces):.0%} / {len(theirs[0]) / len(pieces):.0%}")
            # What lies over a mixed copy is a copy too.
            if "another sound" not in kind:
                changed.count(ours[1], theirs[1], unrelated)
        many = some_of(cut(folders, "B", seconds, MANY, source_pattern), round(UNRELATED_S / seconds))
        parts = {name: 1 + int(stream(1, "part", source_of(name)).integers(2)) for name in many}
        wrong = {pair for pair, n in landmark_votes(many, parts).items() if n >= limit and source_of(pair[0]) != source_of(pair[1])}
        unaltered.count(sorted_out(compared(many, parts), threshold)[1], wrong, math.prod(Counter(parts.values()).values()))
        print(f"{seconds:g} s: {len(pieces)} pieces of {len(per_source)} sources, landmark hashing from {limit} votes", file=sys.stderr, flush=True)
    print("| copy | " + " | ".join(f"{seconds:g} s" for seconds in lengths_s) + " |\n|---|" + "---:|" * len(lengths_s))
    for kind, cells in table.items():
        print(f"| {kind} | {' | '.join(cells)} |")
    print(f"false alarms, changed copies of other pieces: {changed.told()}\nfalse alarms, unaltered pieces: {unaltered.told()}")


def votes_limit(pieces: dict[str, Waveform]) -> int:
    """The fewest votes that at most one in a million pairs of pieces of different sources reaches, among them no pair at all."""
    copies = copies_of(pieces, "inverted")
    votes = landmark_votes(pieces | copies, dict.fromkeys(pieces, 1) | dict.fromkeys(copies, 2))
    unrelated = sorted((n for (a, b), n in votes.items() if source_of(a) != source_of(b)), reverse=True)
    allowed = len(pieces) ** 2 // 1_000_000
    return unrelated[allowed] + 1 if len(unrelated) > allowed else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    grow = commands.add_parser("growth", help="time and memory against size")
    grow.add_argument("sizes", type=int, nargs="+")
    real = commands.add_parser("recall", help="which planted copies of pieces of real recordings are found, and what else is taken for copies")
    real.add_argument("--recordings", type=Path, nargs="+", required=True, help="folders of WAV files")
    real.add_argument("--source", default=ESC50_SOURCE, help="regular expression that matches the source in a file's name (default: ESC-50's)")
    real.add_argument("--seconds", type=float, nargs="+", default=[1.0, 2.0, 3.0, 5.0], help="lengths of the pieces (default: 1 2 3 5)")
    real.add_argument("--pieces", type=int, default=1, help="pieces of a file, at most (default: 1)")
    real.add_argument("--most", type=int, default=40, help="pieces of every length in all, at most (default: 40)")
    once = commands.add_parser("once", help="one study, as JSON")
    once.add_argument("study", type=Path)
    for command in (grow, once):
        command.add_argument("--jobs", type=int, default=2, help="processes of the audit (default: 2)")
    make = commands.add_parser("make", help="write a study of one size")
    make.add_argument("size", type=int)
    make.add_argument("folder", type=Path)
    args = parser.parse_args()
    if args.command == "growth":
        growth(args.sizes, args.jobs)
    elif args.command == "recall":
        recall(args.recordings, args.seconds, args.pieces, args.most, args.source)
    elif args.command == "once":
        audit_once(args.study, args.jobs)
    else:
        make_study(args.folder, args.size)


if __name__ == "__main__":
    main()
