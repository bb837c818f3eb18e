"""Choose on development recordings how the selected detector follows recordings (stretch, smoothing, thresholds, shortest durations), and follow
test recordings so, by one load of the model."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from earwitness.core.arguments import count
from earwitness.core.errors import one_line_errors
from earwitness.core.files import write_json
from earwitness.corpora.annotated import annotated_recordings
from earwitness.detectors.folder import SEGMENTS_NAME, load_detector_folder, untuned
from earwitness.detectors.tuning import Followed, follow_all, tracks_table
from earwitness.runtime.devices import leased_devices
from earwitness.runtime.imports import garbage_collection_paused
from earwitness.tables.detection import DETECTION_TRACKS
from earwitness.tables.files import read_table, write_table
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detector", type=Path, help="the detector's folder")
    parser.add_argument("--base", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--recordings", type=Path, nargs="+", required=True, help="tables of recordings (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose dev part tunes, and whose test part is measured (CSV)")
    parser.add_argument("--seconds", type=float, required=True, help="of recordings with speech, and of those without")
    parser.add_argument("--memory", choices=["fast", "compact"], default="fast", help="compact: fit into 8 GB of GPU memory at full size")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=count, required=True, help="CPU threads; part of the result's last bits")
    parser.add_argument("--segments", type=Path, required=True, help="where the settings that make segments go (JSON)")
    parser.add_argument("--tracks", type=Path, required=True, help="where the detector's probabilities in test recordings go (Parquet)")
    args = parser.parse_args()

    recordings = pd.concat([read_table(path, RECORDINGS) for path in args.recordings], ignore_index=True)
    split = read_table(args.split, SPLIT)
    development, test = (annotated_recordings(recordings, split, part, args.seconds, args.seed) for part in ("dev", "test"))
    folder = load_detector_folder(args.detector)
    following, candidates = untuned(folder.presentation), list[dict[str, Any]]()
    followed = Followed([], [], following.step_ms / 1000)
    if any(one.speech for one in [*development, *test]):
        with leased_devices():
            with garbage_collection_paused():
                # torch looks at the visible devices when it is imported.
                import torch

                from earwitness.detectors.listener import trained_listener
                from earwitness.detectors.listener_tuning import tune_following

            torch.set_num_threads(args.threads)
            listener = trained_listener(folder, args.base, memory=args.memory)
            if any(one.speech for one in development):
                following, candidates = tune_following(listener, development)
            if any(one.speech for one in test):
                followed = follow_all(listener.detector(folder.system, following), test)
    tuned = {"part": "dev", "recordings": [one.recording_id for one in development], "candidates": candidates}
    write_json(args.segments, {"schema": SEGMENTS_NAME, "following": following.record(), "tuned": tuned})
    write_table(args.tracks, tracks_table(followed), DETECTION_TRACKS)


if __name__ == "__main__":
    main()
