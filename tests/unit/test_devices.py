"""GPU jobs of one machine never share a device. No GPU is needed: the lease only names devices."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from earwitness.runtime import devices
from earwitness.runtime.devices import leased_devices, visible_devices

HOLD = """
import sys, time
from earwitness.core.errors import one_line_errors
from earwitness.runtime.devices import leased_devices

@one_line_errors
def main():
    with leased_devices(int(sys.argv[2])) as devices:
        begun = time.time()
        print(*devices, flush=True)
        time.sleep(float(sys.argv[1]))
        print(begun, time.time(), flush=True)

main()
"""
OURS = ("SLURM_JOB_ID", "SLURM_STEP_ID", "CUDA_VISIBLE_DEVICES", "EARWITNESS_JOBS_PER_GPU")


def start(tmp_path, seconds, most=1, **environment):
    inherited = {name: value for name, value in os.environ.items() if name not in OURS}
    path = os.pathsep.join(["workflow_scripts", inherited.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(seconds), str(most)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**inherited, "TMPDIR": str(tmp_path), "PYTHONPATH": path, **environment},
    )


def held(job):
    """The devices that a job has got; waits for them."""
    return job.stdout.readline().split()


def end(*jobs):
    for job in jobs:
        job.kill()
        job.communicate()


def test_two_jobs_get_two_devices_and_a_third_waits_for_the_first_to_end(tmp_path):
    jobs = [start(tmp_path, 3, CUDA_VISIBLE_DEVICES="4,7") for _ in range(2)]
    assert sorted(held(job)[0] for job in jobs) == ["4", "7"]
    third = start(tmp_path, 0, CUDA_VISIBLE_DEVICES="4,7")
    time.sleep(0.5)
    assert third.poll() is None
    assert held(third)[0] in {"4", "7"}
    assert all(job.wait() == 0 for job in [*jobs, third])


def test_many_jobs_never_hold_one_device_at_the_same_time(tmp_path):
    jobs = [start(tmp_path, 0.3, CUDA_VISIBLE_DEVICES="0,1,2") for _ in range(9)]
    leases = []
    for job in jobs:
        [device] = held(job)
        leases.append((device, *map(float, job.stdout.readline().split())))
        assert job.wait() == 0
    assert {device for device, _, _ in leases} == {"0", "1", "2"}
    for one, other in itertools.pairwise(sorted(leases)):
        assert one[0] != other[0] or one[2] <= other[1]


def test_a_job_that_waits_gets_the_device_of_one_that_is_killed(tmp_path):
    holder = start(tmp_path, 60, CUDA_VISIBLE_DEVICES="0")
    assert held(holder) == ["0"]
    waiting = start(tmp_path, 0, CUDA_VISIBLE_DEVICES="0")
    time.sleep(0.5)
    assert waiting.poll() is None
    os.kill(holder.pid, signal.SIGKILL)
    assert held(waiting) == ["0"]
    end(holder, waiting)


def test_a_job_that_may_use_several_devices_takes_what_is_free(tmp_path):
    first = start(tmp_path, 60, CUDA_VISIBLE_DEVICES="0,1,2")
    assert held(first) == ["0"]
    several = start(tmp_path, 0, most=8, CUDA_VISIBLE_DEVICES="0,1,2")
    assert held(several) == ["1", "2"]
    end(first, several)


def test_a_job_that_asks_for_no_device_waits_for_none_and_shows_none(tmp_path, monkeypatch):
    holder, none = start(tmp_path, 60, CUDA_VISIBLE_DEVICES="0"), start(tmp_path, 0, most=0, CUDA_VISIBLE_DEVICES="0")
    assert held(holder) == ["0"]
    assert none.communicate(timeout=20)[0].startswith("\n") and none.returncode == 0
    end(holder)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with leased_devices(0) as leased:
        assert (leased, os.environ["CUDA_VISIBLE_DEVICES"]) == ([], "")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_devices_are_shared_only_when_told_and_free_ones_go_first(tmp_path):
    environment = {"CUDA_VISIBLE_DEVICES": "0,1", "EARWITNESS_JOBS_PER_GPU": "2"}
    jobs = []
    for expected in (["0"], ["1"]):
        jobs.append(start(tmp_path, 60, **environment))
        assert held(jobs[-1]) == expected
    jobs += [start(tmp_path, 60, **environment) for _ in range(2)]
    assert sorted(held(job)[0] for job in jobs[2:]) == ["0", "1"]
    fifth = start(tmp_path, 0, **environment)
    time.sleep(0.5)
    assert fifth.poll() is None
    end(*jobs, fifth)


@pytest.mark.parametrize("value", ["0", "-1", "two"])
def test_a_wrong_number_of_jobs_per_device_ends_in_one_line(tmp_path, value):
    job = start(tmp_path, 0, CUDA_VISIBLE_DEVICES="0", EARWITNESS_JOBS_PER_GPU=value)
    _, error = job.communicate()
    assert job.returncode != 0
    assert error == f"error: EARWITNESS_JOBS_PER_GPU = {value}: must be a number of jobs, 1 or more; correct it or unset it\n"


def test_processes_of_one_slurm_job_share_out_its_devices(tmp_path):
    jobs = [start(tmp_path, 60, CUDA_VISIBLE_DEVICES="0,1", SLURM_JOB_ID="7") for _ in range(2)]
    assert sorted(held(job)[0] for job in jobs) == ["0", "1"]
    end(*jobs)


def test_slurms_jobs_and_steps_do_not_wait_for_each_other(tmp_path):
    """Where devices are confined, Slurm calls the first one of each of them 0."""
    assigned = [
        {"SLURM_JOB_ID": "7"},
        {"SLURM_JOB_ID": "8"},
        {"SLURM_JOB_ID": "8", "SLURM_STEP_ID": "0"},
        {"SLURM_JOB_ID": "8", "SLURM_STEP_ID": "1"},
    ]
    jobs = [start(tmp_path, 60, CUDA_VISIBLE_DEVICES="0", **environment) for environment in assigned]
    assert [held(job) for job in jobs] == [["0"]] * 4
    end(*jobs)


def machine(folder: Path, listing: str) -> str:
    """A PATH on which nvidia-smi lists these devices."""
    folder.mkdir()
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<EOF\n{listing}\nEOF\n")
    program.chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])


def test_a_device_is_one_whether_called_by_its_index_or_by_its_name(tmp_path):
    path = machine(tmp_path / "bin", "0, GPU-aaaa1\n1, GPU-bbbb2")
    first = start(tmp_path, 60, PATH=path, CUDA_VISIBLE_DEVICES="GPU-aaaa1")
    assert held(first) == ["GPU-aaaa1"]
    second = start(tmp_path, 60, PATH=path)
    assert held(second) == ["1"], "all of the machine's devices are visible, and the first is taken"
    third = start(tmp_path, 0, PATH=path, CUDA_VISIBLE_DEVICES="GPU-bbbb")
    time.sleep(0.5)
    assert third.poll() is None
    end(first, second, third)


@pytest.mark.parametrize(
    ("named", "expected"), [("", []), ("-1", []), ("3", ["3"]), ("1, 0", ["1", "0"]), ("0,-1,1", ["0"]), ("MIG-1/2/3", ["MIG-1/2/3"])]
)
def test_visible_devices_are_those_that_cuda_would_use(monkeypatch, named, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_devices() == expected


@pytest.mark.parametrize("listing", ["", "No devices were found"])
def test_a_machine_without_a_device_has_none_to_lease(tmp_path, listing):
    job = start(tmp_path, 0, PATH=machine(tmp_path / "bin", listing))
    assert held(job) == []
    assert job.wait() == 0


def test_without_nvidia_smi_the_driver_names_the_devices(tmp_path, monkeypatch):
    """Else nothing is leased there, and two jobs land on one device."""
    for bus, name in (("0000:65:00.0", "GPU-bbbb"), ("0000:17:00.0", "GPU-aaaa")):
        (tmp_path / "gpus" / bus).mkdir(parents=True)
        (tmp_path / "gpus" / bus / "information").write_text(f"Model: \t\t Some card\nIRQ:   \t\t 7\nGPU UUID: \t {name}\nDevice Minor: \t 0\n")
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "gpus")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert visible_devices() == ["0", "1"]
    with leased_devices() as leased:
        assert leased == ["0"]
        assert [path.name for path in tmp_path.glob("earwitness-devices-*/*")] == ["GPU-aaaa.0.lock"]


WORKERS = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from earwitness.runtime.workers import end_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        print(*{pool.submit(os.getpid).result() for _ in range(4)}, flush=True)
        pool.submit(time.sleep, 60)
"""


def test_the_workers_of_a_killed_job_end_too(tmp_path):
    """Or they would keep a device that the lease has given to another."""
    script = tmp_path / "job.py"
    script.write_text(WORKERS)
    environment = {**os.environ, "PYTHONPATH": str(Path("workflow_scripts").resolve())}
    job = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment)
    workers = [int(pid) for pid in held(job)]
    assert workers
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    deadline = time.monotonic() + 10
    while (alive := [pid for pid in workers if is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive == []


def is_running(pid):
    """Neither gone nor a zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
