"""Recall and false alarms of the audit's check L16 on real recordings, with every name withheld.

python benchmarks/voice.py study --recordings FOLDER [--seconds 1 2 3 5] [--heard S] [--draws 30]
    Cut every recording (one speaker each) into files, each a source of its own, and put a quarter of the files into the test part, at random,
    many times. Which speakers are in both parts, how many of them does L16 find, and how often does it take two speakers for one?
python benchmarks/voice.py held-out --recordings FOLDER
    The same, with the one number of the method that was chosen on recordings (how heavy the upper tail is) chosen on half of them and measured
    on the other half, and the other way round.
python benchmarks/voice.py clean --recordings FOLDER
    The first file of every recording alone: no voice is shared.
python benchmarks/voice.py growth 1000 3000 10000
    Time and memory of the comparison against the number of sources, on simulated embeddings.

All but growth need the optional packages of envs/README.md. All run on one thread.
"""

import argparse
import math
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from earwitness.audio.io import SAMPLE_RATE, read_mono
from earwitness.audio.speaker_embedding import CAMPPLUS, not_installed
from earwitness.core.randomness import stream
from earwitness.leakage.checks.same_voice import StretchVoice, voices_in
from earwitness.leakage.voices import Scores, Voices, calibrated, one_voice, unit

FALSE_ALARMS = 1e-4
TEST_SHARE = 0.25
TAILS = tuple(1 + 0.05 * k for k in range(21))

Speakers = npt.NDArray[np.str_]
Embeddings = npt.NDArray[np.float64]


def heard_files(folder: Path, seconds: float, most: int | None = None, part_s: float = math.inf) -> tuple[Speakers, Voices]:
    """The speaker (recording) and voice of every file of a length that the recordings are cut into; at most `most` of each.

    part_s: how much of each file is heard, from its beginning.
    """
    length, part = round(seconds * SAMPLE_RATE), round(min(seconds, part_s) * SAMPLE_RATE)
    heard: list[StretchVoice] = []
    for path in tqdm(sorted(folder.glob("*.wav")), desc=f"{seconds:g} s", unit="recording", mininterval=5):
        waveform = read_mono(path)
        starts = list(range(0, len(waveform) - length + 1, length))[:most]
        heard += voices_in([(path.stem, waveform[start : start + part]) for start in starts], CAMPPLUS)
    voices = Voices(np.stack([voice.whole for voice in heard]), np.stack([voice.halves for voice in heard]))
    return np.array([voice.name for voice in heard]), voices


@dataclass(frozen=True)
class Counts:
    """Over all draws: speakers in both parts, those found, pairs of files of different speakers in different parts, those named, draws with any."""

    shared: int
    found: int
    different: int
    alarms: int
    alarmed: int

    @property
    def recall(self) -> float:
        return self.found / self.shared if self.shared else float("nan")

    @property
    def rate(self) -> float:
        """False alarms in 10,000 pairs."""
        return 1e4 * self.alarms / self.different


def counted(speakers: Speakers, voices: Voices, calibration: tuple[Embeddings, Scores], seconds: float, draws: int) -> Counts:
    """What L16 names, with a quarter of the files in the test part, drawn again and again."""
    whole, scores = calibration
    shared = found = different = alarms = alarmed = 0
    for draw in range(draws):
        test = stream(1, "voice", seconds, draw).random(len(speakers)) < TEST_SHARE
        pairs, _ = one_voice(whole, scores, np.where(test, 2, 1), FALSE_ALARMS)
        right = speakers[pairs.first] == speakers[pairs.second]
        shared += len(set(speakers[test]) & set(speakers[~test]))
        found += len(set(speakers[pairs.first[right]]))
        alarms += int((~right).sum())
        alarmed += bool((~right).any())
        different += int((speakers[test][:, None] != speakers[~test]).sum())
    return Counts(shared, found, different, alarms, alarmed)


