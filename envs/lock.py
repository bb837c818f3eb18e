"""Resolve requirements*.in into the locks that `make env` installs, and derive the conda environments from them.

python envs/lock.py            resolve (needs the package index), then write the locks and the environments
python envs/lock.py --derive   write the environments again from the locks
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDER = Path(__file__).parent
RUNTIME, DEVELOPMENT = "requirements", "requirements-dev"

CUDA_ONLY = re.compile(r"^(nvidia|cuda|triton)(-|$)")
"""What torch's Linux wheel brings for its own build of CUDA; another platform has no such packages."""

ANALYSIS = [
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "pandera",
    "scikit-learn",
    "gpboost",
    "matplotlib",
    "jinja2",
    "pyyaml",
    "jsonschema",
    "tqdm",
    "filelock",
    "soundfile",
    "soxr",
    "pyroomacoustics",
    "espeakng-loader",
    "onnxruntime",
    "silero-vad",
    "webrtcvad-wheels",
]
GPU = [
    "torch",
    "transformers",
    "huggingface-hub",
    "peft",
    "bitsandbytes",
    "accelerate",
    "safetensors",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "pandera",
    "soundfile",
    "soxr",
    "pyroomacoustics",
    "jsonschema",
    "tqdm",
    "filelock",
]
"""What the rules of each environment import; a package that only one needs never makes the other's jobs run again."""

Pins = dict[str, tuple[str, set[str]]]
"""Name -> version, with the marker of a package that some platforms do without, and the packages that ask for it."""


def resolve(*inputs: Path) -> list[dict[str, Any]]:
    """The metadata of every distribution that pip would install for the requirement files, into an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", str(report)]
        subprocess.run([*command, *(word for path in inputs for word in ("-r", str(path)))], check=True)
        return [item["metadata"] for item in json.loads(report.read_text(encoding="utf-8"))["install"]]


def wanted(path: Path) -> list[Requirement]:
    """The requirements of a file."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def closure(roots: list[Requirement], metadata: list[dict[str, Any]]) -> Pins:
    """The roots and all that they need, with exact public versions; without what only a CUDA build of torch needs."""
    distributions = {canonicalize_name(item["name"]): item for item in metadata}
    pins: Pins = {}
    visited: set[tuple[str, str]] = set()
    todo = [(requirement, "") for requirement in roots]
    while todo:
        requirement, parent = todo.pop()
        name = canonicalize_name(requirement.name)
        if name not in distributions or CUDA_ONLY.match(name):
            continue
        item = distributions[name]
        marker = f"; {requirement.marker}" if requirement.marker and not parent else ""
        _, parents = pins.setdefault(name, (item["version"].split("+")[0] + marker, set()))
        if parent and parent != name:
            parents.add(parent)
        for extra in ("", *requirement.extras):
            if (name, extra) in visited:
                continue
            visited.add((name, extra))
            for child in map(Requirement, item.get("requires_dist", [])):
                if child.marker is None or child.marker.evaluate({"extra": extra}):
                    todo.append((child, name))
    return pins


def lock_text(pins: Pins, source: str) -> str:
    """A requirements file of exact pins, each with the packages that ask for it."""
    header = f"# Generated from {source} by `make lock`; do not edit.\n"
    lines = [f"{name}=={version}" + (f"  # via {', '.join(sorted(parents))}" if parents else "") for name, (version, parents) in sorted(pins.items())]
    return header + "\n".join(lines) + "\n"


def read_lock(path: Path) -> Pins:
    """The pins of a lock that `lock_text` wrote."""
    pins: Pins = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        pin, _, parents = line.partition("  # via ")
        name, version = pin.split("==", 1)
        pins[name] = version, set(parents.split(", ")) if parents else set()
    return pins


def subset(pins: Pins, roots: Iterable[str]) -> Pins:
    """The roots and all that they need, within a lock."""
    names, size = set(roots), 0
    if missing := names - set(pins):
        sys.exit(f"error: not in the lock: {', '.join(sorted(missing))}; add to requirements.in and run `make lock`")
    while len(names) > size:
        size = len(names)
        names |= {name for name, (_, parents) in pins.items() if parents & names}
    return {name: pins[name] for name in names}


def environment_text(pins: Pins) -> str:
    """A conda environment that pip fills with exact pins."""
    header = """\
# Generated from the locks by `make lock`; do not edit.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""
    return header + "".join(f"      - {name}=={version}\n" for name, (version, _) in sorted(pins.items()))


def derived() -> dict[str, str]:
    """File name -> text of every conda environment, from the locks."""
    runtime = read_lock(FOLDER / f"{RUNTIME}.lock")
    everything = {**runtime, **read_lock(FOLDER / f"{DEVELOPMENT}.lock")}
    environments = {"analysis": subset(runtime, ANALYSIS), "gpu": subset(runtime, GPU), "dev": everything}
    return {f"{name}.yaml": environment_text(pins) for name, pins in environments.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--derive", action="store_true", help="only the conda environments, from the locks")
    args = parser.parse_args()
    if not args.derive:
        inputs = [FOLDER / f"{RUNTIME}.in", FOLDER / f"{DEVELOPMENT}.in"]
        metadata = resolve(*inputs)
        runtime = closure(wanted(inputs[0]), metadata)
        development = closure(wanted(inputs[1]), metadata)
        only_development = {name: pin for name, pin in development.items() if name not in runtime}
        (FOLDER / f"{RUNTIME}.lock").write_text(lock_text(runtime, inputs[0].name), encoding="utf-8")
        (FOLDER / f"{DEVELOPMENT}.lock").write_text(lock_text(only_development, inputs[1].name), encoding="utf-8")
    for name, text in derived().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
