"""Folders that one job makes, one after the other: none made twice of the same, none half there."""

import json
import shutil
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from earwitness.core.files import atomic_folder, put_in_place, require_replaceable, write_json
from earwitness.runtime.saved_state import SavedState

FINGERPRINT = "fingerprint.json"
"""Name of the file in a folder that holds everything that its content depends on."""


def make_folders(fingerprints: Mapping[Path, Mapping[str, Any]], files: Collection[str], make: Callable[[Path, Path, SavedState], None]) -> None:
    """Make folders, which appear whole when all are made, each with fingerprint.json.

    fingerprints: everything that the content of each folder depends on. files: what a whole folder holds besides. make(temporary, folder, state):
    fills `temporary` with what belongs into `folder`; an interrupted call goes on from `state`.
    A folder of the same fingerprint stays as it is; what an interrupted call has finished waits beside its folder, and is not made again.
    Raises InputError as `require_replaceable` does.
    """
    for folder, fingerprint in fingerprints.items():
        finished = _beside(folder, "finished")
        if _is_made_of(folder, fingerprint, files) or _is_made_of(finished, fingerprint, files):
            print(f"{folder}: made before from the same data, settings, model and code; delete it to make it again", file=sys.stderr)
            continue
        require_replaceable(folder)
        shutil.rmtree(finished, ignore_errors=True)  # of another fingerprint
        resume = SavedState(_beside(folder, "in-progress"), dict(fingerprint))
        with atomic_folder(finished) as temporary:
            make(temporary, folder, resume)
            write_json(temporary / FINGERPRINT, fingerprint)
        resume.remove()
    for folder, fingerprint in fingerprints.items():
        finished = _beside(folder, "finished")
        if _is_made_of(finished, fingerprint, files):
            put_in_place(finished, folder)
        shutil.rmtree(finished, ignore_errors=True)


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f".{folder.name}-{what}")


def _is_made_of(folder: Path, fingerprint: Mapping[str, Any], files: Collection[str]) -> bool:
    """Whether a folder is whole and of a fingerprint."""
    if not all((folder / name).is_file() for name in (*files, FINGERPRINT)):
        return False
    try:
        return bool(json.loads((folder / FINGERPRINT).read_text(encoding="utf-8")) == json.loads(json.dumps(fingerprint)))
    except ValueError:
        return False
