"""Results as one RO-Crate: a zip of files with their description in JSON-LD.

After the RO-Crate metadata specification 1.1 (https://w3id.org/ro/crate/1.1): a metadata descriptor, a root data entity with
name, description, datePublished and licence, and one File entity per file, each linked from the root's hasPart.
"""

import json
import mimetypes
import shutil
import urllib.parse
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earwitness.core.errors import InputError
from earwitness.core.files import atomic, sha256_of

METADATA = "ro-crate-metadata.json"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "https://w3id.org/ro/crate/1.1"
FORMATS = {".parquet": "application/vnd.apache.parquet", ".safetensors": "application/octet-stream", ".lock": "text/plain", ".log": "text/plain"}


def describe_crate(
    files: Mapping[str, Path], settings: Mapping[str, Any], run: Mapping[str, Any], sources: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The crate's metadata.

    files: name in the crate -> file. settings: the configuration's `archive`. run: provenance/run.json. sources: data sets
    that were used, each with its origin and, where known, its licence.
    """
    authors = [
        {"@id": author.get("orcid") or f"#author-{number}", "@type": "Person", "name": author["name"]}
        | ({"affiliation": author["affiliation"]} if "affiliation" in author else {})
        for number, author in enumerate(settings["authors"], start=1)
    ]
    used = [
        {"@id": f"#{name}", "@type": "Dataset", "name": name, "description": f"recordings, origin: {source['origin']}"}
        | ({"license": source["licence"]} if source.get("licence") else {})
        for name, source in sorted(sources.items())
    ]
    revision = (run.get("git") or {}).get("revision", "unknown")
    software = {
        "@id": "#earwitness",
        "@type": "SoftwareApplication",
        "name": "Earwitness",
        "version": revision,
        "license": "https://spdx.org/licenses/MIT",
    }
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": "Run of the workflow",
        "endTime": run["date"],
        "instrument": reference(software),
        "object": [reference(entity) for entity in used],
        "result": [{"@id": "./"}],
    }
    licence = {"@id": settings["licence"], "@type": "CreativeWork", "name": settings["licence"]}
    entities = [file_entity(name, path) for name, path in sorted(files.items())]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": settings["name"],
        "description": settings["description"],
        "datePublished": run["date"],
        "license": reference(licence),
        "hasPart": [reference(entity) for entity in entities],
        "mentions": [reference(action)],
    } | ({"author": [reference(author) for author in authors]} if authors else {})
    descriptor = {"@id": METADATA, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": {"@id": PROFILE}}
    return {"@context": CONTEXT, "@graph": [descriptor, root, licence, software, action, *authors, *used, *entities]}


def reference(entity: Mapping[str, Any]) -> dict[str, str]:
    return {"@id": entity["@id"]}


def file_entity(name: str, path: Path) -> dict[str, Any]:
    """A file's entity; its name is percent-encoded where it is no plain address."""
    kind = FORMATS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return {
        "@id": quoted(name),
        "@type": "File",
        "name": name,
        "encodingFormat": kind,
        "contentSize": str(path.stat().st_size),
        "sha256": sha256_of(path),
    }


def quoted(name: str) -> str:
    """A relative address of a file in the crate."""
    return urllib.parse.quote(name)


def write_crate(path: Path, files: Mapping[str, Path], metadata: Mapping[str, Any]) -> None:
    """Write the zip, atomically; the same files and metadata give the same bytes."""
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as crate:
        crate.writestr(zipfile.ZipInfo(METADATA), json.dumps(metadata, indent=2, ensure_ascii=False) + "\n", zipfile.ZIP_DEFLATED)
        for name, file in sorted(files.items()):
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with file.open("rb") as source, crate.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)


def crate_names(paths: Sequence[Path], folder: Path) -> dict[str, Path]:
    """Name below `folder` -> file.

    Raises InputError where a file is missing or lies elsewhere.
    """
    names = {}
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: no such file; finish the run before archiving it")
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{path}: lies outside {folder}; an archive holds files below it only")
        names[path.resolve().relative_to(folder.resolve()).as_posix()] = path
    return names
