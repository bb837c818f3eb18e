"""Files from the web: resumed to the byte, tried again as long as the server may recover, and verified."""

import datetime
import email.utils
import hashlib
import http.client
import os
import shutil
import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from earwitness.core.errors import InputError
from earwitness.core.progress import Progress
from earwitness.core.redaction import plain_address

CHUNK = 1 << 20
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
TRANSIENT_ERRORS = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError)

MIRRORS = "EARWITNESS_MIRRORS"
"""Environment variable: folders and addresses, separated by spaces, that may have the files which are fetched."""

LONGEST_WAIT_S = 300.0
"""How long to wait between two attempts where the server names no time."""

LONGEST_ASKED_WAIT_S = 3600.0
"""The longest wait that a server may ask for."""

TOLD_FROM_S = 5.0
"""Waits of this length and more are told."""


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server. checksum: "sha256:...", "md5:..." or "git-sha1:..." (of a file as git stores it). headers: sent to the
    named host only, never to one that it redirects to. place: where it lies below a mirror; its name, where that is not given."""

    url: str
    checksum: str
    name: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    place: str = ""

    @property
    def address(self) -> str:
        """The URL without passwords and tokens, for messages."""
        return plain_address(self.url)


@dataclass(frozen=True)
class Patience:
    """How long to bear with a server: attempts without a new byte, seconds to wait after the first (doubled each time, at
    most LONGEST_WAIT_S, or what the server asks for), and seconds of silence before a connection counts as lost.

    unreachable: the same number where no connection comes about at all, as without a network. The default gives up after some 19
    minutes in which a server sent nothing, and after half a minute in which there was none.
    """

    attempts: int = 12
    unreachable: int = 6
    wait_s: float = 1.0
    timeout_s: float = 60.0


class TransferError(Exception):
    """A transfer that is worth another attempt."""


class Refused(InputError):
    """The server answered that it does not hand out the file. status: its HTTP status."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


def mirrors() -> list[str]:
    """Folders and addresses that are asked for every file first, in this order: those of MIRRORS."""
    return os.environ.get(MIRRORS, "").split()


def fetch(file: RemoteFile, path: Path, patience: Patience) -> None:
    """Download a file to `path`, from a mirror that has it or else from its own address, going on from what is there already, and verify it.

    Raises Refused where the server refuses, and InputError where it does not answer, its certificate is not trusted, the disk is full,
    or the checksum is wrong (the file is then deleted).
    """
    if urllib.parse.urlsplit(file.url).scheme not in ("http", "https"):
        raise InputError(f"{file.address}: not an address of the web; begin it with https://")
    path.parent.mkdir(parents=True, exist_ok=True)
    resumed = path.exists() and path.stat().st_size > 0
    if resumed and checksum_of(path, file.checksum) == file.checksum:
        return
    if any(_had_from(mirror, file, path, patience) for mirror in mirrors()):
        return
    _transfer(file, path, patience)
    got = checksum_of(path, file.checksum)
    if got != file.checksum and resumed:
        # What lay there may stem from another version of the file.
        path.unlink()
        _transfer(file, path, patience)
        got = checksum_of(path, file.checksum)
    if got != file.checksum:
        path.unlink()
        raise InputError(f"{file.address}: wrong checksum, expected {file.checksum}, got {got}; correct the checksum or the address")


def _had_from(mirror: str, file: RemoteFile, path: Path, patience: Patience) -> bool:
    """Has a mirror the file, so that it now is at `path`? A checksum decides, so a mirror need not be trusted; headers are not sent there."""
    place = file.place or file.name
    reason = "another content"
    if mirror.startswith(("http://", "https://")):
        try:
            _transfer(RemoteFile(f"{mirror.rstrip('/')}/{urllib.parse.quote(place)}", file.checksum, file.name), path, patience)
        except InputError as error:
            reason = str(error)
        else:
            if checksum_of(path, file.checksum) == file.checksum:
                return True
            path.unlink()
    elif not (there := Path(mirror) / place).is_file():
        reason = "no such file" if Path(mirror).is_dir() else f"no such folder; spaces separate those of {MIRRORS}"
    elif checksum_of(there, file.checksum) == file.checksum:
        shutil.copyfile(there, path)
        return True
    print(f"{file.name}: not from the mirror {plain_address(mirror)} ({reason})", file=sys.stderr, flush=True)
    return False


