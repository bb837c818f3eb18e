"""Files that appear whole or not at all, and their digests."""

import errno
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from earwitness.core.errors import InputError, system_error_number


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without error.

    Nothing is left under either name when the block raises. The temporary keeps the suffix of `path`.
    """
    prefix = f".{path.stem}."
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


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it replaces `path` when the block ends without error."""
    prefix = f".{path.name}."
    with _naming(path, prefix):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent, prefix)
        temporary = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}.", dir=path.parent))
    try:
        with _naming(path, prefix):
            yield temporary
            for member in [temporary, *temporary.rglob("*")]:
                member.chmod(0o755 if member.is_dir() else 0o644)
            if path.exists():
                shutil.rmtree(path)
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
    """Let a full disk or a refused file name `path` instead of its temporary, whichever library noticed."""
    try:
        yield
    except Exception as error:
        number = errno.ENOSPC if _is_full(path.parent) else system_error_number(error)
        named = getattr(error, "filename", None)
        if isinstance(error, InputError) or number is None or not (named is None or str(named).startswith(str(path.parent / prefix))):
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def _is_full(folder: Path) -> bool:
    """Has the disk no room left? Libraries such as libsndfile do not say why they could not write."""
    return folder.is_dir() and shutil.disk_usage(folder).free == 0


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON with sorted keys, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_text(path: Path) -> str:
    """A file's text. Raises InputError where it is missing, is not UTF-8 (with or without a byte order mark), or holds a null byte."""
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
