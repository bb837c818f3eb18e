"""Make one shard of the factorial stimuli from the clips that belong to it."""

import argparse
from pathlib import Path

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.stimuli.design import factorial_design, shard_clips
from earwitness.stimuli.mixing import write_shard
from earwitness.tables.clips import CLIPS
from earwitness.tables.files import read_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+", help="tables of clips with audio (Parquet)")
    parser.add_argument("--output", type=Path, required=True, help="where the shard goes (Parquet)")
    parser.add_argument("--shard", type=int, required=True, help="number of this shard, from 0")
    parser.add_argument("--shards", type=int, required=True, help="how many shards there are")
    parser.add_argument("--settings", type=json_object, required=True, help="the configuration's stimuli section (JSON)")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()

    clip_ids = [clip_id for path in args.clips for clip_id in read_table(path, CLIPS).clip_id]
    mine = shard_clips(clip_ids, args.shard, args.shards)
    written = write_shard(args.clips, args.output, factorial_design(args.settings), args.seed, mine)
    print(f"{args.output}: {written} stimuli")


if __name__ == "__main__":
    main()