def length_of(url: str, timeout_s: float = 30.0) -> int | None:
    """How many bytes a file on a server has; None where the server does not say."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD", headers={"User-Agent": "earwitness"}), timeout=timeout_s) as response:
            length = response.headers.get("Content-Length")
            return int(length) if length else None
    except (*TRANSIENT_ERRORS, OSError, ValueError):
        return None


def checksum_of(path: Path, like: str) -> str:
    """The file's checksum by the algorithm that `like` names, as "algorithm:hexadecimal"."""
    algorithm = like.partition(":")[0]
    digest = hashlib.new(algorithm.removeprefix("git-"), usedforsecurity=False)
    if algorithm.startswith("git-"):
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as stream:
        return f"{algorithm}:{hashlib.file_digest(stream, lambda: digest).hexdigest()}"


def _transfer(file: RemoteFile, path: Path, patience: Patience) -> None:
    """Append to `path` until the file is whole; attempts that bring nothing are counted, and waited after."""
    idle = 0
    while True:
        before = path.stat().st_size if path.exists() else 0
        asked_wait, attempts = None, patience.attempts
        try:
            _attempt(file, path, before, patience.timeout_s)
            return
        except urllib.error.HTTPError as error:
            if error.code not in TRANSIENT_STATUS:
                hint = "it needs a licence or a token" if error.code in (401, 403) else "correct the address"
                raise Refused(f"{file.address}: the server answered {error.code} {error.reason}; {hint}", error.code) from error
            reason, asked_wait = f"{error.code} {error.reason}", _asked_wait(error.headers.get("Retry-After", ""))
        except TRANSIENT_ERRORS as error:
            cause = getattr(error, "reason", error)
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise InputError(
                    f"{file.address}: its certificate is not trusted ({cause.verify_message});"
                    " name your network's certificates in SSL_CERT_FILE, or correct the clock"
                ) from error
            if isinstance(cause, socket.gaierror | ConnectionRefusedError):
                attempts = patience.unreachable
            reason = str(cause) or type(error).__name__
        except TransferError as error:
            reason = str(error)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); make room or choose another disk") from error
        gained = path.exists() and path.stat().st_size > before
        idle = 0 if gained else idle + 1
        if idle >= attempts:
            raise InputError(f"{file.address}: given up after {idle} attempts ({reason}); run again later, what was fetched is kept")
        wait = min(LONGEST_WAIT_S, patience.wait_s * 2 ** max(0, idle - 1)) if asked_wait is None else min(LONGEST_ASKED_WAIT_S, asked_wait)
        if wait >= TOLD_FROM_S:
            print(f"{file.name}: {reason}; trying again in {wait:.0f} s", file=sys.stderr, flush=True)
        time.sleep(wait)


def _asked_wait(retry_after: str) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, section 10.2.3: a number of seconds or a date); None where it is neither."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        date = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)
    return max(0.0, (date - datetime.datetime.now(datetime.UTC)).total_seconds())


def _attempt(file: RemoteFile, path: Path, have: int, timeout_s: float) -> None:
    request = urllib.request.Request(file.url, headers={"User-Agent": "earwitness", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    for name, value in file.headers.items():
        request.add_unredirected_header(name, value)
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if have and error.code == 416:
            # Nothing lies beyond what is there: the file is whole, or of another version, which the checksum tells.
            return
        raise
    with response:
        goes_on = have > 0 and response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if have and response.status == 206 and not goes_on:
            path.unlink()
            raise TransferError("the server sent another range than the one asked for")
        have = have if goes_on else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with (
            path.open("ab" if goes_on else "wb") as target,
            Progress(total=total, initial=have, desc=f"fetching {file.name}", unit="B") as progress,
        ):
            while chunk := response.read1(CHUNK):
                target.write(chunk)
                progress.update(len(chunk))
                have += len(chunk)
    if total is not None and have < total:
        raise TransferError(f"the connection closed after {have} of {total} bytes")
