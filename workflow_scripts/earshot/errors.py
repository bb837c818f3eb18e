"""What a user sees when something is wrong: one line, no traceback."""

import functools
import sys
from collections.abc import Callable


class InputError(Exception):
    """The user's data or settings are wrong; the message says what, where, and what to do."""


def one_line_errors(main: Callable[[], None]) -> Callable[[], None]:
    """End the program with exit code 1 and one line on stderr where `main` raises InputError."""

    @functools.wraps(main)
    def run() -> None:
        try:
            main()
        except InputError as error:
            sys.exit("error: " + " ".join(str(error).split()))

    return run
