"""Find the speech in recordings: segments, a probability track, or one answer for each file.

What is read: audio files (WAV, FLAC, Ogg, MP3 and more; any rate; channels are averaged, where they do not cancel), folders, with all audio
files anywhere below, and - for one file on standard input. Answers come while a recording is read; memory does not depend on its length. A file
that cannot be heard is named in one line on stderr and stops no other.
"""

import argparse
import contextlib
import errno
import importlib.util
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earwitness.audio.files import LOWEST_RATE, describe
from earwitness.audio.streaming import kept_on_disk
from earwitness.core.arguments import QUANTISATIONS, Arguments, batch_size, count
from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import atomic
from earwitness.core.folders import AUDIO_SUFFIXES, files_below
from earwitness.core.progress import Progress
from earwitness.core.terminal_text import printable
from earwitness.detectors.clip_files import why_not_heard
from earwitness.detectors.formats import FORMATS, Answered, rttm_name
from earwitness.detectors.frames import FRAME_DETECTORS
from earwitness.detectors.speech_detector import Heard, SpeechDetector
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused
from earwitness.runtime.threads import let_threads_sleep

EXAMPLES = """\
exit codes:
  0  every recording was heard     1  none was, or the detector is wrong     2  wrong command line
  3  some could not be heard       130  interrupted: what was answered stays     141  nobody reads the answers any more

examples:
  earwitness detect talk.wav                                    segments as CSV, by results/detector
  earwitness detect talks/ --rttm --output found/               one RTTM file per recording
  earwitness detect talk.flac --detector silero --audacity > talk.txt
  earwitness detect clips/*.wav --answers                       one answer per file
  ffmpeg -i film.mp4 -f wav - | earwitness detect - --json
  earwitness detect talk.wav --plot --output figures/           needs matplotlib
"""

SOME_HEARD = 3
"""Exit code where some files were heard and others could not be."""

DEFAULT_DETECTOR = Path("results/detector")


def printable_name(path: Path) -> str:
    """A path as text that can be printed, whatever bytes its name is made of."""
    return printable(os.fsencode(path).decode("utf-8", "backslashreplace"))


def share(text: str) -> float:
    """A number between 0 and 1, ends excluded."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value


def seconds(text: str) -> float:
    """A number of seconds from 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = Arguments(prog="earwitness detect", description=__doc__, epilog=EXAMPLES)
    parser.add_argument("recordings", nargs="+", metavar="FILE|FOLDER|-", help="what is listened to")
    wanted = parser.add_mutually_exclusive_group()
    for name, what in {
        "csv": "a row per segment (the default)",
        "rttm": "a SPEAKER line per segment",
        "audacity": "a label track per recording",
        "json": "a line per recording (JSON Lines)",
        "track": "a row per frame: the probability of speech over time",
        "answers": "a row per recording: is there speech in it?",
        "plot": "a picture per recording: sound, track and segments (PNG; with --output)",
    }.items():
        wanted.add_argument(f"--{name}", dest="format", action="store_const", const=name, help=what)
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="folder for one file per recording, instead of all on stdout")
    which = parser.add_argument_group("detector")
    which.add_argument(
        "--detector", default=str(DEFAULT_DETECTOR), help=f"a detector's folder (default: {DEFAULT_DETECTOR}), or {', '.join(FRAME_DETECTORS)}"
    )
    which.add_argument("--base", type=Path, help="folder of the base model (default: found from the detector's folder)")
    which.add_argument("--prevalence", type=share, help="share of speech to expect; moves every probability (default: 0.5)")
    which.add_argument("--quantisation", choices=QUANTISATIONS, help="of the base model (default: as in training)")
    which.add_argument("--memory", choices=["fast", "compact"], help="compact: fit into 8 GB of GPU memory at full size (default: fast)")
    which.add_argument("--batch-size", type=batch_size, help="stretches at a time, or auto (default)")
    which.add_argument("--threads", type=count, default=1, help="CPU threads (default: 1)")
    rule = parser.add_argument_group("segments", "in place of what was tuned on development recordings")
    rule.add_argument("--onset", type=share, help="probability from which a segment begins")
    rule.add_argument("--offset", type=share, help="probability below which it ends; at most the onset")
    rule.add_argument("--min-speech", type=seconds, metavar="S", help="shortest segment")
    rule.add_argument("--min-silence", type=seconds, metavar="S", help="shortest silence between two segments")
    parser.set_defaults(format="csv")
    return parser


def limit_threads(threads: int) -> None:
    """Raises InputError where torch is not installed."""
    let_threads_sleep()
    if importlib.util.find_spec("torch") is None:
        raise InputError('this detector needs torch, which is not installed here: pip install "earwitness[model]"')
    with garbage_collection_paused():
        # torch looks at the visible devices when it is imported.
        import torch

    torch.set_num_threads(threads)


