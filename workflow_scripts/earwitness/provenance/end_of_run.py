"""What a person is told at the end of a run: where to look, what it cost, and what did not pass."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from earwitness.core.progress import duration
from earwitness.provenance.run_log import costs_of_jobs
from earwitness.systems import leaks

WORTH_A_LOOK = {
    "the report": "report.html",
    "the detector": "detector/README.md",
    "the published claims": "tables/claims.csv",
    "the audits": "audit/*/report.html",
    "a proposed split": "proposals/*/report.md",
    "the archive": "archive/*.zip",
}
"""What a run makes for people to read -> where, below results/."""

MOST_NAMED = 3


def told_at_the_end(results: Path, started: float) -> list[str]:
    """Lines about what was made since a time (seconds since the epoch): where it is, what it cost, what failed or warns.

    results: the folder of results, in which a run may have made little or nothing; what is older is passed over.
    """
    made = {what: [path for path in sorted(results.glob(where)) if _since(path, started)] for what, where in WORTH_A_LOOK.items()}
    lines = [f"Look at {what}: {_some([str(path) for path in paths])}" for what, paths in made.items() if paths]
    if not lines:
        lines = [f"Made no report; {results / 'README.md'} says where everything is"]
    return [*lines, *_cost(results / "benchmarks", started), *_audits(results / "audit", started), *_left_out(results / "recordings", started)]


def _since(path: Path, started: float) -> bool:
    return path.is_file() and path.stat().st_mtime >= started


def _some(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


def _cost(benchmarks: Path, started: float) -> Iterator[str]:
    """What the jobs of this run took."""
    jobs = list(costs_of_jobs(benchmarks, started))
    measured = [job for job in jobs if job["seconds"]]
    if measured:
        longest = max(measured, key=lambda job: float(job["seconds"]))
        processor = sum(float(job["processor_s"] or 0) for job in measured)
        memory = max(float(job["memory_mib"] or 0) for job in measured)
        name = " ".join(filter(None, (longest["rule"], longest["job"])))
        yield (
            f"It took {duration(processor)} of processor time in {len(jobs)} jobs, and at most {memory:,.0f} MiB of memory in one;"
            f" the longest was {name}, {duration(float(longest['seconds']))}"
        )


def _audits(folder: Path, started: float) -> Iterator[str]:
    """Audits that failed, as expected or not, and what those that passed warn of."""
    for path in sorted(folder.glob("*/certificate.json")):
        if not _since(path, started):
            continue
        certificate, report, name = _record(path), path.with_name("report.html"), path.parent.name
        failed = [check for check in certificate.get("checks", []) if check.get("status") == "fail" and not check.get("waived")]
        errors, warnings = ([f"{c['id']} {c['name']}" for c in failed if c.get("severity") == severity] for severity in ("error", "warn"))
        if certificate.get("status") != "pass":
            words = ", as it should, being divided by row" if leaks(name) else ""
            yield f"The audit of {name} failed{words}: {_some(errors) or 'a check that must run could not'}; see {report}"
        elif warnings:
            yield f"The audit of {name} passed, and warns: {_some(warnings)}; see {report}"


def _record(path: Path) -> Mapping[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _left_out(folder: Path, started: float) -> Iterator[str]:
    """How many audio files cannot be used."""
    for path in sorted(folder.glob("*_audio_check.csv")):
        if _since(path, started):
            with path.open(encoding="utf-8", newline="") as table:
                verdicts = [row["verdict"] for row in csv.DictReader(table)]
            if broken := verdicts.count("broken"):
                yield f"{broken} of {len(verdicts)} audio files of {path.name.removesuffix('_audio_check.csv')} cannot be used; {path} says why"
