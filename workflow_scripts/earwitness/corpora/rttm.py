"""Who speaks when: reading RTTM, and the stretches where one speaker is alone.

The format is NIST's Rich Transcription Time Marked (RT-09 evaluation plan, appendix A): one turn per SPEAKER line,
`SPEAKER <file> <channel> <start> <duration> <orthography> <subtype> <speaker> [<confidence> [<lookahead>]]`.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from earwitness.core.errors import InputError
from earwitness.core.files import read_text
from earwitness.core.names import term_key

OTHER_TYPES = frozenset(
    {"SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "IP", "SU", "CB", "A/P", "SPKR-INFO"}
)
"""Line types of the standard that say nothing about who speaks when."""

NOBODY = frozenset(
    {"nonspeech", "nospeech", "nonspeaker", "nospeaker", "silence", "sil", "noise", "noises", "music", "background", "backgroundnoise", "applause"}
)
"""What stands in a speaker's place where nobody speaks, as earwitness.core.names.term_key spells it."""

LAYOUT = "SPEAKER <file> <channel> <start> <duration> <NA> <NA> <speaker> <NA> <NA>"


class EmptyRttmError(InputError):
    """An RTTM file without a single SPEAKER line."""


class Turn(NamedTuple):
    """One speaker from start_s to end_s, seconds in the recording."""

    start_s: float
    end_s: float
    speaker: str


class Rttm(NamedTuple):
    """The turns of one recording, in the file's order, and the recording's name as the lines give it."""

    recording: str
    turns: list[Turn]


def read_rttm(path: Path) -> Rttm:
    """One recording's RTTM file.

    Raises EmptyRttmError where there is no SPEAKER line, and InputError naming file and line where a line is malformed
    or the file mixes several recordings.
    """
    turns, recording = [], ""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        fields = line.split()
        if not fields or line.lstrip().startswith(";;") or fields[0] in OTHER_TYPES:
            continue
        turns.append(_turn(fields, f"{path}:{number}", line))
        if recording and fields[1] != recording:
            raise InputError(f"{path}:{number}: mixes recordings ({recording}, then {fields[1]}); write one RTTM file per recording")
        recording = fields[1]
    if not turns:
        raise EmptyRttmError(f"{path}: holds no SPEAKER line; annotate the recording or remove the file")
    return Rttm(recording, turns)


def without_umbrella(turns: list[Turn]) -> list[Turn]:
    """The turns without those labelled SPEECH, where others say who or what kind of speaker it is."""
    others = [turn for turn in turns if term_key(turn.speaker) != "speech"]
    return others if any(not is_nobody(turn.speaker) for turn in others) else turns


def is_nobody(speaker: str) -> bool:
    """Does a speaker's name say that nobody speaks, as in corpora that mark noise, music or silence with SPEAKER lines?"""
    return term_key(speaker) in NOBODY


def _turn(fields: list[str], where: str, line: str) -> Turn:
    shown = repr(line.strip() if len(line.strip()) <= 60 else line.strip()[:57] + "...")
    if fields[0] != "SPEAKER" or len(fields) not in (8, 9, 10):
        raise InputError(f"{where}: malformed line {shown} ({len(fields)} fields); expected {LAYOUT}")
    # A space in the file's name, or a field too few before the times, moves all that follows.
    channel_is_odd = not re.fullmatch(r"\d{1,3}(\.0*)?|[A-Za-z]|<NA>", fields[2])
    if (channel_is_odd and (_is_number(fields[2]) or _is_number(fields[5]))) or (_is_number(fields[5]) and _says_nothing_of_a_name(fields[7])):
        raise InputError(
            f"{where}: {shown}: the channel is {fields[2][:20]!r} and the speaker {fields[7][:20]!r}: fields are shifted; expected {LAYOUT}"
        )
    try:
        # Python takes 1_5 for 15.
        start, duration = (float(field.replace("_", "?")) for field in fields[3:5])
    except ValueError:
        raise InputError(f"{where}: start {fields[3][:20]!r} or duration {fields[4][:20]!r} is not a number; expected {LAYOUT}") from None
    if not (math.isfinite(start) and math.isfinite(duration) and start >= 0 and duration >= 0):
        raise InputError(f"{where}: start {fields[3][:20]} and duration {fields[4][:20]} must be finite and not negative; correct {shown}")
    if not all(_says_nothing_of_a_name(field) for field in fields[8:]):
        raise InputError(f"{where}: {shown}: {fields[8][:20]!r} follows the speaker {fields[7][:20]!r}; write names without spaces, as in {LAYOUT}")
    if _says_nothing_of_a_name(fields[7]) and not all(map(_says_nothing_of_a_name, fields[5:7])):
        raise InputError(f"{where}: {shown}: the speaker is {fields[7][:20]!r}, and a name stands before it; a field is missing, as in {LAYOUT}")
    return Turn(start, start + duration, fields[7])


def _says_nothing_of_a_name(field: str) -> bool:
    """Is a field empty, or a number, as fields after the speaker are?"""
    return _is_number(field) or term_key(field) in ("", "na", "none", "null")


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


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
