"""Archives of data sets from the web: fetched, verified, and unpacked without trusting their member names."""

import hashlib
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO
from urllib.parse import unquote, urlsplit

from earwitness.core.errors import InputError
from earwitness.core.files import atomic_folder
from earwitness.core.redaction import plain_address
from earwitness.runtime.transfer import CHUNK, Patience, RemoteFile, fetch, length_of

UNPACKED = 1.4
"""How much larger recordings are than the archives that hold them; FSD50K's 24.7 GB become 34."""


@dataclass(frozen=True)
class Archive:
    """One archive of the configuration: checksum "sha256:..." or "md5:...", folder below the output, components to drop."""

    url: str
    checksum: str
    into: str = "."
    strip: int = 0

    @property
    def address(self) -> str:
        """The URL without passwords and tokens, for messages."""
        return plain_address(self.url)

    @property
    def name(self) -> str:
        """The file name in the URL; some servers put a verb after it."""
        parts = [unquote(part) for part in urlsplit(self.url).path.split("/") if part]
        return next((part for part in reversed(parts) if "." in part), "archive")


def download_dataset(archives: list[dict[str, Any]], folder: Path, patience: Patience | None = None) -> None:
    """Fetch, verify and unpack every archive into `folder`, which appears only when all of it is there.

    archives: entries of `sources.<dataset>.archives`. What was fetched waits in `.partial` beside the folder, so that an
    interrupted download goes on where it stopped; it is removed at the end.
    Raises InputError where the disk has no room, or an archive cannot be had, has the wrong checksum or cannot be unpacked safely.
    """
    if not archives:
        raise InputError(f"{folder.name}: no archives to download; list them under sources.{folder.name}.archives or set a path")
    wanted = [Archive(**archive) for archive in archives]
    groups = group_parts(wanted)
    store = folder.parent / ".partial"
    _require_room(wanted, store)
    fetched = {archive: _fetched(archive, store, patience or Patience()) for archive in wanted}
    with atomic_folder(folder) as temporary:
        for parts in groups:
            unpack([fetched[part] for part in parts], parts[-1], temporary)
    for path in fetched.values():
        path.unlink(missing_ok=True)


def group_parts(archives: list[Archive]) -> list[list[Archive]]:
    """Archives that are one: the parts .z01, .z02, ... of a split zip, then its .zip; every other archive stands alone.

    Raises InputError where a part is missing.
    """
    parts: dict[str, dict[int, Archive]] = {}
    groups = []
    for archive in archives:
        stem, _, suffix = archive.name.rpartition(".")
        if suffix[:1].lower() == "z" and suffix[1:].isdigit():
            parts.setdefault(stem, {})[int(suffix[1:])] = archive
        else:
            before = parts.pop(stem, {}) if suffix.lower() == "zip" else {}
            if set(before) != set(range(1, len(before) + 1)):
                raise InputError(f"{archive.address}: parts {', '.join(f'.z{k:02d}' for k in sorted(before))} are listed; list all from .z01 on")
            groups.append([before[k] for k in sorted(before)] + [archive])
    for stem in parts:
        raise InputError(f"{stem}: parts of a split zip are listed, but no {stem}.zip after them; add it as the last")
    return groups


def _require_room(archives: list[Archive], store: Path) -> None:
    """Raise InputError where the disk has no room for what is still to be fetched, and for all of it unpacked; nothing where a server does not
    say how much it is."""
    store.mkdir(parents=True, exist_ok=True)
    packed, there = 0, 0
    for archive in archives:
        if (length := length_of(archive.url)) is None:
            return
        path = _place(archive, store)
        packed, there = packed + length, there + (path.stat().st_size if path.is_file() else 0)
    needed, free = packed - there + int(UNPACKED * packed), shutil.disk_usage(store).free
    if needed > free:
        raise InputError(
            f"{store.parent}: {packed / 1e9:.1f} GB of archives need {needed / 1e9:.1f} GB with what they are unpacked to, and there is room for"
            f" {free / 1e9:.1f} GB; make room, or link data/downloads to another disk"
        )


def _place(archive: Archive, store: Path) -> Path:
    """Where an archive lies once it is fetched; the name says nothing, since addresses may hold what file systems refuse."""
    return store / hashlib.sha256(archive.url.encode()).hexdigest()[:32]


def _fetched(archive: Archive, store: Path, patience: Patience) -> Path:
    path = _place(archive, store)
    fetch(RemoteFile(archive.url, archive.checksum, archive.name), path, patience)
    return path


