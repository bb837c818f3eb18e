"""Which model a folder holds: one SHA-256 over its files, computed once and known by all that is made with the model."""

import contextlib
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earwitness.core.errors import InputError
from earwitness.core.files import atomic, sha256_of
from earwitness.core.json_files import COUNT, DIGEST, TEXT, load_record, record_schema
from earwitness.model.checkpoint import read_config, verify_checkpoint

PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.jinja")
"""Files that decide what a model computes: weights, configuration, tokenizer, audio processor and chat template."""

DIGESTS = ".earwitness-sha256"
"""Name of the file in a model's folder that keeps the digests of the others, with their sizes and dates of change."""

TOLD_FROM_BYTES = 10**9
"""What takes seconds to read is announced."""

IDENTITY = record_schema(name=TEXT, revision={"type": ["string", "null"]}, model_type=TEXT, sha256=DIGEST, bytes=COUNT)
"""JSON schema of a model's identity. name, revision: where people find the model; model_type: of its config.json;
sha256, bytes: of its files."""


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk. sha256: its identity, see `model_digest`."""

    path: Path
    sha256: str


def model_files(folder: Path) -> list[Path]:
    """The files of a model's folder that its identity is made of, sorted by name.

    Raises InputError where the folder has no weights.
    """
    paths = sorted(path for pattern in PATTERNS for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("."))
    if not any(path.suffix == ".safetensors" for path in paths):
        raise InputError(f"{folder}: no model here (no *.safetensors); name the folder of a model")
    return paths


def half_files(folder: Path) -> list[Path]:
    """The files of a folder that holds a half of an assembled base; raises InputError where there is no such folder."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; set encoder.path and language_model.path of its model to folders of models")
    return [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]


def model_digest(folder: Path) -> str:
    """SHA-256 over the names and SHA-256s of a model's files; raises InputError where the folder has no weights."""
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in file_digests(folder).items()).encode()).hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each of a model's files, sorted by name.

    A file's digest is computed once and then looked up by its name, size and dates of change, in DIGESTS in the folder or, where that
    cannot be written to, in the user's cache (XDG_CACHE_HOME or ~/.cache). Where neither can be, every call reads all files.
    Raises InputError where the folder has no weights.
    """
    kept = _kept_digests(folder)
    paths = {_state_of(path): path for path in model_files(folder)}
    unknown = sum(path.stat().st_size for state, path in paths.items() if state not in kept)
    if unknown > TOLD_FROM_BYTES:
        print(f"{folder}: reading {unknown / 1e9:.1f} GB once, to tell which model it is", file=sys.stderr, flush=True)
    digests = {state: kept.get(state) or sha256_of(path) for state, path in paths.items()}
    if not digests.items() <= kept.items():
        _keep_digests(folder, digests)
    return {path.name: digests[state] for state, path in paths.items()}


def identify_model(folder: Path, name: str, revision: str | None) -> dict[str, Any]:
    """The identity (IDENTITY) of the model in a folder; name, revision: where others find it. Raises InputError where it is not whole."""
    verify_checkpoint(folder)
    kind = read_config(folder).get("model_type")
    if not isinstance(kind, str) or not kind:
        raise InputError(f"{folder}: a model of type {kind!r}, says config.json; fetch or copy the model's files again")
    size = sum(path.stat().st_size for path in model_files(folder))
    return {"name": name, "revision": revision, "model_type": kind, "sha256": model_digest(folder), "bytes": size}


def load_identity(path: Path) -> dict[str, Any]:
    """Read an identity that identify_model wrote; raises InputError where it is missing or none."""
    return load_record(path, IDENTITY, "a model's identity", "run identify_model again")


def identified(folder: Path) -> ModelFolder:
    """A folder with the identity that its files have; raises InputError where it holds no whole model."""
    verify_checkpoint(folder)
    return ModelFolder(folder, model_digest(folder))


def recorded(folder: Path, identity: Path) -> ModelFolder:
    """A folder with the identity that was recorded of it.

    Nothing is read but the sizes and heads of its files, and those files whose digest was kept and that have changed since.
    Raises InputError where the folder holds no whole model, or is not what was recorded.
    """
    verify_checkpoint(folder)
    content = load_identity(identity)
    size = sum(path.stat().st_size for path in model_files(folder))
    if size != content["bytes"] or (_kept_digests(folder) and model_digest(folder) != content["sha256"]):
        raise InputError(f"{folder}: not the model that {identity} was made of; run identify_model again, and then all that uses the model")
    return ModelFolder(folder, content["sha256"])


def given(folder: Path, identity: Path | None) -> ModelFolder:
    """`recorded` where there is a record, else `identified`; raises as these do."""
    return identified(folder) if identity is None else recorded(folder, identity)


BASE_OF_ADAPTER = "base.json"
"""Name of the file in an adapter's folder that holds the identity of the base that it was trained on."""


def verify_base_of(adapter: Path, base: ModelFolder) -> None:
    """Raise InputError unless the adapter of a folder was trained on this base."""
    trained_on = load_record(adapter / BASE_OF_ADAPTER, IDENTITY, "the identity of an adapter's base", "train the adapter again")
    if trained_on["sha256"] != base.sha256:
        raise InputError(f"{base.path}: not the base that the adapter in {adapter} was trained on ({trained_on['name']}); use that, or train again")


def _state_of(path: Path) -> str:
    """A file's name, size in bytes, and dates of its last change in nanoseconds: its own, and the system's, which nobody sets back."""
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def places_beside(folder: Path, name: str) -> list[Path]:
    """Where something of this name may be kept of a model's folder, the first that can be written to: in it, or in the user's cache."""
    places = [folder / name]
    with contextlib.suppress(RuntimeError):  # A user without a home.
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
        place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()
        places.append(cache / "earwitness" / (place if name == DIGESTS else f"{place}{name}"))
    return places


def _kept_digests(folder: Path) -> dict[str, str]:
    """State of a file -> its SHA-256."""
    kept: dict[str, str] = {}
    for place in places_beside(folder, DIGESTS):
        try:
            kept |= json.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            continue
    return kept


def _keep_digests(folder: Path, digests: dict[str, str]) -> None:
    for place in places_beside(folder, DIGESTS):
        try:
            with atomic(place) as temporary:
                temporary.write_text(json.dumps(digests, indent=1), encoding="utf-8")
        except OSError:
            continue
        return
    print(f"{folder}: cannot be written to, nor can the user's cache; the model's files are read again next time", file=sys.stderr)
