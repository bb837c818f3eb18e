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
from checkout import Checkout

from earwitness.core.files import MADE
from earwitness.core.randomness import stream
from earwitness.model.identity import DIGESTS
from earwitness.provenance.verification import differences_between, results_of

MOMENTS = 20
LONGEST_WAIT_S = 3.0


def names(folder: Path) -> dict[str, Path]:
    """Name -> path of every file under its final name that is the same in every run."""
    made = {f"data/{path.relative_to(folder / 'data')}": path for path in (folder / "data").rglob("*") if path.is_file()}
    made |= {f"results/{name}": path for name, path in results_of(folder / "results").items()}
    return {name: path for name, path in made.items() if not any(part.startswith(".") for part in Path(name).parts)}


def finals(folder: Path) -> dict[str, bytes]:
    """Name -> content of these files."""
    return {name: path.read_bytes() for name, path in names(folder).items()}


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


def started_until(command: list[str], torn: Checkout, n_files: int) -> subprocess.Popen:
    """A workflow that has made as many files and is running a job; where it ends before, its results are removed and it starts again."""
    while True:
        process = subprocess.Popen(command, cwd=torn.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        while process.poll() is None:
            if len(names(torn.folder)) >= n_files and jobs_of(process):
                return process
            time.sleep(0.2)
        assert process.returncode == 0
        torn.remove_results()


@pytest.mark.slow
def test_a_run_killed_at_twenty_moments_ends_with_the_same_bytes(run, tmp_path, capfd):
    """The moments are drawn over the whole run: each kill waits until a drawn share of the files is there, and then some seconds."""
    whole = finals(run.folder)
    torn = run.copy(tmp_path)
    torn.remove_results()
    for part in ("data", ".snakemake"):
        shutil.rmtree(torn.folder / part)
    config = "config/demo.yaml"
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--rerun-incomplete", "--configfile", config]
    draws = stream(20260101, "interruption", "moments")
    for moment, share in enumerate(sorted(draws.uniform(0, 0.95, MOMENTS))):
        torn.snakemake("--unlock", "--configfile", config)
        process = started_until(command, torn, round(share * len(whole)))
        time.sleep(draws.uniform(0, LONGEST_WAIT_S))
        killed = "everything"
        if moment % 2:
            killed = kill_one_job(process, draws)
            process.wait(timeout=900)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        now = finals(torn.folder)
        assert [name for name in now if now[name] != whole.get(name)] == [], f"half-written after {killed} was killed"
        with capfd.disabled():
            print(f"at {share:.0%}: killed {killed}; {len(now)} of {len(whole)} files there", file=sys.stderr)
    torn.snakemake("--unlock", "--configfile", config)
    result = torn.snakemake("--cores", "2", "--rerun-incomplete", "--configfile", config)
    assert result.returncode == 0, result.stdout + result.stderr
    assert finals(torn.folder) == whole
    hidden = [
        path for part in ("results", "data") for path in (torn.folder / part).rglob(".*") if path.name not in (".snakemake_timestamp", DIGESTS, MADE)
    ]
    assert hidden == []


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bytes_on_another_number_of_cores(run, tmp_path):
    """Also that two runs give the same bytes: all but the corpora and the base is made again."""
    again = run.copy(tmp_path)
    again.remove_results()
    shutil.copytree(run.folder / "results/models", again.folder / "results/models")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "config/demo.yaml"]
    process = subprocess.Popen(command, cwd=again.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 300
    while not (again.folder / "results/adapters/base/attention/grouped/seed-42/history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (again.folder / "results/report.html").exists()
    again.snakemake("--unlock", "--configfile", "config/demo.yaml")
    result = again.snakemake("--cores", "3", "--rerun-incomplete", "--configfile", "config/demo.yaml")
    assert result.returncode == 0, result.stdout + result.stderr
    differences, compared = differences_between(run.folder / "results", again.folder / "results")
    assert differences == []
    assert compared > 150
