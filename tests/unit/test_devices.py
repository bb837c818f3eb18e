"""GPU jobs of one machine never share a device. No GPU is needed: the lease only names devices."""

import os
import subprocess
import sys
import time

HOLD = """
import sys, time
from earshot.runtime.devices import leased_devices
with leased_devices(int(sys.argv[2])) as devices:
    print(*devices, flush=True)
    time.sleep(float(sys.argv[1]))
"""


def start(tmp_path, seconds, most=1, **environment):
    inherited = {name: value for name, value in os.environ.items() if name not in ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES")}
    path = os.pathsep.join(["workflow_scripts", inherited.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(seconds), str(most)],
        stdout=subprocess.PIPE,
        text=True,
        env={**inherited, "TMPDIR": str(tmp_path), "PYTHONPATH": path, **environment},
    )


def test_two_jobs_get_two_devices_and_a_third_waits_for_the_first_to_end(tmp_path):
    jobs = [start(tmp_path, 3, CUDA_VISIBLE_DEVICES="4,7") for _ in range(2)]
    assert sorted(job.stdout.readline().strip() for job in jobs) == ["4", "7"]
    third = start(tmp_path, 0, CUDA_VISIBLE_DEVICES="4,7")
    time.sleep(0.5)
    assert third.poll() is None
    assert third.stdout.readline().strip() in {"4", "7"}
    assert all(job.wait() == 0 for job in [*jobs, third])


def test_a_killed_job_leaves_no_lease(tmp_path):
    first = start(tmp_path, 60, CUDA_VISIBLE_DEVICES="0")
    assert first.stdout.readline().strip() == "0"
    first.kill()
    first.wait()
    second = start(tmp_path, 0, CUDA_VISIBLE_DEVICES="0")
    assert second.stdout.readline().strip() == "0"
    assert second.wait() == 0


def test_slurms_assignment_and_machines_without_a_gpu_are_left_alone(tmp_path):
    for environment in ({"SLURM_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": ""}):
        job = start(tmp_path, 0, **environment)
        assert job.stdout.readline().strip() == ""
        assert job.wait() == 0


def test_a_job_that_may_use_several_devices_takes_what_is_free(tmp_path):
    first = start(tmp_path, 3, CUDA_VISIBLE_DEVICES="0,1,2")
    assert first.stdout.readline().strip() == "0"
    several = start(tmp_path, 0, most=8, CUDA_VISIBLE_DEVICES="0,1,2")
    assert several.stdout.readline().split() == ["1", "2"]
    assert first.wait() == several.wait() == 0
