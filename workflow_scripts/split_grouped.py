"""Split the stimuli into train, dev and test so that no source is in two parts."""

import argparse
from pathlib import Path

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.splits.study import split_by_source, with_sessions
from earwitness.tables.files import read_table, write_table
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path, help="table of stimuli (Parquet)")
    parser.add_argument("split", type=Path, help="where the split goes (CSV)")
    parser.add_argument("--recordings", type=Path, nargs="*", default=[], help="tables of their recordings, which name sessions (Parquet)")
    parser.add_argument("--settings", type=json_object, required=True, help="the configuration's splits section (JSON)")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()

    stimuli = with_sessions(read_table(args.index, STIMULI), [read_table(path, RECORDINGS) for path in args.recordings])
    split = split_by_source(stimuli, args.settings["dev_fraction"], args.settings["test_fraction"], args.seed)
    write_table(args.split, split, SPLIT)


if __name__ == "__main__":
    main()
