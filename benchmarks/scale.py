"""What the workflow costs as it grows: recordings on disk, through stimuli and features, to the base model's predictions.

    PYTHONPATH=workflow_scripts:tests python benchmarks/scale.py --base data/models/tiny/base 200x1 2000x10 2000x1

Each size is recordings x shards: half speech and half sounds of synthetic noise, two clips of each, 25 stimuli of each clip. Every size
runs in a folder of its own, by Snakemake, one job at a time, on one core. Prints how long a dry run takes, and for each rule its jobs,
time, processor time and the largest memory of any of its processes, the files it left, and what a stimulus costs.
"""

import argparse
import contextlib
import csv
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile
import yaml
from checkout import copy_project

from earwitness.audio.io import SAMPLE_RATE
from earwitness.core.randomness import stream

CLIPS_PER_RECORDING = 2
RECORDING_S = 4.0
POLL_S = 0.1
TARGETS = ["results/stimuli/factorial/index.parquet", "results/predictions/factorial/zeroshot/base.parquet"]


@dataclass
class Usage:
    """What one job took. started, ended: seconds of a clock of its own; processor_s: user and system; peak_mib: the kernel's
    high-water mark of its resident memory."""

    started: float
    ended: float
    processor_s: float = 0.0
    peak_mib: float = 0.0


def write_corpus(folder: Path, recordings: int) -> None:
    """Noise whose level wanders, in the layouts of VoxConverse (the first half) and ESC-50."""
    audio = {name: folder / name / "audio" for name in ("voxconverse", "esc50")}
    for path in audio.values():
        path.mkdir(parents=True)
    rows = []
    for number in range(recordings):
        rng = stream(1, "scale", number)
        points = np.linspace(0, RECORDING_S, 40)
        level = np.interp(np.arange(round(RECORDING_S * SAMPLE_RATE)) / SAMPLE_RATE, points, rng.uniform(0.02, 0.3, len(points)))
        samples = level * np.clip(rng.standard_normal(len(level)) / 3, -1, 1)
        if number < recordings // 2:
            name = f"talk{number:05d}"
            soundfile.write(audio["voxconverse"] / f"{name}.wav", samples, SAMPLE_RATE)
            (folder / f"voxconverse/{name}.rttm").write_text(
                f"SPEAKER {name} 1 0.000 {RECORDING_S:.3f} <NA> <NA> spk00 <NA> <NA>\n", encoding="utf-8"
            )
        else:
            soundfile.write(audio["esc50"] / f"1-{number}-A-10.wav", samples, SAMPLE_RATE)
            rows.append([f"1-{number}-A-10.wav", 1, 10, "rain", True, number, "A"])
    (folder / "esc50/meta").mkdir()
    with (folder / "esc50/meta/esc50.csv").open("w", newline="", encoding="utf-8") as stream_:
        table = csv.writer(stream_)
        table.writerow(["filename", "fold", "target", "category", "esc10", "src_file", "take"])
        table.writerows(rows)


def write_checkout(folder: Path, base: Path, recordings: int, shards: int) -> None:
    """The workflow, its recordings and its settings."""
    copy_project(folder)
    write_corpus(folder / "recordings", recordings)
    settings: dict[str, Any] = {
        "sources": {name: {"origin": "path", "path": f"recordings/{name}"} for name in ("voxconverse", "esc50")} | {"fsd50k": {"origin": "none"}},
        "clips": {"per_source": CLIPS_PER_RECORDING},
        "models": {"base": {"origin": "path", "path": str(base.resolve())}},
        "resources": {"stimulus_shards": shards},
    }
    (folder / "scale.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def snakemake(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--configfile", "scale.yaml", "--cores", "1", *arguments]


