"""Time and memory of making the baseline's stimuli, from synthetic clips.

    PYTHONPATH=workflow_scripts python benchmarks/stimuli.py grid
    PYTHONPATH=workflow_scripts python benchmarks/stimuli.py growth 1000 10000 100000

grid makes the 1,400 stimuli of 70 clips x 20 conditions as the workflow does, in two processes of one shard each, and
prints the time from the start of both to the end of the last. growth makes about as many stimuli of the grid as asked for in
one process of its own, and prints time, peak of memory, and the exponent of the growth from each size to the next.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from earwitness.audio.io import SAMPLE_RATE, encode_flac
from earwitness.audio.window import window_of
from earwitness.config import complete_config
from earwitness.core.randomness import stream
from earwitness.stimuli.design import StimulusDesign, grid, shard_clips
from earwitness.stimuli.mixing import write_shard
from earwitness.tables.audio import AudioTableWriter
from earwitness.tables.clips import CLIPS
from earwitness.tables.columns import LABELS
from earwitness.tables.files import read_table

BATCH = 500
GRID_CLIPS = 70


def design() -> StimulusDesign:
    """The grid of the configuration's defaults."""
    config = complete_config({})
    stimuli, baseline = config["stimuli"], config["baseline"]
    conditions = grid(*(baseline[key] for key in ("durations_ms", "snrs_db", "bands", "rooms")))
    return StimulusDesign(conditions, baseline["noise"], window_of(stimuli | {"normalisation": baseline["normalisation"]}))


def make_clips(path: Path, count: int) -> None:
    """Clips of a second of noise whose level wanders, half of each class, in batches."""
    with AudioTableWriter(path, CLIPS) as writer:
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            rows = pd.DataFrame({"clip_id": [f"clip{number:06d}" for number in numbers], "label": [LABELS[number % 2] for number in numbers]})
            rows = rows.assign(recording_id=rows.clip_id, source_id=rows.clip_id, category="any", start_s=0.0, end_s=1.0, active_fraction=1.0)
            writer.write(rows, [sound(number) for number in numbers], [f"{name}.flac" for name in rows.clip_id])


def sound(number: int) -> bytes:
    """One clip as FLAC."""
    rng = stream(1, "sound", number)
    level = np.interp(np.arange(SAMPLE_RATE), np.linspace(0, SAMPLE_RATE, 12), rng.uniform(0.02, 0.3, 12))
    samples = np.clip(level * rng.standard_normal(SAMPLE_RATE) / 3, -1, 1)
    return encode_flac(samples.astype(np.float32), "PCM_24")


def make_shard(clips: Path, output: Path, shard: int, shards: int) -> None:
    """Make one shard in this process, and print what it took as JSON."""
    started = time.perf_counter()
    mine = shard_clips(read_table(clips, CLIPS).clip_id, shard, shards)
    made = write_shard([clips], output, design(), 1, mine)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "stimuli": made,
                "seconds": time.perf_counter() - started,
                "processor_s": usage.ru_utime + usage.ru_stime,
                "peak_mib": usage.ru_maxrss / 1024,
            }
        )
    )


def start_shard(clips: Path, folder: Path, shard: int, shards: int) -> subprocess.Popen[str]:
    """A process that makes one shard."""
    output = folder / f"shard-{shard}.parquet"
    command = [sys.executable, __file__, "shard", str(clips), str(output), str(shard), str(shards)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def finished(process: subprocess.Popen[str]) -> dict[str, float]:
    """What a process printed."""
    text, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return json.loads(text)


def measure_grid() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clips = folder / "clips.parquet"
        make_clips(clips, GRID_CLIPS)
        started = time.perf_counter()
        results = [finished(process) for process in [start_shard(clips, folder, shard, 2) for shard in range(2)]]
        seconds = time.perf_counter() - started
    print(f"{sum(result['stimuli'] for result in results):,} stimuli in two processes: {seconds:.1f} s from start to end,", end=" ")
    print(" + ".join(f"{result['processor_s']:.1f} s" for result in results), "of processor,", end=" ")
    print(f"at most {max(result['peak_mib'] for result in results):.0f} MiB each")


def growth(sizes: list[int]) -> None:
    before: dict[str, float] | None = None
    per_clip = len(design().conditions)
    for size in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            # Made in a process of its own, whose memory does not count.
            subprocess.run([sys.executable, __file__, "clips", str(folder / "clips.parquet"), str(math.ceil(size / per_clip))], check=True)
            result = finished(start_shard(folder / "clips.parquet", folder, 0, 1))
        milliseconds = 1000 * result["seconds"] / result["stimuli"]
        line = f"{result['stimuli']:>8,} stimuli  {result['seconds']:.1f} s ({result['processor_s']:.1f} s of processor, {milliseconds:.2f} ms each)"
        line += f"  {result['peak_mib']:.0f} MiB"
        if before is not None:
            line += f"  exponent {math.log(result['seconds'] / before['seconds']) / math.log(result['stimuli'] / before['stimuli']):.2f}"
        print(line, flush=True)
        before = result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("grid", help="the 1,400 stimuli of the grid in two processes")
    commands.add_parser("growth", help="time and memory against size").add_argument("sizes", type=int, nargs="+")
    clips = commands.add_parser("clips", help="write a table of clips")
    clips.add_argument("path", type=Path)
    clips.add_argument("count", type=int)
    shard = commands.add_parser("shard", help="one shard, as JSON")
    for name, kind in (("clips", Path), ("output", Path), ("shard", int), ("shards", int)):
        shard.add_argument(name, type=kind)
    args = parser.parse_args()
    if args.command == "grid":
        measure_grid()
    elif args.command == "growth":
        growth(args.sizes)
    elif args.command == "clips":
        make_clips(args.path, args.count)
    else:
        make_shard(args.clips, args.output, args.shard, args.shards)


if __name__ == "__main__":
    main()
