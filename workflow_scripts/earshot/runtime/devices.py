"""One job, one device, unless it asks for more: leases on visible GPUs, taken before torch is imported."""

import getpass
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

POLL_S = 1.0


@contextmanager
def leased_devices(most: int = 1) -> Iterator[list[str]]:
    """Hold at least one and up to `most` of this machine's visible GPUs for the block, the only ones that torch will see.

    Waits while every visible device is leased to another job of this user. The lock is the operating system's, so a dead
    job's lease is free at once. Under Slurm the scheduler has already assigned devices and nothing is leased; without a
    GPU there is nothing to lease. Call before importing torch.
    Yields the devices' identifiers; none where nothing was leased.
    """
    devices = [] if "SLURM_JOB_ID" in os.environ else visible_devices()
    if not devices:
        yield []
        return
    folder = Path(tempfile.gettempdir()) / f"earshot-devices-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as held:
        while not (leased := _lease(devices, most, folder, held)):
            time.sleep(POLL_S)
        before = os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(leased)
        try:
            yield leased
        finally:
            if before is None:
                del os.environ["CUDA_VISIBLE_DEVICES"]
            else:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def _lease(devices: list[str], most: int, folder: Path, held: ExitStack) -> list[str]:
    """Those of the devices that are free, up to `most`, locked until `held` is closed."""
    leased: list[str] = []
    for device in devices:
        lock = FileLock(folder / f"{device.replace('/', '_')}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        held.callback(lock.release)
        leased.append(device)
        if len(leased) == most:
            break
    return leased


def visible_devices() -> list[str]:
    """Identifiers of the GPUs that this process may use: CUDA_VISIBLE_DEVICES where set, else all of the machine's."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [device.strip() for device in allowed.split(",") if device.strip()]
    try:
        listed = subprocess.run(["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []
    return listed.stdout.split()