def dry_run(folder: Path, repeats: int) -> None:
    """Time the plan of the whole study, down to the report."""
    walls, processors = [], []
    for _ in range(repeats):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        result = subprocess.run(snakemake("--dry-run", "--quiet", "rules"), cwd=folder, capture_output=True, text=True, check=True)
        walls.append(time.perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processors.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    jobs = next(line.split()[1] for line in result.stdout.splitlines() if line.startswith("total"))
    print(f"dry run of the whole study, {jobs} jobs: {statistics.median(walls):.1f} s, {statistics.median(processors):.1f} s of processor", end=" ")
    print(f"(medians of {repeats})", flush=True)


def run(folder: Path) -> dict[str, list[Usage]]:
    """Run the workflow up to the predictions; rule -> what each of its jobs took."""
    jobs: dict[tuple[str, int], Usage] = {}
    with (folder / "snakemake.log").open("w", encoding="utf-8") as log:
        process = psutil.Popen(snakemake(*TARGETS), cwd=folder, stdout=log, stderr=log)
        while process.poll() is None:
            for child in process.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess, IndexError, FileNotFoundError, ProcessLookupError):
                    observe(child, jobs)
            time.sleep(POLL_S)
    if process.returncode:
        sys.exit(f"error: the workflow failed:\n{(folder / 'snakemake.log').read_text(encoding='utf-8')}")
    rules = defaultdict(list)
    for (rule, _), usage in jobs.items():
        rules[rule].append(usage)
    return rules


def observe(process: psutil.Process, jobs: dict[tuple[str, int], Usage]) -> None:
    """Note what a process has taken so far, where it runs one of the workflow's programs."""
    script = Path(process.cmdline()[1])
    if script.parent.name != "workflow_scripts":
        return
    now = time.perf_counter()
    usage = jobs.setdefault((script.stem, process.pid), Usage(now, now))
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    times = process.cpu_times()
    usage.ended, usage.processor_s = now, times.user + times.system
    usage.peak_mib = max(usage.peak_mib, *(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")))


def report(folder: Path, rules: dict[str, list[Usage]], stimuli: int) -> None:
    print("\n| rule | jobs | time | processor | processor per stimulus | largest process |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for rule, jobs in sorted(rules.items(), key=lambda item: min(job.started for job in item[1])):
        wall, processor = sum(job.ended - job.started for job in jobs), sum(job.processor_s for job in jobs)
        peak = max(job.peak_mib for job in jobs)
        print(f"| {rule} | {len(jobs)} | {wall:.0f} s | {processor:.0f} s | {1000 * processor / stimuli:.2f} ms | {peak:.0f} MiB |")
    print("\n| folder | files | size | per stimulus |\n| --- | ---: | ---: | ---: |")
    for part in ("recordings", "results/clips", "results/stimuli", "results/features", "results/predictions", "results/logs", ".snakemake"):
        files = [path for path in (folder / part).rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        print(f"| {part} | {len(files):,} | {size / 1e6:,.1f} MB | {size / stimuli / 1e3:.2f} kB |", flush=True)


def measure(recordings: int, shards: int, base: Path, scratch: Path | None, repeats: int) -> None:
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        write_checkout(folder, base, recordings, shards)
        print(f"\n## {recordings:,} recordings, {shards} shards", flush=True)
        dry_run(folder, repeats)
        started = time.perf_counter()
        rules = run(folder)
        seconds = time.perf_counter() - started
        stimuli = int(subprocess.check_output([sys.executable, "-c", COUNT, str(folder / TARGETS[1])], text=True))
        print(f"{stimuli:,} stimuli answered in {seconds:.0f} s by {sum(map(len, rules.values()))} jobs", flush=True)
        report(folder, rules, stimuli)


COUNT = "import sys, pyarrow.parquet; print(pyarrow.parquet.read_metadata(sys.argv[1]).num_rows)"
"""Counts the rows of a table, in a process of its own, so that this one stays small."""


def size_of(text: str) -> tuple[int, int]:
    """recordings x shards."""
    recordings, _, shards = text.partition("x")
    return int(recordings), int(shards)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=size_of, nargs="+", metavar="RECORDINGSxSHARDS")
    parser.add_argument("--base", type=Path, required=True, help="checkpoint folder of the base model")
    parser.add_argument("--scratch", type=Path, help="where to work, in a folder that is removed; about 4 GB for 100,000 stimuli")
    parser.add_argument("--repeats", type=int, default=3, help="dry runs")
    args = parser.parse_args()
    for recordings, shards in args.sizes:
        measure(recordings, shards, args.base, args.scratch, args.repeats)


if __name__ == "__main__":
    main()
