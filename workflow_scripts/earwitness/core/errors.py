"""What a user sees when something is wrong: one line, no traceback."""

import errno
import functools
import io
import os
import re
import select
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from earwitness.core.terminal_text import printable


class InputError(Exception):
    """The user's data or settings are wrong; the message says what, where, and what to do."""


LONGEST_LINE = 1200
"""Characters."""

INTERRUPTED, NO_READER = 130, 141
"""Exit codes of a program that Ctrl-C ended, and of one whose output nobody reads any more: 128 and the signal's number."""

_REMEDIES = {
    errno.ENOSPC: "make room, or work on another disk",
    errno.EDQUOT: "make room, or work on another disk",
    errno.EFBIG: "lift the limit (ulimit -f), or work on another file system",
    errno.EROFS: "work in a folder that can be written to",
    errno.EACCES: "change its permissions, or work in another folder",
    errno.EPERM: "change its permissions, or work in another folder",
    errno.ENOENT: "check the name",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ENOTDIR: "check the name",
    errno.EEXIST: "check the name",
    errno.EISDIR: "check the name",
}


def system_error_number(error: BaseException) -> int | None:
    """The operating system's number of an error that a user can mend; None for any other error.

    Libraries in Rust, such as safetensors, raise errors of their own that end in "(os error 28)".
    """
    if isinstance(error, OSError):
        number = error.errno
    else:
        told = re.search(r"\(os error (\d+)\)", str(error))
        number = int(told.group(1)) if told else None
    return number if number in _REMEDIES else None


def one_line(error: InputError) -> str:
    """An error's message on one line. A very long one holds a file's own content: its middle is left out."""
    text = printable(" ".join(str(error).split()))
    return text if len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE * 2 // 3]} ... {text[-LONGEST_LINE // 4 :]}"


def _nobody_reads() -> bool:
    """Is stdout a pipe whose reader has gone?"""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):
        return False


_interrupted = threading.Event()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _end_as_interrupted() -> NoReturn:
    print("error: interrupted", file=sys.stderr)
    sys.exit(INTERRUPTED)


def one_line_errors(main: Callable[[], None]) -> Callable[[], None]:
    """End the program with exit code 1 and one line on stderr where `main` raises InputError, or the system refuses a file.

    Ctrl-C ends in one line too, and a reader that goes away, as `| head` does, in none (INTERRUPTED, NO_READER).
    """

    @functools.wraps(main)
    def run() -> None:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, _interrupt)
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Names may hold what the language of a terminal cannot write: é in ASCII is an escape then, and no error.
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            try:
                main()
            finally:
                # A program that prints its help and ends has not written it yet.
                sys.stdout.flush()
        except InputError as error:
            sys.exit("error: " + one_line(error))
        except KeyboardInterrupt:
            _end_as_interrupted()
        except Exception as error:
            # A library that is interrupted while it is imported raises an error of its own.
            if _interrupted.is_set():
                _end_as_interrupted()
            if isinstance(error, BrokenPipeError) and _nobody_reads():
                # Python flushes once more when it ends.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(NO_READER)
            number = system_error_number(error)
            if number is None:
                raise
            where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
            sys.exit("error: " + " ".join(f"{where}{os.strerror(number)}; {_REMEDIES[number]}".split()))

    return run
