"""Cut the clips of a data set: speech of one speaker alone, or the active part of a sound, as 16 kHz mono."""

import argparse
import sys
from collections import Counter
from pathlib import Path

import pandas as pd

from earwitness.audio.io import encode_flac
from earwitness.core.arguments import json_object, settings_of
from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import atomic
from earwitness.core.progress import Progress
from earwitness.corpora.clips import Clip, ClipSettings, select_clips
from earwitness.tables.audio import AudioTableWriter
from earwitness.tables.clips import CLIPS
from earwitness.tables.files import read_table
from earwitness.tables.recordings import RECORDINGS, SEGMENTS

ROWS_PER_GROUP = 64


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path, help="table of usable recordings (Parquet)")
    parser.add_argument("segments", type=Path, help="table of stretches (Parquet)")
    parser.add_argument("clips", type=Path, help="where the clips go (Parquet with audio)")
    parser.add_argument("--settings", type=json_object, required=True, help="the `clips` settings (JSON)")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()

    recordings = read_table(args.recordings, RECORDINGS)
    selection = select_clips(recordings, read_table(args.segments, SEGMENTS), settings_of(ClipSettings, "--settings", args.settings), args.seed)
    idle: Counter[str] = Counter()
    total, sources = 0, set()
    with atomic(args.clips) as temporary, AudioTableWriter(temporary, CLIPS) as writer:
        waiting: list[Clip] = []
        for source, clips, skipped in Progress(
            selection, total=len(recordings[["source_id", "label"]].drop_duplicates()), desc="cutting clips", unit="sources"
        ):
            idle += skipped
            total += len(clips)
            sources |= {source} if clips else set()
            waiting += clips
            if len(waiting) >= ROWS_PER_GROUP:
                write(writer, waiting)
                waiting = []
        if not total:
            raise InputError(
                f"{args.recordings}: no clip of clips.duration_s = {args.settings['duration_s']:g} s in {len(recordings)} recordings ({told(idle)}); "
                "lower clips.duration_s, and the durations of the stimuli with it, or relax the other clips settings"
            )
        if waiting:
            write(writer, waiting)
    print(f"{total} clips from {len(sources)} sources; recordings without a clip: {told(idle)}", file=sys.stderr)


def write(writer: AudioTableWriter, clips: list[Clip]) -> None:
    """Append clips as one row group."""
    rows = pd.DataFrame([clip.row for clip in clips])
    writer.write(rows, [encode_flac(clip.samples, "PCM_24") for clip in clips], [f"{name}.flac" for name in rows.clip_id])


def told(idle: Counter[str]) -> str:
    """The counts in words."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(idle.items())) or "none"


if __name__ == "__main__":
    main()
