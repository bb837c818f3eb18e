"""Killed at random moments, resumed, and in the end the same bytes."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from earshot.randomness import stream

MOMENTS = 20
LONGEST_WAIT_S = 40.0
VARIABLE = ("results/logs", "results/provenance", "results/report.html", "data/README.md")
"""What differs between two runs by intent: dates, times, and what shows them."""


def finals(folder: Path) -> dict[str, bytes]:
    """Path -> content of every file under its final name that is the same in every run."""
    files = [path for part in ("data", "results") for path in (folder / part).rglob("*") if path.is_file()]
    names = {path.relative_to(folder): path for path in files}
    return {str(name): path.read_bytes() for name, path in names.items() if not any(part.startswith(".") for part in name.parts) and not varies(name)}


def varies(name: Path) -> bool:
    return name.name == "costs.json" or any(name == Path(part) or Path(part) in name.parents for part in VARIABLE)


def jobs_of(process: subprocess.Popen) -> list[psutil.Process]:
    """The programs of the project that a workflow runs now."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            command = child.cmdline()
        except psutil.Error:
            continue
        if len(command) > 1 and command[1].startswith("workflow_scripts/"):
            found.append(child)
    return found


def kill_one_job(process: subprocess.Popen, draws) -> str:
    jobs = jobs_of(process)
    if not jobs:
        return "no job"
    job = jobs[draws.integers(len(jobs))]
    name = Path(job.cmdline()[1]).stem
    job.kill()
    return name


@pytest.mark.slow
def test_a_run_killed_at_twenty_moments_ends_with_the_same_bytes(run, tmp_path, capfd):
    whole = finals(run.folder)
    torn = run.copy(tmp_path)
    for part in ("results", "data", ".snakemake"):
        shutil.rmtree(torn.folder / part, ignore_errors=True)
    config = str(torn.folder / "overlay.yaml")
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--rerun-incomplete", "--configfile", config]
    draws = stream(20260101, "interruption", "moments")
    killed = []
    while len(killed) < MOMENTS:
        torn.snakemake("--unlock", "--configfile", config)
        process = subprocess.Popen(command, cwd=torn.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 120
        while not jobs_of(process) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(draws.uniform(0, LONGEST_WAIT_S))
        if process.poll() == 0:
            shutil.rmtree(torn.folder / "results")
            continue
        if len(killed) % 2:
            killed.append(kill_one_job(process, draws))
            process.wait(timeout=600)
        else:
            killed.append("everything")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        now = finals(torn.folder)
        assert [name for name in now if now[name] != whole.get(name)] == [], f"half-written after {killed}"
        with capfd.disabled():
            print(f"killed {killed[-1]}: {len(now)} of {len(whole)} files there", file=sys.stderr)
    torn.snakemake("--unlock", "--configfile", config)
    result = torn.snakemake("--cores", "2", "--rerun-incomplete", "--configfile", config)
    assert result.returncode == 0, result.stdout + result.stderr
    assert finals(torn.folder) == whole
    hidden = [path for part in ("results", "data") for path in (torn.folder / part).rglob(".*") if path.name != ".snakemake_timestamp"]
    assert hidden == []
