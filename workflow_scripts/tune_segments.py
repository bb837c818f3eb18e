"""Choose on development recordings how the handed-over detector follows recordings: stretch, smoothing, thresholds, shortest durations."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from earwitness.core.errors import one_line_errors
from earwitness.core.files import write_json
from earwitness.corpora.annotated import annotated_recordings
from earwitness.detectors.folder import SEGMENTS_NAME, load_detector_folder, untuned
from earwitness.runtime.devices import leased_devices
from earwitness.tables.files import read_table
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detector", type=Path, help="the detector's folder")
    parser.add_argument("--base", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--recordings", type=Path, nargs="+", required=True, help="tables of recordings (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose dev part tunes (CSV)")
    parser.add_argument("--seconds", type=float, required=True, help="of recordings with speech, and of those without")
    parser.add_argument("--memory", choices=["fast", "compact"], default="fast", help="compact: fit into 8 GB of GPU memory at full size")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True, help="CPU threads; part of the result's last bits")
    parser.add_argument("--output", type=Path, required=True, help="where it goes how the detector makes segments (JSON)")
    args = parser.parse_args()

    recordings = pd.concat([read_table(path, RECORDINGS) for path in args.recordings], ignore_index=True)
    development = annotated_recordings(recordings, read_table(args.split, SPLIT), "dev", args.seconds, args.seed)
    folder = load_detector_folder(args.detector)
    following, candidates = untuned(folder.presentation), list[dict[str, Any]]()
    if any(one.speech for one in development):
        with leased_devices():
            # torch looks at the visible devices when it is imported.
            import torch

            from earwitness.detectors.listener import trained_listener
            from earwitness.detectors.listener_tuning import tune_following

            torch.set_num_threads(args.threads)
            following, candidates = tune_following(trained_listener(folder, args.base, memory=args.memory), development)
    tuned = {"part": "dev", "recordings": [one.recording_id for one in development], "candidates": candidates}
    write_json(args.output, {"schema": SEGMENTS_NAME, "following": following.record(), "tuned": tuned})


if __name__ == "__main__":
    main()
