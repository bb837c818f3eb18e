"""What is told at the end of a run: the errors of its programs, its log, and what every job used."""

import csv
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from earwitness.core.files import atomic
from earwitness.core.redaction import redacted

_USED = re.compile(r"^used ([\d.]+) s, (\d+) MiB of memory, (\d+) MiB of GPU memory$", re.MULTILINE)
"""As earwitness.core.usage writes it."""


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


def record_run(snakemake_logs: Iterable[str], logs: Path, folder: Path) -> None:
    """Write run.log, what Snakemake said, and costs.csv, what every job used when it last ran; both differ from run to run."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / "run.log") as temporary:
        temporary.write_text(redacted("".join(_text(Path(log)) for log in snakemake_logs)), encoding="utf-8")
    with atomic(folder / "costs.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, ["rule", "job", "seconds", "memory_mib", "gpu_memory_mib"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(usage_of_jobs(logs))


def usage_of_jobs(logs: Path) -> Iterator[dict[str, str]]:
    """The last use that each log in a folder tells, by rule and job: seconds, memory_mib, gpu_memory_mib."""
    for path in sorted(logs.rglob("*.log")):
        told = _USED.findall(_text(path))
        if told:
            rule, _, job = path.relative_to(logs).with_suffix("").as_posix().partition("/")
            seconds, memory, gpu = told[-1]
            yield {"rule": rule, "job": job, "seconds": seconds, "memory_mib": memory, "gpu_memory_mib": gpu}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
