"""What is kept of a run: the errors of its programs, its log, and what every job cost."""

import csv
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from earwitness.core.files import atomic
from earwitness.core.redaction import redacted

_MEASURED = {"seconds": "s", "processor_s": "cpu_time", "memory_mib": "max_rss"}
"""Column of costs.csv -> column of Snakemake's benchmark files."""


def errors_since(logs: Path, started: float) -> list[str]:
    """The one-line errors that programs ended their logs with after a time (seconds since the epoch)."""
    errors = []
    for path in sorted(logs.rglob("*.log")):
        if path.stat().st_mtime >= started:
            lines = _text(path).splitlines()
            errors += [f"{line} ({path})" for line in lines[-1:] if line.startswith("error: ")]
    # On a full disk the programs' own words do not reach their logs.
    if not errors and shutil.disk_usage(".").free < 2**20:
        errors.append(f"error: {Path.cwd()}: No space left on device; make room, or work on another disk")
    return errors


def record_run(snakemake_logs: Iterable[str], benchmarks: Path, folder: Path) -> None:
    """Write run.log, what Snakemake said, and costs.csv, what every job cost when it last ran; both differ from run to run."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / "run.log") as temporary:
        temporary.write_text(redacted("".join(_text(Path(log)) for log in snakemake_logs)), encoding="utf-8")
    with atomic(folder / "costs.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, ["rule", "job", *_MEASURED], lineterminator="\n")
        writer.writeheader()
        writer.writerows(costs_of_jobs(benchmarks))


def costs_of_jobs(benchmarks: Path, started: float = 0.0) -> Iterator[dict[str, str]]:
    """Rule, job, seconds, processor_s and memory_mib (the peak of all its processes together) of every benchmark in a folder.

    benchmarks: holds RULE.tsv or RULE/JOB.tsv as Snakemake writes them; those older than `started` (seconds since the epoch) are passed
    over. Empty where a job was too short to be measured.
    """
    for path in sorted(path for path in benchmarks.rglob("*.tsv") if path.stat().st_mtime >= started):
        rule, _, job = path.relative_to(benchmarks).with_suffix("").as_posix().partition("/")
        for row in list(csv.DictReader(_text(path).splitlines(), delimiter="\t"))[-1:]:
            measured = {column: row[name] for column, name in _MEASURED.items()}
            yield {"rule": rule, "job": job} | {column: value if value not in ("NA", "-") else "" for column, value in measured.items()}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
