"""What a user sees when something is wrong: one line, no traceback."""

import errno
import functools
import os
import re
import sys
from collections.abc import Callable


class InputError(Exception):
    """The user's data or settings are wrong; the message says what, where, and what to do."""


_REMEDIES = {
    errno.ENOSPC: "make room, or work on another disk",
    errno.EDQUOT: "make room, or work on another disk",
    errno.EFBIG: "lift the limit (ulimit -f), or work on another file system",
    errno.EROFS: "work in a folder that can be written to",
    errno.EACCES: "change its permissions, or work in another folder",
    errno.EPERM: "change its permissions, or work in another folder",
    errno.ENOENT: "check the name",
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


def one_line_errors(main: Callable[[], None]) -> Callable[[], None]:
    """End the program with exit code 1 and one line on stderr where `main` raises InputError, or the system refuses a file."""

    @functools.wraps(main)
    def run() -> None:
        try:
            main()
        except InputError as error:
            sys.exit("error: " + " ".join(str(error).split()))
        except Exception as error:
            number = system_error_number(error)
            if number is None:
                raise
            where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
            sys.exit("error: " + " ".join(f"{where}{os.strerror(number)}; {_REMEDIES[number]}".split()))

    return run