def load(args: argparse.Namespace) -> SpeechDetector:
    """The detector that the command line names, with its segment rule."""
    names = ("prevalence", "quantisation", "memory", "batch_size")
    options: dict[str, Any] = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    known = args.detector in FRAME_DETECTORS
    if not known and not Path(args.detector).is_dir():
        raise InputError(f"{args.detector}: no such detector; name the folder that hand_over_adapter made, or one of {', '.join(FRAME_DETECTORS)}")
    if not known or args.detector == "pyannote":
        limit_threads(args.threads)
    detector = SpeechDetector.load(args.detector, args.base, **options)
    return detector.with_rule(onset=args.onset, offset=args.offset, min_speech_s=args.min_speech, min_silence_s=args.min_silence)


def recordings_of(names: list[str]) -> Iterator[tuple[str, Path]]:
    """Every recording that the command line names: what it is called, and where it is."""
    for name in names:
        if name == "-":
            with kept_on_disk(sys.stdin.buffer) as path:
                yield "stdin", path
        elif Path(name).is_dir():
            found = files_below(Path(name), AUDIO_SUFFIXES, any_name=True)
            if not found:
                yield printable_name(Path(name)), Path(name)
            yield from ((printable_name(path), path) for path in found)
        else:
            yield printable_name(Path(name)), Path(name)


class Answers:
    """Writes what was found in recordings, each as the command line wants it."""

    def __init__(self, args: argparse.Namespace):
        self._folder: Path | None = args.output
        self._format: str = args.format
        self._stems: set[str] = set()
        self._header = FORMATS[self._format].header if self._format in FORMATS else ""

    def write(self, name: str, path: Path, detector: SpeechDetector) -> None:
        """Listen to one recording and write everything about it. Raises InputError where it cannot be read to its end."""
        about = describe(path)
        # A file's length is known to within a sample of its own rate.
        short = "shorter than any training stimulus" * (about.duration_s < detector.frames.shortest_s - 1 / LOWEST_RATE)
        note = "; ".join(filter(None, [short, about.notes]))
        if note and self._format not in ("json", "answers"):
            tell(f"note: {name}: {note}")
        # Progress is for eyes: nothing is shown where stderr is a file or a pipe.
        with Progress(total=max(round(about.duration_s), 1), desc=name, unit="s of sound", disable=not sys.stderr.isatty()) as progress:
            stem = self._stem(name)
            answered = Answered(name, stem, note, detector.step_s, detector.rule.onset, _counted(detector.listen(path), progress))
            if self._format == "plot" and self._folder:
                from earwitness.detectors.picture import draw

                draw(answered, path, self._folder / f"{stem}.png", detector.rule)
            elif self._folder:
                form = FORMATS[self._format]
                with atomic(self._folder / f"{stem}{form.suffix}") as temporary, temporary.open("w", encoding="utf-8") as file:
                    file.write(form.header)
                    file.writelines(form.lines(answered))
            else:
                self._say(self._header)
                self._header = ""
                for line in FORMATS[self._format].lines(answered):
                    self._say(line)

    @staticmethod
    def _say(text: str) -> None:
        """Print at once, above the progress."""
        if text:
            Progress.write(text, end="")
            sys.stdout.flush()

    def _stem(self, name: str) -> str:
        """What a recording is called where neither its folder nor its suffix tells: recordings of one name in several folders get numbers."""
        given = Path(name).stem
        stems = itertools.chain([given], (f"{given}-{number}" for number in itertools.count(2)))
        stem = next(stem for stem in stems if rttm_name(stem) not in self._stems)
        self._stems.add(rttm_name(stem))
        return stem


def tell(text: str) -> None:
    """One line on stderr, above the progress."""
    Progress.write(" ".join(text.split()), file=sys.stderr)


def _counted(pieces: Iterator[Heard], progress: Progress) -> Iterator[Heard]:
    for piece in pieces:
        yield piece
        progress.update(max(min(round(piece.until_s), progress.total) - progress.n, 0))


def listen(args: argparse.Namespace) -> int:
    """Answer for every recording; the exit code. The detector is loaded with the first recording that can be heard."""
    answers, detector = Answers(args), None
    heard, unheard = 0, 0
    for name, path in recordings_of(args.recordings):
        if fault := why_not_heard(path):
            tell(f"error: {name}: {fault}")
            unheard += 1
            continue
        detector = detector or load(args)
        try:
            answers.write(name, path, detector)
            heard += 1
        except InputError as error:
            tell(f"error: {error}")
            unheard += 1
        except OSError as error:
            # A disk that is full ends the program; one name that is too long with its new suffix stops no other recording.
            if error.errno != errno.ENAMETOOLONG:
                raise
            tell(f"error: {name}: its name is too long for a file of its answers; use a shorter one, or leave --output out")
            unheard += 1
    return 1 if not heard else SOME_HEARD if unheard else 0


@one_line_errors
def main() -> None:
    args = parser().parse_args()
    if args.format == "plot" and not args.output:
        raise InputError("--plot draws files; name their folder with --output")
    if args.format == "audacity" and not args.output and (len(args.recordings) > 1 or Path(args.recordings[0]).is_dir()):
        raise InputError("--audacity writes one label track per recording; name a folder for them with --output")
    with leased_devices() if args.detector not in FRAME_DETECTORS else contextlib.nullcontext():
        sys.exit(listen(args))


if __name__ == "__main__":
    main()
