"""The published study at its published sizes through Snakemake, by models with random weights: wall clock, what each rule took, GPU use.

Makes a base and a writer in a folder, unless they are there, and runs benchmarks/published_sizes.yaml in this checkout, whose results it
replaces. With random weights the answers mean nothing; the time and memory do not depend on what the weights are, but for the writer,
which never ends a text: its requests take the longest that they can. Prints Markdown tables.
"""

import argparse
import csv
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SAMPLE_MS = 500
QUERY = ["nvidia-smi", "--query-gpu=index,utilization.gpu,memory.used", "--format=csv,noheader,nounits", f"--loop-ms={SAMPLE_MS}"]


@dataclass(frozen=True)
class Sample:
    """One GPU. at: seconds since the epoch; busy: share of its time, in percent; used_mib: of its memory."""

    at: float
    busy: float
    used_mib: float


@contextmanager
def gpu_samples(gpus: int) -> Iterator[list[Sample]]:
    """What the first of the GPUs do meanwhile; nothing without one."""
    samples: list[Sample] = []
    if shutil.which(QUERY[0]) is None:
        yield samples
        return
    with tempfile.TemporaryFile("w+") as printed:
        started = time.time()
        process = subprocess.Popen(QUERY, stdout=printed)
        try:
            yield samples
        finally:
            process.terminate()
            process.wait()
            printed.seek(0)
            rows = [row for row in csv.reader(printed) if len(row) == 3 and int(row[0]) < gpus]
            step = (time.time() - started) / max(1, len(rows))
            samples += [Sample(started + place * step, float(busy), float(used)) for place, (_, busy, used) in enumerate(rows)]


def stand_in(folder: Path, part: str, size: str, ranks: Path | None) -> None:
    if (folder / "config.json").is_file():
        return
    command = [sys.executable, ROOT / "workflow_scripts/make_stand_in.py", folder, "--part", part, "--size", size]
    started = time.time()
    subprocess.run([*map(str, command), *(["--ranks", str(ranks)] if ranks else [])], check=True)
    print(f"{part} made in {time.time() - started:.0f} s", flush=True)


def with_compiled(folder: Path) -> dict[str, str]:
    """This environment, where Python finds its packages compiled in a folder, and keeps what it compiles there.

    A machine may have packages that nobody compiled, and may be told to keep nothing (PYTHONDONTWRITEBYTECODE): then every program compiles all
    that it imports, torch and transformers too, which takes longer than all else that it does before it works.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": str(folder)}
    places = [path for path in sys.path if Path(path).is_dir()]
    started = time.time()
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-j", "0", *places], env=environment, stdout=subprocess.DEVNULL, check=False)
    print(f"Packages compiled in {time.time() - started:.0f} s", flush=True)
    return environment


def run(settings: Path, cores: str, gpus: int, jobs_per_gpu: int, targets: list[str], limit: float | None) -> tuple[float, list[Sample]]:
    """Seconds of the whole run on the first of the GPUs, and what those did; a run that takes longer than `limit` is interrupted."""
    config = [str(ROOT / "benchmarks/published_sizes.yaml"), str(settings)]
    limits = ["--cores", cores, "--resources", f"gpu={gpus * jobs_per_gpu}"]
    command = [sys.executable, "-m", "snakemake", *limits, "--quiet", "rules", "--rerun-incomplete"]
    environment = with_compiled(settings.parent / "compiled")
    environment |= {"EARWITNESS_JOBS_PER_GPU": str(jobs_per_gpu), "CUDA_VISIBLE_DEVICES": ",".join(map(str, range(gpus)))}
    with gpu_samples(gpus) as samples:
        started = time.time()
        process = subprocess.Popen([*command, "--configfile", *config, "--", *targets], cwd=ROOT, env=environment, start_new_session=True)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
            process.wait()
        elapsed = time.time() - started
    print(f"Snakemake ended with {process.returncode}", flush=True)
    return elapsed, samples


def job_table(started: float, samples: list[Sample]) -> None:
    """Every rule's jobs, and how busy the GPUs were while they were at work."""
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for path in sorted((ROOT / "results/benchmarks").rglob("*.tsv")):
        if path.stat().st_mtime >= started:
            rule = path.relative_to(ROOT / "results/benchmarks").with_suffix("").parts[0]
            found[rule].append((path.stat().st_mtime, *_seconds(path)))
    print("\n| rule | jobs | wall s | processor s | GPU busy % | GPU MiB at most |\n| --- | ---: | ---: | ---: | ---: | ---: |")
    for rule, jobs in sorted(found.items(), key=lambda item: -sum(wall for _, wall, _ in item[1])):
        during = [sample for sample in samples if any(end - wall <= sample.at <= end for end, wall, _ in jobs)]
        busy = f"{sum(sample.busy for sample in during) / len(during):.0f}" if during else ""
        most = f"{max(sample.used_mib for sample in during):.0f}" if during else ""
        print(f"| {rule} | {len(jobs)} | {sum(wall for _, wall, _ in jobs):.1f} | {sum(cpu for *_, cpu in jobs):.1f} | {busy} | {most} |")


def _seconds(path: Path) -> tuple[float, float]:
    """Wall clock and processor time of a job; 0 where it was too short to be measured."""
    row = list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))[-1]
    return float(row["s"]), float(row["cpu_time"]) if row["cpu_time"] not in ("NA", "-", "") else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the two models are, or will be")
    parser.add_argument("--size", choices=["full", "small"], default="full", help="small: a few million weights, to see on a CPU that it runs")
    parser.add_argument("--ranks", type=Path, help="see make_stand_in.py")
    parser.add_argument("--cores", default="all")
    parser.add_argument("--gpus", type=int, default=1, help="how many GPUs the study may use")
    parser.add_argument("--jobs-per-gpu", type=int, default=1, help="how many jobs may hold a GPU at the same time")
    parser.add_argument("--limit", type=float, help="seconds after which the run is interrupted")
    parser.add_argument("--targets", nargs="*", default=[], help="of Snakemake; without any, the whole study")
    args = parser.parse_args()

    for part in ("base", "writer"):
        stand_in(args.folder / part, part, args.size, args.ranks)
    quantisation = "nf4" if args.size == "full" else "none"
    settings = args.folder / "settings.yaml"
    base, writer = (str((args.folder / part).resolve()) for part in ("base", "writer"))
    settings.write_text(
        yaml.safe_dump(
            {
                "models": {"base": {"path": base, "quantisation": quantisation}},
                "prompt_search": {"opro": {"path": writer, "quantisation": quantisation}},
            }
        )
    )
    started = time.time()
    elapsed, samples = run(settings, args.cores, args.gpus, args.jobs_per_gpu, args.targets, args.limit)
    print(f"\nThe study took {elapsed:.0f} s.")
    if samples:
        print(
            f"{args.gpus} GPU{'s' * (args.gpus > 1)}: busy {sum(sample.busy for sample in samples) / len(samples):.0f} % of that time, and at most "
            f"{max(sample.used_mib for sample in samples):.0f} MiB in use on one."
        )
    job_table(started, samples)


if __name__ == "__main__":
    main()
