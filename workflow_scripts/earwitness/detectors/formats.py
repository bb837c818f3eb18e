"""What a detector found in a recording, written for people and for other programs.

csv        a row per segment: file, start_s, end_s, probability
rttm       NIST's Rich Transcription Time Marked, a SPEAKER line per segment, as pyannote and dscore read it
audacity   a label track: start, end and name, separated by tabs
json       a line per recording (JSON Lines), with its segments
track      a row per frame: file, time_s (the frame's beginning), probability
answers    a row per recording: its highest probability, and whether that is speech
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from earwitness.detectors.segments import Segment
from earwitness.detectors.speech_detector import Heard

RTTM_LABEL = "speech"
Lines = Iterator[str]


@dataclass
class Answered:
    """One recording while it is heard.

    name: as the user called it. stem: a name that no other recording has. note: what is odd about the file. step_s, onset: of the detector.
    """

    name: str
    stem: str
    note: str
    step_s: float
    onset: float
    pieces: Iterable[Heard]
    until_s: float = 0.0
    highest: float = field(default=float("nan"))

    def __iter__(self) -> Iterator[Heard]:
        for piece in self.pieces:
            self.until_s = piece.until_s
            if not np.isnan(piece.probabilities).all():
                self.highest = float(np.nanmax([self.highest, np.nanmax(piece.probabilities)]))
            yield piece

    def segments(self) -> Iterator[Segment]:
        for piece in self:
            yield from piece.segments


def _row(*cells: object) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _number(value: float, digits: int = 3) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def _csv(recording: Answered) -> Lines:
    for segment in recording.segments():
        yield _row(recording.name, _number(segment.start_s), _number(segment.end_s), _number(segment.probability, 4))


def rttm_name(stem: str) -> str:
    """What RTTM calls a recording; the format separates fields by blanks, and has no way to write one."""
    return "_".join(stem.split()) or "recording"


def _rttm(recording: Answered) -> Lines:
    name = rttm_name(recording.stem)
    for segment in recording.segments():
        yield f"SPEAKER {name} 1 {segment.start_s:.3f} {segment.end_s - segment.start_s:.3f} <NA> <NA> {RTTM_LABEL} <NA> <NA>\n"


def _audacity(recording: Answered) -> Lines:
    for segment in recording.segments():
        yield f"{segment.start_s:.6f}\t{segment.end_s:.6f}\t{RTTM_LABEL} {segment.probability:.2f}\n"


def _json(recording: Answered) -> Lines:
    segments = [{"start_s": round(s.start_s, 3), "end_s": round(s.end_s, 3), "probability": round(s.probability, 4)} for s in recording.segments()]
    highest = None if np.isnan(recording.highest) else round(recording.highest, 4)
    about = {"file": recording.name, "duration_s": round(recording.until_s, 3), "probability": highest, "note": recording.note}
    yield json.dumps(about | {"segments": segments}, ensure_ascii=False) + "\n"


def _track(recording: Answered) -> Lines:
    frame = 0
    for piece in recording:
        yield "".join(
            _row(recording.name, _number((frame + k) * recording.step_s), _number(p, 4)) for k, p in enumerate(piece.probabilities.tolist())
        )
        frame += len(piece.probabilities)


def _answers(recording: Answered) -> Lines:
    speech_s = sum(segment.end_s - segment.start_s for segment in recording.segments())
    answer = "SPEECH" if recording.highest >= recording.onset else "NONSPEECH"
    yield _row(recording.name, _number(recording.until_s), _number(recording.highest, 6), answer, _number(speech_s), recording.note)


@dataclass(frozen=True)
class Format:
    """lines: of one recording, as they become known. header: once before the first. suffix: of a file that holds one recording."""

    lines: Callable[[Answered], Lines]
    header: str
    suffix: str
    several: bool = True
    """Whether several recordings can follow each other in one stream."""


FORMATS = {
    "csv": Format(_csv, "file,start_s,end_s,probability\n", ".csv"),
    "rttm": Format(_rttm, "", ".rttm"),
    "audacity": Format(_audacity, "", ".txt", several=False),
    "json": Format(_json, "", ".jsonl"),
    "track": Format(_track, "file,time_s,probability\n", ".track.csv"),
    "answers": Format(_answers, "file,duration_s,probability,answer,speech_s,note\n", ".answer.csv"),
}
