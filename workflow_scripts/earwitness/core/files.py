"""Files that appear whole or not at all, and their digests."""

import errno
import glob
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from earwitness.core.errors import InputError, system_error_number


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without error.

    Nothing is left under either name when the block raises. The temporary keeps the suffix of `path`.
    Raises InputError where `path` is a pipe, a socket or a device.
    """
    _refuse_replacing(path)
    prefix = _prefix(path.stem)
    with _naming(path, prefix):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent, prefix)
        handle, name = tempfile.mkstemp(prefix=f"{prefix}{os.getpid()}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    temporary = Path(name)
    try:
        with _naming(path, prefix):
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


LONGEST_PREFIX = 200
"""Bytes of a file's own name in the name of its temporary; file systems take 255 in all."""

MADE = ".earwitness-made"
"""Name of the file in a folder that was made here which lists what it held then, a path a line: by it the folder may be replaced."""


@contextmanager
def atomic_folder(path: Path, beside: Collection[str] = (), read: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it replaces `path` when the block ends without error, and gets MADE.

    beside, read: as `require_replaceable` takes them; it is asked before the block and after it.
    """
    require_replaceable(path, beside, read)
    prefix = _prefix(path.name)
    with _naming(path, prefix):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent, prefix)
        temporary = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}.", dir=path.parent))
    try:
        with _naming(path, prefix):
            yield temporary
            for member in [temporary, *temporary.rglob("*")]:
                member.chmod(0o755 if member.is_dir() else 0o644)
            put_in_place(temporary, path, beside, read)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def put_in_place(made: Path, path: Path, beside: Collection[str] = (), read: Iterable[Path] = ()) -> None:
    """Let the folder `made` be `path`, with MADE in it. Raises InputError as `require_replaceable` does."""
    require_replaceable(path, beside, read)
    (made / MADE).write_text("".join(f"{name}\n" for name in _files_in(made)), encoding="utf-8", errors="surrogateescape")
    (made / MADE).chmod(0o644)
    if path.exists():
        shutil.rmtree(path)
    made.replace(path)


def require_replaceable(path: Path, beside: Collection[str] = (), read: Iterable[Path] = ()) -> None:
    """Raise InputError where replacing the folder `path` would remove anything but what `atomic_folder` made there.

    beside: names of files that other programs of ours put there. read: files that are being read; none of them may lie in `path`.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(f"{path}: is a {'link' if path.is_symlink() else 'file'}, where a folder is to be made; name a new folder")
    if not path.exists():
        return
    made = path / MADE
    ours = {*beside, *(made.read_text(encoding="utf-8", errors="surrogateescape").splitlines() if made.is_file() else ())}
    if foreign := [name for name in _files_in(path) if name not in ours]:
        raise InputError(f"{path}: holds {foreign[0]}, which was not made here and would be removed; name a new folder, or move it away")
    if within := [file for file in read if file.resolve().is_relative_to(path.resolve())]:
        raise InputError(f"{path}: holds {within[0].name}, which is being read and would be replaced; name a new folder")


def _files_in(folder: Path) -> list[str]:
    """Paths of a folder's files and links, and of its folders that are empty, seen from it, without our own notes and Snakemake's."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir() or not any(path.iterdir())]
    return sorted(name for name in names if not name.startswith((".earwitness-", ".snakemake_timestamp")))


def _prefix(name: str) -> str:
    """What the names of a file's temporaries begin with: its own, cut where process and random letters would make it longer than names may be."""
    return f".{os.fsencode(name)[:LONGEST_PREFIX].decode(errors='ignore')}."


def _remove_leftovers(folder: Path, prefix: str) -> None:
    """Delete the temporaries of processes that were killed before they could."""
    for leftover in folder.glob(f"{glob.escape(prefix)}*"):
        number = re.fullmatch(r"(\d+)\.\w{8}(\..*)?", leftover.name.removeprefix(prefix))
        if number and not _is_alive(int(number.group(1))):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def _naming(path: Path, prefix: str) -> Iterator[None]:
    """Name `path`, not its temporary, in errors of a full disk or a refused file, whichever library raised them."""
    try:
        yield
    except Exception as error:
        number = errno.ENOSPC if _is_full(path.parent) else system_error_number(error)
        named = getattr(error, "filename", None)
        if isinstance(error, InputError) or number is None or not (named is None or _is_ours(Path(named), path, prefix)):
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _is_ours(named: Path, path: Path, prefix: str) -> bool:
    """Is it a temporary of `path`, which `tempfile` names in full?"""
    return named.name.startswith(prefix) and named.parent.absolute() == path.parent.absolute()


def _is_full(folder: Path) -> bool:
    """Has the disk no room left? Libraries such as libsndfile do not say why they could not write."""
    return folder.is_dir() and shutil.disk_usage(folder).free == 0


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON with sorted keys, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


NO_FILE = "is a pipe, a socket or a device, not a file; write it to a file"


def refuse_pipe(path: Path) -> None:
    """Raise InputError where a path is a pipe, a socket or a device: whoever reads one may wait for ever, and nobody can read it twice.

    A path that is nothing, or may not be looked at, is left to whoever opens it.
    """
    try:
        kind = path.stat().st_mode
    except OSError:
        return
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise InputError(f"{path}: {NO_FILE}")


def refuse_overwriting(inputs: Iterable[Path | None], outputs: Iterable[Path | None]) -> None:
    """Raise InputError where a file that is to be written is one of those that are read, by whatever path, is to be written twice, or is a folder
    or a device; None is passed over."""
    read = {path.resolve() for path in inputs if path is not None}
    written: set[Path] = set()
    for path in outputs:
        if path is None:
            continue
        if path.resolve() in read:
            raise InputError(f"{path}: is read, and would be overwritten; name another file to be written")
        if path.resolve() in written:
            raise InputError(f"{path}: is to be written twice; give each of the files its own name")
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a file to be written")
        _refuse_replacing(path)
        written.add(path.resolve())


def _refuse_replacing(path: Path) -> None:
    """Raise InputError where a path is a pipe, a socket or a device, such as /dev/null: a file would take its place."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path}: is a pipe, a socket or a device, whose place a file would take; name a file to be written")


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes. Raises InputError as `refuse_pipe`."""
    refuse_pipe(path)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_text(path: Path) -> str:
    """A file's text. Raises InputError where it is missing, no file (`refuse_pipe`), not UTF-8 (with or without a byte order mark), or holds a
    null byte."""
    refuse_pipe(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name, or the link") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8 text (byte 0x{content[error.start]:02x}); save the file as UTF-8") from error
    if "\0" in text:
        raise InputError(f"{path}: not a text file (it holds null bytes); save it as UTF-8 text")
    return text
