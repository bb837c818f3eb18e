"""Mounts that only a test sees, for full and read-only disks."""

import os
import shutil
import subprocess

import pytest


def in_own_mounts(commands: list[str]) -> subprocess.CompletedProcess[str]:
    """Run shell commands where mounts are private; skip the test where that is not allowed."""
    unshare = ["unshare", "--mount"] + (["--map-root-user", "--user"] if os.geteuid() else [])
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this system does not let tests mount")
    return subprocess.run([*unshare, "bash", "-e", "-c", "\n".join(commands)], capture_output=True, text=True)
