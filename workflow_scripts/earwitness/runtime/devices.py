"""One job, one device, unless it asks for more: leases on visible GPUs, taken before torch is imported."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from earwitness.core.errors import InputError
from earwitness.runtime.determinism import reserve_workspace
from earwitness.runtime.threads import let_threads_sleep

POLL_S = 1.0

DRIVER = Path("/proc/driver/nvidia/gpus")
"""Where the driver lists its devices, a folder each."""

SHARE = "EARWITNESS_JOBS_PER_GPU"
"""Environment variable: how many jobs may hold one device at the same time; 1 where it is not set."""


@contextmanager
def leased_devices(most: int = 1) -> Iterator[list[str]]:
    """Hold at least one and up to `most` of this machine's visible GPUs for the block, the only ones that torch will see.

    Waits while every visible device is leased to another job of this user, in the same temporary folder. The lock is the
    operating system's, so a dead job's lease is free at once. Within a Slurm job, leases are taken among the devices that
    Slurm assigned to it, from the other processes of that same job and step only. Without a GPU there is nothing to lease, and where none
    is asked for, torch sees none. Call before importing torch.
    Yields the devices' identifiers; none where nothing was leased.
    Raises InputError where EARWITNESS_JOBS_PER_GPU is not a positive number.
    """
    let_threads_sleep()
    reserve_workspace()
    if most < 1:
        # Asked for, as by --resources gpu=0: to wait for a device would be to wait for ever.
        with _only([]):
            yield []
        return
    devices = visible_devices()
    if not devices:
        yield []
        return
    folder = Path(tempfile.gettempdir()) / f"earwitness-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    locks = _locks(devices, folder)
    with ExitStack() as held:
        while not (leased := _lease(locks, most, held)):
            time.sleep(POLL_S)
        with _only(leased):
            yield leased


@contextmanager
def _only(devices: list[str]) -> Iterator[None]:
    """Let torch see these devices and no other for the block."""
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    try:
        yield
    finally:
        if before is None:
            del os.environ["CUDA_VISIBLE_DEVICES"]
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


def visible_devices() -> list[str]:
    """Identifiers of the GPUs that this process may use: CUDA_VISIBLE_DEVICES where set, as CUDA reads it, else all of the
    machine's."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return list(_machine_devices())
    named = [device.strip() for device in allowed.split(",")]
    # CUDA reads no further than the first name that is none.
    end = next((place for place, device in enumerate(named) if device in ("", "-1", "NoDevFiles")), len(named))
    return named[:end]


def _machine_devices() -> dict[str, str]:
    """Index -> unique identifier of the machine's GPUs."""
    query = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return _driver_devices()
    rows = (line.partition(", ") for line in listed.splitlines())
    return {index: unique for index, comma, unique in rows if comma}


def _driver_devices() -> dict[str, str]:
    """The same as the driver tells it, for machines without nvidia-smi on the path; in the order of the bus, as nvidia-smi's."""
    texts = [path.read_text(errors="replace") for path in sorted(DRIVER.glob("*/information"))]
    names = [line.partition(":")[2].strip() for text in texts for line in text.splitlines() if line.startswith("GPU UUID")]
    return {str(index): name for index, name in enumerate(names)}


def _locks(devices: list[str], folder: Path) -> dict[str, list[Path]]:
    """Device -> its lock files, one for each job that may hold it."""
    share = os.environ.get(SHARE, "1")
    if not share.isdecimal() or not int(share):
        raise InputError(f"{SHARE} = {share}: must be a number of jobs, 1 or more; correct it or unset it")
    names = dict(zip(devices, _lock_names(devices), strict=True))
    return {device: [folder / f"{name.replace('/', '_')}.{slot}.lock" for slot in range(int(share))] for device, name in names.items()}


def _lock_names(devices: list[str]) -> list[str]:
    """One name for each device, whichever of its own names it goes by.

    Slurm may call the first device of every job 0, so there the name holds for one job step only.
    """
    if job := os.environ.get("SLURM_JOB_ID"):
        return [f"slurm-{job}.{os.environ.get('SLURM_STEP_ID', 'batch')}-{device}" for device in devices]
    machine = _machine_devices()
    return [machine.get(device) or next((unique for unique in machine.values() if unique.startswith(device)), device) for device in devices]


def _lease(locks: dict[str, list[Path]], most: int, held: ExitStack) -> list[str]:
    """Those of the devices that are free, up to `most`, locked until `held` is closed."""
    leased: list[str] = []
    for slot in range(max(map(len, locks.values()))):
        for device, paths in locks.items():
            if device in leased or len(leased) == most:
                continue
            lock = FileLock(paths[slot])
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            held.callback(lock.release)
            leased.append(device)
    return leased
