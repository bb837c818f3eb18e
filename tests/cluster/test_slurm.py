"""The study through a real Slurm by the shipped profile: where jobs run, what becomes of a cancelled one, and the same results."""

import contextlib
import importlib.util
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from checkout import program_of
from private_slurm import Cluster, cluster, obstacle
from small_settings import SMALLEST

PROFILE = "config/profiles/slurm"
RUN_S = 2400
CANCELLED = "train_adapter"
SMALL = SMALLEST | {"sources": {"fsd50k": {"origin": "none"}}, "prompt_search": {"proposers": []}, "detectors": ["energy"]}
NUMBERS = ["results/tables", "results/predictions", "results/splits", "results/audit", "results/stimuli", "results/adapters", "data/models"]

pytestmark = [
    pytest.mark.skipif(obstacle() is not None, reason=str(obstacle())),
    pytest.mark.skipif(importlib.util.find_spec("snakemake_executor_plugin_slurm") is None, reason="no snakemake-executor-plugin-slurm"),
]


@pytest.fixture(scope="module")
def slurm():
    with cluster() as running:
        yield running


@pytest.fixture(scope="module")
def run(slurm, clean_checkout, tmp_path_factory):
    """A finished run, during which one job that trained was cancelled: the checkout, what Snakemake printed, the cancelled job."""
    checkout = clean_checkout.copy(tmp_path_factory.mktemp("slurm"))
    printed = checkout.folder / "snakemake.txt"
    # Only how long to wait for files and news differs from what a user would type.
    quick = ["--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "5"]
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", PROFILE, "--configfile", checkout.overlay(SMALL), *quick]
    cancelled: list[str] = []
    with printed.open("w") as stream:
        process = subprocess.Popen(command, cwd=checkout.folder, env=slurm.environment, stdout=stream, stderr=stream)
        watcher = threading.Thread(target=cancel_one, args=(slurm, printed, process, cancelled))
        watcher.start()
        try:
            returned = process.wait(RUN_S)
        finally:
            process.kill()
            watcher.join()
    assert returned == 0, printed.read_text()[-5000:]
    return checkout, printed.read_text(), cancelled[0]


def cancel_one(slurm: Cluster, printed: Path, process: subprocess.Popen[bytes], cancelled: list[str]) -> None:
    """Cancel the first job that trains an adapter once it runs."""
    while process.poll() is None and not cancelled:
        training = [job for job, rule in submitted(printed.read_text()) if rule == CANCELLED]
        if training and training[0] in slurm.ask("squeue", "-h", "-t", "R", "-o", "%A").split():
            slurm.ask("scancel", training[0])
            cancelled.append(training[0])
        time.sleep(0.5)


def submitted(printed: str) -> list[tuple[str, str]]:
    """Slurm's number and rule, or group and rules, of every job, in order."""
    found = re.findall(r"has been submitted with SLURM jobid (\d+) \(log: \S*?/(?:rule|group)_(\w+)", printed)
    return [(job, program_of(rule)) for job, rule in found]


def test_jobs_that_hold_a_gpu_run_where_the_gpus_are_and_no_others_do(run, slurm):
    checkout, printed, _ = run
    rules = "\n".join(path.read_text() for path in (checkout.folder / "rules").glob("*.smk"))
    holding = {
        name for name, body in re.findall(r"^rule (\w+):\n((?:    .*\n|\n)*)", rules, re.MULTILINE) if re.search(r"^ +gpu=", body, re.MULTILINE)
    } | {"train_adapter", "predict_adapter"}
    nodes = {job["JobId"]: job["NodeList"] for job in slurm.jobs()}
    found = {(any(rule.endswith(name) for name in holding), nodes[job]) for job, rule in submitted(printed)}
    assert found == {(True, "gpu1"), (False, "cpu1")}


def test_a_cancelled_job_is_sent_again_and_its_log_stays(run, slurm):
    checkout, printed, cancelled = run
    states = {job["JobId"]: job["JobState"] for job in slurm.jobs()}
    assert states[cancelled] == "CANCELLED"
    assert {state for job, state in states.items() if job != cancelled} == {"COMPLETED"}
    assert sum(rule == CANCELLED for _, rule in submitted(printed)) == 4 + 1
    logs = [path.stem for path in (checkout.folder / "results/logs/slurm").rglob("*.log")]
    assert logs == [cancelled], "logs of jobs that succeeded are removed"


def test_every_program_left_its_log(run):
    checkout, printed, _ = run
    for rule in {rule for _, rule in submitted(printed) if (checkout.folder / "workflow_scripts" / f"{rule}.py").exists()}:
        logs = checkout.folder / "results/logs"
        assert (logs / f"{rule}.log").exists() or list((logs / rule).glob("*.log")), rule


def test_short_jobs_share_a_slurm_job(run):
    _, printed, _ = run
    names = ("recordings", "stimuli", "indexes", "splits", "features", "detectors", "answers", "tables")
    groups = [rule for _, rule in submitted(printed) if rule.startswith(names)]
    assert len(groups) == len(names)
    assert len(submitted(printed)) < 30


def test_the_results_are_those_of_a_run_without_slurm(run, tmp_path):
    checkout, _, _ = run
    local = checkout.copy(tmp_path)
    subprocess.run(["rm", "-r", "results", "data/models"], cwd=local.folder, check=True)
    result = local.study(str(local.folder / "overlay.yaml"))
    assert result.returncode == 0, result.stdout + result.stderr
    first, second = numbers(checkout.folder), numbers(local.folder)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def numbers(folder: Path) -> dict[str, bytes]:
    """Path -> bytes of everything that a number is in, times excepted."""
    files = [path for part in NUMBERS for path in (folder / part).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name not in (".snakemake_timestamp", "costs.json")}


def test_nothing_of_a_cluster_is_left_behind():
    with cluster() as running:
        folder = running.folder
        assert any(str(folder) in line for line in command_lines())
    assert not folder.exists()
    assert not any(str(folder) in line for line in command_lines())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_cluster_ends_with_the_process_that_started_it(number):
    command = [sys.executable, str(Path(__file__).with_name("private_slurm.py")), "sh", "-c", "echo $SLURM_CONF; sleep 60"]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    configuration = starter.stdout.readline().strip()
    assert any(f"SLURM_CONF={configuration}" in line and "slurmctld" in line for line in command_lines())
    starter.send_signal(number)
    starter.wait()
    deadline = time.monotonic() + 60
    while (left := [line for line in command_lines() if configuration in line and "sleep" not in line]) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert left == []


def command_lines() -> list[str]:
    """Command line and environment of every process."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append((path / "cmdline").read_text() + (path / "environ").read_text())
    return found
