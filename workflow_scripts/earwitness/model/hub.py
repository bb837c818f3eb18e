"""Pinned snapshots of models from the Hugging Face hub: weights as safetensors only, and no code."""

import fnmatch
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, get_token, hf_hub_url
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, HTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile

from earwitness.core.errors import InputError
from earwitness.core.files import put_in_place, require_replaceable
from earwitness.core.json_files import TEXT, load_record, record_schema
from earwitness.model.identity import PATTERNS, file_digests
from earwitness.runtime.transfer import Patience, Refused, RemoteFile, checksum_of, fetch, mirrors

SPARE_BYTES = 10**8
"""Room that a download leaves on its disk."""

MANIFEST = "staged.json"
"""Name of the file in a staged folder that says what is in it."""

_STAGED_FILE = record_schema(
    optional={"revision": {"type": ["string", "null"]}},
    place=TEXT,
    url=TEXT,
    checksum=TEXT,
    bytes={"type": ["integer", "null"], "minimum": 0},
    licence={"type": "string"},
)
STAGED = record_schema(files={"type": "array", "items": _STAGED_FILE})
"""JSON schema of that file; for each file: place below the folder, address, digest, size where the server says it, licence, and of a model's files
the revision."""


def staged_list(folder: Path) -> list[dict[str, Any]]:
    """What a staged folder should hold. Raises InputError where it has no list, or the list cannot be read or names a place outside the folder."""
    path, remedy = folder / MANIFEST, "write it again with `stage.py list`"
    files: list[dict[str, Any]] = load_record(path, STAGED, "a list of files to fetch", remedy)["files"]
    for place in (PurePosixPath(file["place"]) for file in files):
        if place.is_absolute() or ".." in place.parts:
            raise InputError(f"{path}: {str(place)!r} leads out of the folder; {remedy}")
    return files


def fetch_snapshot(repository: str, revision: str, folder: Path, section: str, patience: Patience | None = None) -> None:
    """Download what a model needs of `repository` at `revision`; `folder` appears only when all of it is there.

    section: of the configuration, for messages.

    An interrupted download stays in a hidden folder beside it and goes on from its last byte; every file is compared with the digest
    that the hub lists. Files come by plain HTTPS, so that a proxy which blocks the hub's other storage protocols does not matter.
    Raises InputError where the repository or revision does not exist, access is not granted, the hub cannot be reached, the disk has
    no room, there is no model that loads without running code, or `folder` holds what was not made here.
    """
    require_replaceable(folder)
    commit, files = listed(repository, revision, section)
    if "config.json" not in files or not any(name.endswith(".safetensors") for name in files):
        raise InputError(
            f"{section}.repository = {repository}: has no config.json with *.safetensors at {revision}; name another revision or repository"
        )
    partial = folder.with_name(f".{folder.name}-{commit}")
    partial.mkdir(parents=True, exist_ok=True)
    _require_room(partial, list(files.values()), f"{section}.repository = {repository}")
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for name, file in files.items():
        address = hf_hub_url(repository, name, revision=commit)
        try:
            fetch(RemoteFile(address, file.checksum, name, headers, f"{repository}/{name}"), partial / name, patience or Patience())
        except Refused as error:
            if error.status in (401, 403):
                raise _restricted(repository, section) from error
            raise
    put_in_place(partial, folder)


def differences_from_hub(repository: str, revision: str, folder: Path, section: str) -> list[str]:
    """What the files of a folder lack or have otherwise than the hub lists them, in words; nothing where they are the same.

    Weights are compared by the digests that their identity rests on, so they are not read again. Raises InputError where the hub cannot be asked.
    """
    _, files = listed(repository, revision, section)
    digests, found = file_digests(folder), []
    for name, file in files.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.stat().st_size != file.bytes:
            found.append(f"{name} has {path.stat().st_size} bytes of {file.bytes}")
        elif file.checksum not in (f"sha256:{digests[name]}", checksum_of(path, "git-sha1:") if file.checksum.startswith("git") else ""):
            found.append(f"{name} has another content")
    return found


@dataclass(frozen=True)
class Listed:
    """A file as the hub lists it. checksum: "sha256:...", or "git-sha1:..." of small ones."""

    bytes: int
    checksum: str


def listed(repository: str, revision: str, section: str) -> tuple[str, dict[str, Listed]]:
    """The commit that a revision is, and what a model needs of its files, by name: as a staged folder among the mirrors says, or the hub.

    Raises InputError where the repository or revision does not exist, access is not granted, or the hub cannot be reached.
    """
    for mirror in mirrors():
        if staged := _staged(Path(mirror), repository, revision):
            return revision, staged
    api = HfApi()
    try:
        commit = api.model_info(repository, revision=revision).sha or revision
        tree = api.list_repo_tree(repository, revision=commit)
        files = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
    except HFValidationError as error:
        raise InputError(f"{section}.repository = {repository}: not a name on the hub; write OWNER/NAME") from error
    except GatedRepoError as error:
        raise _restricted(repository, section) from error
    except RepositoryNotFoundError as error:
        raise InputError(f"{section}.repository = {repository}: not on the hub, or private; check the name, or run `hf auth login`") from error
    except RevisionNotFoundError as error:
        raise InputError(f"{section}.revision = {revision}: {repository} has none of that name; give a commit, tag or branch") from error
    except (HfHubHTTPError, HTTPError, OSError, ValueError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        what = type(error).__name__ if status is None else f"it answered {status}"
        raise InputError(
            f"{repository}: the hub cannot be reached ({what}); try again, or fetch it elsewhere and set {section}.origin: path and {section}.path"
        ) from error
    needed = [name for name in sorted(files) if any(fnmatch.fnmatch(name, pattern) for pattern in PATTERNS)]
    return commit, {name: Listed(files[name].size, _checksum(files[name])) for name in needed}


def _checksum(file: RepoFile) -> str:
    return f"sha256:{file.lfs.sha256}" if file.lfs else f"git-sha1:{file.blob_id}"


def _staged(folder: Path, repository: str, revision: str) -> dict[str, Listed]:
    """What a staged folder (earwitness.model.staging) has of a model."""
    if not (folder / MANIFEST).is_file():
        return {}
    prefix = f"{repository}/"
    of_model = [item for item in staged_list(folder) if item["place"].startswith(prefix) and item.get("revision") == revision]
    return {item["place"].removeprefix(prefix): Listed(item["bytes"], item["checksum"]) for item in of_model}


def _restricted(repository: str, section: str) -> InputError:
    return InputError(f"{section}.repository = {repository}: access is restricted; accept its terms on the hub, then run `hf auth login`")


def _require_room(partial: Path, files: list[Listed], what: str) -> None:
    """Raise InputError where the disk has no room for what is still to be fetched."""
    there = sum(path.stat().st_size for path in partial.iterdir())
    needed, free = sum(file.bytes for file in files) - there + SPARE_BYTES, shutil.disk_usage(partial).free
    if needed > free:
        raise InputError(f"{what}: needs {needed / 1e9:.1f} GB, and {partial.parent} has room for {free / 1e9:.1f} GB; make room")
