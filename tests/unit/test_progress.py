"""Long work says how far it is: one line on a terminal, plain lines in a log."""

import io
import itertools
import sys

import pytest

from earwitness.core import progress
from earwitness.core.progress import TOLD, Progress, duration, told


class Clock:
    """tqdm's time, moved by hand."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr("tqdm.std.time", lambda: self.now)
        monkeypatch.setattr("tqdm.std.tqdm._time", lambda _: self.now, raising=False)

    def work(self, seconds):
        for item in range(1000):
            yield item
            self.now += seconds


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def lines_of(capsys):
    return capsys.readouterr().err.splitlines()


def test_a_log_is_told_in_plain_lines_that_become_rarer(clock, capsys):
    assert list(Progress(clock.work(0.6), total=1000, desc="training", unit="steps")) == list(range(1000))
    lines = lines_of(capsys)
    assert lines[0] == "training: 10 of 1,000 steps (1 %) in 5 s, about 8 min 55 s left"
    assert lines[-1] == "training: 1,000 steps in 10 min 0 s"
    seconds = [0.6 * int(line.split(" of ")[0].split(": ")[1].replace(",", "")) for line in lines[:-1]]
    pauses = [after - before for before, after in itertools.pairwise(seconds)]
    assert min(pauses) > 9.9 and pauses[-1] > 25, "a tenth of a minute at first, half a minute in the end"
    assert len(lines) < 40
    assert not any("\r" in line or "\x1b" in line for line in lines)


def test_what_is_over_at_once_says_nothing(clock, capsys):
    list(Progress(clock.work(0.004), total=1000, desc="training", unit="steps"))
    assert lines_of(capsys) == []


def test_work_that_goes_on_counts_from_where_it_was_and_its_rate_is_its_own(clock, capsys):
    work = Progress(initial=500, total=1000, desc="training", unit="steps")
    for _ in range(6):
        clock.now += 1
        work.update(10)
    work.close()
    assert lines_of(capsys)[0] == "training: 550 of 1,000 steps (55 %) in 5 s, about 45 s left"


def test_a_terminal_has_one_line_which_vanishes(clock, monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    list(Progress(clock.work(0.1), total=1000, desc="training", unit="steps"))
    shown = screen.getvalue()
    assert "training:  50%" in shown and "\n" not in shown
    *_, last, after = shown.split("\r")
    assert not last.strip() and after == "", "the last thing that is written is an empty line, and the cursor at its start"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (told("fetching a.zip", 1_500_000, 3_000_000_000, "B", 10.0), "fetching a.zip: 1.5 MB of 3.0 GB (0 %) in 10 s, about 5 h 33 min left"),
        (told("asking base", 12, None, "stimuli", 61.0), "asking base: 12 stimuli in 1 min 1 s"),
        (told("asking base", 0, 10, "stimuli", 61.0), "asking base: 0 of 10 stimuli (0 %) in 1 min 1 s"),
        (duration(59.6), "1 min 0 s"),
        (duration(7260), "2 h 1 min"),
    ],
)
def test_lines_say_how_far_and_how_long(line, expected):
    assert line == expected


def test_what_is_told_of_work_that_goes_on_is_known_as_such():
    assert TOLD.fullmatch(told("training", 300, 900, "steps", 41.0))
    assert TOLD.fullmatch(told("fetching a.zip", 1_500_000, 3_000_000_000, "B", 10.0))
    assert not TOLD.fullmatch(told("training", 900, None, "steps", 150.0)), "it is over"
    assert not TOLD.fullmatch("error: 3 of 4 files: in 2 of them nothing is left")


def test_a_closed_line_stays_closed(clock, capsys):
    work = Progress(total=3, desc="reading", unit="files")
    clock.now += 20
    work.update(3)
    work.close()
    work.close()
    assert lines_of(capsys) == ["reading: 3 of 3 files (100 %) in 20 s", "reading: 3 files in 20 s"]
    assert progress.QUIET_S < progress.SHORTEST_PAUSE_S < progress.LONGEST_PAUSE_S
