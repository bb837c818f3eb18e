"""Who speaks when: reading RTTM, and the stretches where one speaker is alone.

The format is NIST's Rich Transcription Time Marked (RT-09 evaluation plan, appendix A): one turn per SPEAKER line,
`SPEAKER <file> <channel> <start> <duration> <orthography> <subtype> <speaker> <confidence> [<lookahead>]`.
"""

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from earwitness.core.errors import InputError

OTHER_TYPES = frozenset(
    {"SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "IP", "SU", "CB", "A/P", "SPKR-INFO"}
)
"""Line types of the standard that say nothing about who speaks when."""

LAYOUT = "SPEAKER <file> <channel> <start> <duration> <NA> <NA> <speaker> <NA> <NA>"


class EmptyRttmError(InputError):
    """An RTTM file without a single SPEAKER line."""


class Turn(NamedTuple):
    """One speaker from start_s to end_s, seconds in the recording."""

    start_s: float
    end_s: float
    speaker: str


def read_rttm(path: Path) -> list[Turn]:
    """The turns of one recording's RTTM file, in the file's order.

    Raises EmptyRttmError where there is no SPEAKER line, and InputError naming file and line where a line is malformed
    or the file mixes several recordings.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text, so not an RTTM file; replace it") from error
    turns, recordings = [], set()
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or line.lstrip().startswith(";;") or fields[0] in OTHER_TYPES:
            continue
        turns.append(_turn(fields, f"{path}:{number}", line))
        recordings.add(fields[1])
    if not turns:
        raise EmptyRttmError(f"{path}: holds no SPEAKER line; annotate the recording or remove the file")
    if len(recordings) > 1:
        first, second = sorted(recordings)[:2]
        raise InputError(f"{path}: mixes {len(recordings)} recordings ({first}, {second}, ...); write one RTTM file per recording")
    return turns


def _turn(fields: list[str], where: str, line: str) -> Turn:
    shown = repr(line.strip() if len(line.strip()) <= 60 else line.strip()[:57] + "...")
    if fields[0] != "SPEAKER" or len(fields) not in (9, 10):
        raise InputError(f"{where}: malformed line {shown} ({len(fields)} fields); expected {LAYOUT}")
    try:
        start, duration = float(fields[3]), float(fields[4])
    except ValueError:
        raise InputError(f"{where}: start {fields[3][:20]!r} or duration {fields[4][:20]!r} is not a number; expected {LAYOUT}") from None
    if not (math.isfinite(start) and math.isfinite(duration) and start >= 0 and duration >= 0):
        raise InputError(f"{where}: start {fields[3][:20]} and duration {fields[4][:20]} must be finite and not negative; correct {shown}")
    return Turn(start, start + duration, fields[7])


def single_speaker_stretches(turns: Iterable[Turn], collar_s: float = 0.0) -> list[Turn]:
    """Where exactly one speaker is active, in order of time.

    A speaker's own overlapping or touching turns count as one. `collar_s` seconds are then cut from both ends of every
    stretch; what is too short for that is dropped. The stretches are disjoint, and two that touch have different speakers.
    """
    events = sorted(
        event for turn in turns if turn.end_s > turn.start_s for event in ((turn.start_s, 1, turn.speaker), (turn.end_s, -1, turn.speaker))
    )
    active: Counter[str] = Counter()
    alone: list[Turn] = []
    previous = 0.0
    for time, change, speaker in events:
        if time > previous and len(active) == 1:
            (only,) = active
            if alone and alone[-1].speaker == only and alone[-1].end_s == previous:
                alone[-1] = alone[-1]._replace(end_s=time)
            else:
                alone.append(Turn(previous, time, only))
        active[speaker] += change
        if not active[speaker]:
            del active[speaker]
        previous = time
    cut = (turn._replace(start_s=turn.start_s + collar_s, end_s=turn.end_s - collar_s) for turn in alone)
    return [turn for turn in cut if turn.end_s > turn.start_s]
