"""How well the selected detector and the classic ones find the speech in test recordings: detection error rate, and frame ROC."""

import argparse
from pathlib import Path

import pandas as pd

from earwitness.core.errors import one_line_errors
from earwitness.corpora.annotated import annotated_recordings
from earwitness.detectors.folder import load_detector_folder
from earwitness.detectors.frames import frame_detector
from earwitness.detectors.measuring import detection_row, detection_tables, roc_rows
from earwitness.detectors.tuning import follow_all, recorded, tune_rule
from earwitness.tables.detection import DETECTION, DETECTION_ROC, DETECTION_TRACKS
from earwitness.tables.files import read_table, write_table
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detector", type=Path, nargs="?", help="the detector's folder, with its segments.json")
    parser.add_argument("--detectors", nargs="*", default=[], help="classic detectors beside it")
    parser.add_argument("--tracks", type=Path, nargs="*", default=[], help="what follow_recordings found with it; needed with a detector (Parquet)")
    parser.add_argument("--recordings", type=Path, nargs="+", required=True, help="tables of recordings (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose test part is heard; its dev part tunes the classic detectors (CSV)")
    parser.add_argument("--seconds", type=float, required=True, help="of recordings with speech, and of those without")
    parser.add_argument("--confidence", type=float, required=True, help="level of the intervals")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--table", type=Path, required=True, help="where the error rates go (CSV)")
    parser.add_argument("--roc", type=Path, required=True, help="where the frames' ROC goes (CSV)")
    args = parser.parse_args()
    if len(args.tracks) != bool(args.detector):
        parser.error("a detector needs --tracks FILE, which nothing else reads")

    recordings = pd.concat([read_table(path, RECORDINGS) for path in args.recordings], ignore_index=True)
    split = read_table(args.split, SPLIT)
    development = annotated_recordings(recordings, split, "dev", args.seconds, args.seed)
    test = annotated_recordings(recordings, split, "test", args.seconds, args.seed)
    rows, curves = [], []
    if any(one.speech for one in test):
        for name in args.detectors:
            classic = frame_detector(name)
            followed = follow_all(classic, test)
            rows.append(detection_row(name, "own", followed, classic.rule, args.confidence))
            if any(one.speech for one in development):
                rows.append(detection_row(name, "tuned", followed, tune_rule(follow_all(classic, development)).rule, args.confidence))
            curves.append(roc_rows(name, followed.roc()))
        if args.detector:
            folder = load_detector_folder(args.detector)
            followed = recorded(read_table(args.tracks[0], DETECTION_TRACKS), test, folder.following.step_ms / 1000)
            rows.append(detection_row(folder.system, "tuned", followed, folder.following.rule, args.confidence))
            curves.append(roc_rows(folder.system, followed.roc()))
    table, roc = detection_tables(rows, curves)
    write_table(args.table, table, DETECTION)
    write_table(args.roc, roc, DETECTION_ROC)


if __name__ == "__main__":
    main()
