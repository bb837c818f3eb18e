"""Everything that a study fetches: listed with address, size, digest and licence before it is, and fetched or verified in one folder.

A staged folder holds data sets' archives under their names, models' files under OWNER/NAME/, and a list of both. Named in EARWITNESS_MIRRORS,
it is what downloads are taken from (earwitness.runtime.transfer), so that a machine without a network runs the same study.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import get_token, hf_hub_url

from earwitness.core.errors import InputError
from earwitness.core.files import write_json
from earwitness.corpora.downloads import Archive
from earwitness.model.hub import MANIFEST, SPARE_BYTES, listed, staged_list
from earwitness.plan.models import Models
from earwitness.plan.study import Plan
from earwitness.runtime.transfer import Patience, RemoteFile, checksum_of, fetch, length_of


@dataclass(frozen=True)
class StagedFile:
    """A file to fetch. place: below the folder; bytes: None where the server does not say; revision: of a model's files, else None."""

    place: str
    url: str
    checksum: str
    bytes: int | None
    licence: str
    revision: str | None = None


def files_to_fetch(config: Mapping[str, Any]) -> list[StagedFile]:
    """What a completed configuration fetches: data sets of origin download, models of origin hub.

    Servers are asked for sizes, and the hub for what a repository holds. Raises InputError where the hub cannot be asked.
    """
    files = []
    for source in config["sources"].values():
        if source["origin"] == "download":
            archives = [Archive(**archive) for archive in source["archives"]]
            files += [StagedFile(archive.name, archive.url, archive.checksum, length_of(archive.url), source["licence"]) for archive in archives]
    models = Models.of(Plan(dict(config)))
    for model in models.from_hub:
        source = models.hub_source(model)
        repository, revision = source["repository"], source["revision"]
        commit, held = listed(repository, revision, source["section"])
        licence = config["models"][model]["licence"] if model in config["models"] else f"see https://huggingface.co/{repository}"
        files += [
            StagedFile(f"{repository}/{name}", hf_hub_url(repository, name, revision=commit), file.checksum, file.bytes, licence, revision)
            for name, file in held.items()
        ]
    return files


def write_list(files: Sequence[StagedFile], folder: Path) -> None:
    """Write the list of a staged folder."""
    write_json(folder / MANIFEST, {"files": list(map(asdict, files))})


def read_list(folder: Path) -> list[StagedFile]:
    """The list of a staged folder; raises InputError where it is missing or cannot be read."""
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{folder}: no {MANIFEST}; write it with `stage.py list` on a machine with a network")
    return [StagedFile(**file) for file in staged_list(folder)]


def fetch_all(files: Sequence[StagedFile], folder: Path, patience: Patience | None = None) -> None:
    """Fetch what is not there yet. Raises InputError where there is no room for all of it, or a file cannot be had."""
    missing = [file for file in files if not (folder / file.place).is_file()]
    needed, free = sum(file.bytes or 0 for file in missing) + SPARE_BYTES, shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(f"{folder}: needs {needed / 1e9:.1f} GB more, and its disk has room for {free / 1e9:.1f} GB; make room")
    token = get_token()
    for file in files:
        headers = {"Authorization": f"Bearer {token}"} if token and file.revision else {}
        fetch(RemoteFile(file.url, file.checksum, file.place, headers, file.place), folder / file.place, patience or Patience())


def faults(files: Sequence[StagedFile], folder: Path) -> list[str]:
    """What is missing from a staged folder or has another content, in words."""
    found = []
    for file in files:
        path = folder / file.place
        if not path.is_file():
            found.append(f"{file.place} is missing")
        elif file.bytes is not None and path.stat().st_size != file.bytes:
            found.append(f"{file.place} has {path.stat().st_size} bytes of {file.bytes}")
        elif checksum_of(path, file.checksum) != file.checksum:
            found.append(f"{file.place} has another content")
    return found