def study(folder: Path, seconds: float, draws: int, most: int | None, part_s: float = math.inf) -> str:
    """One row of the table: averages over draws of the parts."""
    speakers, voices = heard_files(folder, seconds, most, part_s)
    started = time.perf_counter()
    calibration = calibrated(voices)
    calibration_s = time.perf_counter() - started
    counts, scores = counted(speakers, voices, calibration, seconds, draws), calibration[1]
    recall = f"{counts.recall:.1%} of {counts.shared / draws:.1f}" if counts.shared else "none shared"
    return (
        f"| {seconds:g} | {len(speakers)} | {recall} | {counts.rate:.2f} ({counts.alarms} of {counts.different:,}) | {counts.alarmed / draws:.0%} |"
        f" {scores.limit(FALSE_ALARMS):.2f} | {scores.recognised(FALSE_ALARMS):.0%} | {calibration_s:.1f} |"
    )


def held_out(folder: Path, lengths: list[float], draws: int) -> None:
    """Choose the widening of the tail on every other recording, measure on the others, and the other way round.

    Chosen is the least of TAILS at which no length has more than one false alarm in 10,000 pairs.
    """
    heard = {seconds: heard_files(folder, seconds) for seconds in lengths}
    names = sorted({name for speakers, _ in heard.values() for name in speakers})
    halves = [set(names[::2]), set(names[1::2])]

    def of_half(seconds: float, half: set[str], tail: float) -> Counts:
        speakers, voices = heard[seconds]
        chosen = np.isin(speakers, list(half))
        mine = Voices(voices.whole[chosen], voices.halves[chosen])
        return counted(speakers[chosen], mine, calibrated(mine, tail), seconds, draws)

    print(
        "| chosen on | w | seconds | measured on | shared speakers found | false alarms in 10,000 pairs |\n| --- | ---: | ---: | --- | ---: | ---: |"
    )
    for k, half in enumerate(halves):
        tail = next((tail for tail in TAILS if all(of_half(seconds, half, tail).rate <= 1e4 * FALSE_ALARMS for seconds in lengths)), TAILS[-1])
        for seconds in lengths:
            counts = of_half(seconds, halves[1 - k], tail)
            alarms = f"{counts.rate:.2f} ({counts.alarms} of {counts.different:,})"
            print(
                f"| half {k + 1} | {tail:.2f} | {seconds:g} | half {2 - k} | {counts.recall:.1%} of {counts.shared / draws:.1f} | {alarms} |",
                flush=True,
            )


def growth(sizes: list[int]) -> None:
    for size in sizes:
        rng = np.random.default_rng(size)
        halves = rng.normal(size=(size, 1, 192)) + rng.normal(size=(size, 2, 192)) * 0.8
        voices = Voices(unit(halves.mean(axis=1)), unit(halves))
        started = time.perf_counter()
        whole, scores = calibrated(voices)
        pairs, compared = one_voice(whole, scores, 1 + (np.arange(size) % 2), FALSE_ALARMS)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{size:>7,} sources, {compared:>12,} pairs: {time.perf_counter() - started:.1f} s, peak {peak:.0f} MiB, {len(pairs.first)} alarms",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("study", "held-out", "clean"):
        command = commands.add_parser(name)
        command.add_argument("--recordings", type=Path, required=True, help="folder of WAV files of one speaker each")
        command.add_argument("--seconds", type=float, nargs="+", default=[1, 2, 3, 5], help="lengths of the files (default: 1 2 3 5)")
        command.add_argument("--draws", type=int, default=30, help="random parts (default: 30)")
        if name == "study":
            command.add_argument("--heard", type=float, default=math.inf, help="seconds heard of each file, from its beginning (default: all)")
    commands.add_parser("growth").add_argument("sizes", type=int, nargs="+")
    args = parser.parse_args()
    if args.command == "growth":
        growth(args.sizes)
        return
    if reason := not_installed(CAMPPLUS):
        parser.exit(1, f"error: {reason}\n")
    if args.command == "held-out":
        held_out(args.recordings, args.seconds, args.draws)
        return
    print(
        "| seconds | files | shared speakers found | false alarms in 10,000 pairs | draws with any | limit | recognised, predicted | calibration, s |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for seconds in args.seconds:
        if args.command == "clean":
            print(study(args.recordings, seconds, args.draws, 1), flush=True)
        else:
            print(study(args.recordings, seconds, args.draws, None, args.heard), flush=True)


if __name__ == "__main__":
    main()
