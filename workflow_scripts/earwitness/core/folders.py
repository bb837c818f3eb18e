"""Which files a folder holds: decided once for every reader."""

import os
from collections.abc import Collection
from pathlib import Path

from earwitness.core.errors import InputError

OF_THE_DISK = ("lost+found", "System Volume Information", "$RECYCLE.BIN")
"""Folders that a file system keeps for itself at its top, and lets nobody open."""

AUDIO_SUFFIXES = (
    ".wav", ".wave", ".bwf", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64", ".sph",
    # These cannot be decoded here. They are listed and told: a recording that is passed over without a word counts as heard.
    ".m4a", ".aac", ".wma", ".webm", ".mka", ".amr", ".3gp", ".ac3", ".ape", ".wv",
)  # fmt: skip
"""Names of recordings in a folder, in any case; what a file is, its content says."""


def files_below(folder: Path, suffixes: Collection[str], nested: bool = True, any_name: bool = False) -> list[Path]:
    """Every file with one of the suffixes (lower case, any case on disk), in the folder or anywhere below it, sorted.

    Files and folders whose name starts with a dot belong to other programs (snapshots, checkpoints, side files) and are passed
    over, as OF_THE_DISK are. Links to folders are followed, each real folder once. A link without content is listed: whoever reads it says so.
    any_name: list a file whose name is not UTF-8 text too, which no table can hold.
    Raises InputError where a name is not UTF-8 text, or a folder cannot be opened, whose files would be missing without a word.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise InputError(f"{error.filename}: cannot be opened ({error.strerror}); change its permissions, or move it away") from error

    found: list[Path] = []
    seen = set()
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        links = [name for name in names if not name.startswith(".") and Path(name).suffix.lower() in suffixes]
        found += [Path(place, name) for name in links]
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in OF_THE_DISK) if nested else []
    for path in [] if any_name else found:
        refuse_unreadable_name(path)
    return sorted(found)


def refuse_unreadable_name(path: Path) -> None:
    """Raise InputError where a path is not UTF-8 text, which no table can hold."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise InputError(f"the file name {shown} is not UTF-8 text; rename the file or folder") from error
