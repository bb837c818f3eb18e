"""Say of every audio file whether there is speech in it, with a calibrated probability, by the detector that hand_over_adapter made.

A clip that is at most as long as the longest training stimulus is heard whole. A longer one is heard in stretches of that length, each
half a length after the one before; the file's row is then its most speech-like stretch, and --stretches prints them all.

A file that cannot be heard (missing, no audio, shorter than 20 ms) is named on stderr, has a row without an answer at the end, and stops
no other. Exit codes: 0, every file was heard; 1, none was, or the detector or its base is wrong; 2, a wrong command line; 3, some were.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import pandas as pd

from earwitness.core.arguments import batch_size
from earwitness.core.errors import one_line_errors
from earwitness.detectors.clip_files import why_not_heard
from earwitness.detectors.folder import load_detector_folder
from earwitness.runtime.devices import leased_devices

SOME_HEARD = 3
"""Exit code where some files were heard and others could not be."""


def printable_name(path: Path) -> str:
    """A path as text that can be printed, whatever bytes its name is made of."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def share(text: str) -> float:
    """A number between 0 and 1, ends excluded."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the detector's folder, such as results/detector")
    parser.add_argument(
        "clips", type=Path, nargs="+", help="audio files (WAV, FLAC, Ogg, MP3), any rate; channels are averaged, where they do not cancel"
    )
    parser.add_argument("--base", type=Path, required=True, help="folder of the base model that the adapter was trained on")
    parser.add_argument("--format", choices=["csv", "json"], default="csv", help="what is printed (default: csv)")
    parser.add_argument("--stretches", action="store_true", help="a row for every stretch of a long file, not its most speech-like one alone")
    parser.add_argument("--threshold", type=share, default=0.5, help="probability from which the answer is SPEECH (default: 0.5)")
    parser.add_argument("--prevalence", type=share, default=0.5, help="share of speech to expect; moves every probability (default: 0.5)")
    parser.add_argument("--quantisation", choices=["none", "nf4"], help="of the base model (default: as in training)")
    parser.add_argument("--memory", choices=["fast", "compact"], default="fast", help="compact: fit into 8 GB of GPU memory at full size")
    parser.add_argument("--batch-size", type=batch_size, default=None, help="stretches at a time, or auto (default)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    args = parser.parse_args()

    folder = load_detector_folder(args.folder)
    unheard = {path: fault for path in args.clips if (fault := why_not_heard(path))}
    for path, fault in unheard.items():
        print("error:", " ".join(f"{printable_name(path)}: {fault}".split()), file=sys.stderr)
    if not (heard := [path for path in args.clips if path not in unheard]):
        sys.exit(1)
    with leased_devices():
        # torch looks at the visible devices when it is imported.
        import torch

        from earwitness.detectors.speech_detector import SpeechDetector, by_file

        torch.set_num_threads(args.threads)
        detector = SpeechDetector(folder, args.base, args.quantisation, args.memory, args.batch_size)
        table = detector.stretches(heard, args.prevalence, args.threshold)
    rows = (table if args.stretches else by_file(table)).round({"probability": 6, "log_odds": 6})
    silent = pd.DataFrame({"file": map(printable_name, unheard), "note": [f"not heard: {fault}" for fault in unheard.values()]})
    rows = pd.concat([rows, silent.reindex(columns=rows.columns)], ignore_index=True) if unheard else rows
    if args.format == "json":
        print(json.dumps(rows.astype(object).where(rows.notna(), None).to_dict("records"), indent=1, ensure_ascii=False))
    else:
        rows.to_csv(sys.stdout, index=False, lineterminator="\n")
    if unheard:
        sys.exit(SOME_HEARD)


if __name__ == "__main__":
    main()
