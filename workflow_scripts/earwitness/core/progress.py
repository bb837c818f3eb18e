"""How far a long job is, and how long it still takes: one line on a terminal, plain lines now and then in a log."""

import re
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

QUIET_S = 5.0
"""A job that is over sooner says nothing."""

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 10.0, 60.0
"""Between two lines of a log: a twentieth of the time that has passed, within these."""


TOLD = re.compile(r"\S.*: \S+( [KMG]?B)? of \S.* in \d.*, about \d.* left")
"""What lines of `told` look like while work goes on."""


class Progress(tqdm):
    """tqdm's counter, for people who watch and for people who read.

    On a terminal it is one line that is rewritten and vanishes. In a log it is a line of `told` after QUIET_S, and then at pauses that
    grow with the work. Use it as tqdm: around an iterable, or as a context with `update`. desc: what is done, such as "training".
    """

    monitor_interval = 0  # no thread, which a fork would not survive

    def __init__(self, iterable: Iterable[Any] | None = None, *, desc: str, unit: str, **settings: Any) -> None:
        self.on_terminal = sys.stderr.isatty()
        self.next_line_s = 0.0
        pause = 0.2 if self.on_terminal else QUIET_S
        settings |= {"mininterval": pause, "maxinterval": float("inf"), "delay": 1.0 if self.on_terminal else QUIET_S, "leave": False}
        super().__init__(iterable, desc=desc, unit=unit, file=sys.stderr, miniters=1, **settings)

    def close(self) -> None:
        """Remove the line on a terminal; in a log say what was done, where anything was said before."""
        if not self.on_terminal and not self.disable:
            if self.next_line_s:
                print(told(self.desc, self.n, None, self.unit, self.format_dict["elapsed"]), file=sys.stderr, flush=True)
            self.delay = float("inf")  # tqdm then leaves the log alone
        super().close()

    def clear(self, *arguments: Any, **settings: Any) -> None:
        """Make room on a terminal for another line."""
        if self.on_terminal:
            super().clear(*arguments, **settings)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Show how far it is."""
        if self.on_terminal:
            return bool(super().display(msg, pos))
        elapsed = self.format_dict["elapsed"]
        if msg is None and elapsed >= self.next_line_s:
            print(told(self.desc, self.n, self.total, self.unit, elapsed, self.initial), file=sys.stderr, flush=True)
            self.next_line_s = elapsed + min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, elapsed / 20))
        return True


def told(what: str, done: int, total: int | None, unit: str, elapsed_s: float, initial: int = 0) -> str:
    """A line that says how far a job is.

    done, total: of `unit`, of which "B" is bytes; initial of them were done before. Example: "training: 300 of 900 steps (33 %) in 41 s,
    about 1 min 20 s left".
    """
    number = _size if unit == "B" else lambda count: f"{count:,}"
    what_of = "" if unit == "B" else f" {unit}"
    if not total:
        return f"{what}: {number(done)}{what_of} in {duration(elapsed_s)}"
    line = f"{what}: {number(done)} of {number(total)}{what_of} ({100 * done // total} %) in {duration(elapsed_s)}"
    return f"{line}, about {duration((total - done) * elapsed_s / (done - initial))} left" if initial < done < total else line


def duration(seconds: float) -> str:
    """A time in words, to the second: 41 s, 1 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _size(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"
