"""Where results come from: configuration without secrets, versions, hardware, revision, digests."""

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from earwitness.core.errors import InputError
from earwitness.core.files import sha256_of
from earwitness.tables.columns import column, count, schema, text

REPOSITORY = Path(__file__).resolve().parents[3]

DIGESTS = schema(
    "digests",
    {
        "path": text(means="the file, relative to the working directory", unique=True),
        "sha256": column(str, pa.Check.str_matches("^[0-9a-f]{64}$"), means="SHA-256 of its content"),
        "bytes": count(means="its size", unit="bytes"),
    },
)
"""One row per file that went into or came out of a run."""


def digest_table(paths: Iterable[Path], folder: Path) -> pd.DataFrame:
    """DIGESTS of the files, with paths relative to `folder`.

    Raises InputError where a file is missing.
    """
    rows = []
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: no such file; its digest is part of the provenance")
        name = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
        rows.append({"path": name, "sha256": sha256_of(path), "bytes": path.stat().st_size})
    return pd.DataFrame(rows, columns=list(DIGESTS.columns)).drop_duplicates("path")


def locked_versions(lock: Path) -> dict[str, str]:
    """Package -> version of every `name==version` line of a lock whose marker holds on this machine.

    Lines with options, hashes or comments are skipped. Raises InputError where the lock pins nothing.
    """
    versions: dict[str, str] = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        text = re.split(r"\s#|\s--hash|\s\\", line.strip())[0].rstrip(" \\")
        if "==" not in text or text.startswith(("#", "-")):
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise InputError(f"{lock}: cannot read the line {text!r}; make the lock again") from error
        pins = [part.version for part in requirement.specifier if part.operator == "=="]
        if pins and (requirement.marker is None or requirement.marker.evaluate()):
            versions[canonicalize_name(requirement.name)] = pins[0]
    if not versions:
        raise InputError(f"{lock}: pins no package (name==version); make the lock again")
    return versions


def package_versions(locked: dict[str, str]) -> tuple[dict[str, str], list[dict[str, str | None]]]:
    """Installed versions of the locked packages, and what differs from the lock.

    A local build such as 2.1+cpu counts as 2.1. A locked package that is not installed is a difference with installed None.
    """
    installed: dict[str, str] = {}
    differences: list[dict[str, str | None]] = []
    for name, version in sorted(locked.items()):
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            differences.append({"package": name, "locked": version, "installed": None})
            continue
        if installed[name].partition("+")[0] != version.partition("+")[0]:
            differences.append({"package": name, "locked": version, "installed": installed[name]})
    return installed, differences


def git_state(repository: Path) -> dict[str, Any] | None:
    """Revision, and whether tracked files were edited; None where `repository` is not the root of a git checkout."""
    top = _output(["git", "-C", str(repository), "rev-parse", "--show-toplevel"])
    if not top or Path(top).resolve() != repository.resolve():
        return None
    revision = _output(["git", "-C", str(repository), "rev-parse", "HEAD"])
    edited = _output(["git", "-C", str(repository), "status", "--porcelain", "--untracked-files=no"])
    return {"revision": revision, "dirty": bool(edited)} if revision else None


def describe_run(lock: Path, repository: Path = REPOSITORY) -> dict[str, Any]:
    """What ran: date, git state, Python, packages against the lock, platform, processor, memory (GiB), GPUs."""
    packages, differences = package_versions(locked_versions(lock))
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "git": git_state(repository),
        "python": platform.python_version(),
        "packages": packages,
        "differences_from_lock": differences,
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "gpus": _gpus(),
    }


def _output(command: Sequence[str]) -> str | None:
    """What a program prints, or None where it is missing, fails or hangs."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _gpus() -> list[str]:
    listing = _output(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
    return listing.splitlines() if listing else []