def unpack(files: list[Path], archive: Archive, folder: Path) -> None:
    """Unpack an archive (its parts in order, the .zip last) into `folder / archive.into`, dropping `archive.strip` components.

    Raises InputError naming the member where one is a link or a device, or would land outside, and where the archive
    is damaged or of another kind than zip or tar.
    """
    into = _inside(folder, archive.into, archive.address)
    try:
        if _is_zip(files):
            written = sum(_write(folder, into, archive, *member) for member in _zip_members(files, archive))
        elif tarfile.is_tarfile(files[-1]):
            written = sum(_write(folder, into, archive, *member) for member in _tar_members(files[-1], archive))
        else:
            raise InputError(f"{archive.address}: neither a zip nor a tar archive; correct the address")
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, struct.error) as error:
        raise InputError(f"{archive.address}: cannot be unpacked ({error}); the archive is damaged or of a kind that is not supported") from error
    except OSError as error:
        raise InputError(f"{archive.address}: cannot be unpacked into {folder} ({error}); make room or correct the archive") from error
    if not written:
        raise InputError(f"{archive.address}: strip {archive.strip} leaves no file of the archive; lower it")


Member = tuple[str, IO[bytes]]
"""A regular file's name in its archive, and its content."""


def _inside(folder: Path, name: str, where: str) -> Path:
    """`folder / name`; InputError where that is not below the folder, on this system or another."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name) or "\0" in name:
        raise InputError(f"{where}: {name!r} would be written outside the data set's folder; do not use this archive")
    return folder.joinpath(*parts)


def _write(folder: Path, into: Path, archive: Archive, name: str, content: IO[bytes]) -> bool:
    """Write one member; False where stripping leaves nothing of its name."""
    _inside(folder, name, archive.address)
    parts = PurePosixPath(name).parts[archive.strip :]
    if not parts:
        return False
    target = into.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as output:
        shutil.copyfileobj(content, output, CHUNK)
    return True


def _refuse(archive: Archive, name: str, kind: str) -> InputError:
    return InputError(f"{archive.address}: {name!r} is a {kind}, which no data set needs; do not use this archive")


def _tar_members(path: Path, archive: Archive) -> Iterator[Member]:
    with tarfile.open(path) as tar:
        for member in tar:
            _inside(path.parent, member.name, archive.address)
            if member.issym() or member.islnk():
                raise _refuse(archive, member.name, "link")
            if not (member.isfile() or member.isdir()):
                raise _refuse(archive, member.name, "device")
            content = tar.extractfile(member)
            if content is not None:
                with content:
                    yield member.name, content


def _is_zip(files: list[Path]) -> bool:
    if len(files) > 1:
        return True
    with files[0].open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


def _zip_members(files: list[Path], archive: Archive) -> Iterator[Member]:
    with open_zip(files) as content:
        size, room = sum(info.file_size for info in content.infolist()), shutil.disk_usage(files[0].parent).free
        if size > room:
            raise InputError(f"{archive.address}: {size} bytes when unpacked, and the disk has room for {room}; make room or correct the archive")
        for info in content.infolist():
            _inside(files[0].parent, info.filename, archive.address)
            kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
            if kind == stat.S_IFLNK:
                raise _refuse(archive, info.filename, "link")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refuse(archive, info.filename, "device")
            if not info.is_dir():
                with content.open(info) as member:
                    yield info.filename, member


def open_zip(parts: list[Path]) -> zipfile.ZipFile:
    """Open a zip that is whole or split over several files, the last of which holds its directory.

    The directory of a split zip counts offsets from the start of each part, which `zipfile` does not know; so the parts are
    read as one file with an equivalent directory of absolute offsets behind them (APPNOTE 6.3.10, sections 4.3.12 to
    4.3.16 and 4.5.3). Nothing is copied. Raises zipfile.BadZipFile where the directory and the parts do not fit.
    """
    if len(parts) == 1:
        return zipfile.ZipFile(parts[0])
    return zipfile.ZipFile(_Joined(parts, _whole_directory(parts)))


class _Joined:
    """Files and a tail of bytes, read as one file."""

    def __init__(self, parts: list[Path], tail: bytes):
        self._parts, self._tail = parts, tail
        sizes = [part.stat().st_size for part in parts]
        self._starts = [0, *accumulate(sizes)]
        self._size = self._starts[-1] + len(tail)
        self._position = 0
        self._open: tuple[int, BinaryIO] | None = None

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._position + size)
        pieces = []
        while self._position < end:
            piece = self._read_within_part(end - self._position)
            if not piece:
                raise zipfile.BadZipFile("a part became shorter")
            pieces.append(piece)
            self._position += len(piece)
        return b"".join(pieces)

    def _read_within_part(self, size: int) -> bytes:
        if self._position >= self._starts[-1]:
            first = self._position - self._starts[-1]
            return self._tail[first : first + size]
        index = next(k for k in range(len(self._parts)) if self._position < self._starts[k + 1])
        if self._open is None or self._open[0] != index:
            self.close()
            self._open = index, self._parts[index].open("rb")
        stream = self._open[1]
        stream.seek(self._position - self._starts[index])
        return stream.read(min(size, self._starts[index + 1] - self._position))

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR64 = struct.Struct("<4sLQL")
ENTRY = struct.Struct("<4s4B4H3L5H2L")


def _whole_directory(parts: list[Path]) -> bytes:
    """The central directory of a split zip, rewritten for its parts read as one file, with its end records."""
    starts = [0, *accumulate(part.stat().st_size for part in parts)]
    joined = _Joined(parts, b"")
    try:
        count, size, first = _find_directory(joined, starts)
        joined.seek(first)
        directory = joined.read(size)
    finally:
        joined.close()
    entries, position = [], 0
    while position < len(directory):
        entry, position = _absolute_entry(directory, position, starts)
        entries.append(entry)
    if len(entries) != count:
        raise zipfile.BadZipFile(f"its directory holds {len(entries)} entries instead of {count}")
    content = b"".join(entries)
    end = starts[-1] + len(content)
    return (
        content
        + END64.pack(b"PK\x06\x06", END64.size - 12, 45, 45, 0, 0, count, count, len(content), starts[-1])
        + LOCATOR64.pack(b"PK\x06\x07", 0, end, 1)
        + END.pack(b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    )


def _find_directory(joined: _Joined, starts: list[int]) -> tuple[int, int, int]:
    """Number of entries, size in bytes and absolute position of the central directory."""
    tail_start = max(0, starts[-1] - END.size - 0xFFFF)
    joined.seek(tail_start)
    tail = joined.read()
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < END.size:
        raise zipfile.BadZipFile("no central directory in its last part")
    _, disk, first_disk, _, count, size, offset, _ = END.unpack_from(tail, found)
    at = tail_start + found - LOCATOR64.size
    if 0xFFFF in (disk, first_disk, count) or 0xFFFFFFFF in (size, offset):
        joined.seek(max(0, at))
        mark, end_disk, end_offset, _ = LOCATOR64.unpack(joined.read(LOCATOR64.size))
        if mark != b"PK\x06\x07" or end_disk >= len(starts) - 1:
            raise zipfile.BadZipFile("its end record does not fit its parts")
        joined.seek(starts[end_disk] + end_offset)
        mark, _, _, _, disk, first_disk, _, count, size, offset = END64.unpack(joined.read(END64.size))
        if mark != b"PK\x06\x06":
            raise zipfile.BadZipFile("its end record does not fit its parts")
    if disk != len(starts) - 2:
        raise zipfile.BadZipFile(f"it has {disk + 1} parts, and {len(starts) - 1} are listed")
    if first_disk > disk or starts[first_disk] + offset + size > starts[-1]:
        raise zipfile.BadZipFile("its directory does not fit its parts")
    return count, size, starts[first_disk] + offset


def _absolute_entry(directory: bytes, position: int, starts: list[int]) -> tuple[bytes, int]:
    """The directory entry at `position` with an absolute offset, and where the next one starts."""
    fields = list(ENTRY.unpack_from(directory, position))
    if fields[0] != b"PK\x01\x02":
        raise zipfile.BadZipFile("its directory is damaged")
    packed, unpacked, name_length, extra_length, comment_length, disk = fields[10:16]
    offset = fields[18]
    at = position + ENTRY.size
    name = directory[at : at + name_length]
    extra = directory[at + name_length : at + name_length + extra_length]
    following = at + name_length + extra_length + comment_length
    kept = b""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        body, record, extra = extra[4 : 4 + length], extra[: 4 + length], extra[4 + length :]
        if kind != 1:
            kept += record
            continue
        # Only what did not fit into the entry stands here, in this order.
        if unpacked == 0xFFFFFFFF:
            unpacked, body = struct.unpack_from("<Q", body)[0], body[8:]
        if packed == 0xFFFFFFFF:
            packed, body = struct.unpack_from("<Q", body)[0], body[8:]
        if offset == 0xFFFFFFFF:
            offset, body = struct.unpack_from("<Q", body)[0], body[8:]
        if disk == 0xFFFF:
            (disk,) = struct.unpack_from("<L", body)
    if disk >= len(starts) - 1:
        raise zipfile.BadZipFile(f"{name!r} lies in part {disk + 1} of {len(starts) - 1}")
    extra = struct.pack("<HHQQQ", 1, 24, unpacked, packed, starts[disk] + offset) + kept
    fields[10:16] = 0xFFFFFFFF, 0xFFFFFFFF, name_length, len(extra), 0, 0
    fields[18] = 0xFFFFFFFF
    return ENTRY.pack(*fields) + name + extra, following
