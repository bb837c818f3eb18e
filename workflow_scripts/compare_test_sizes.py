"""Test the same systems on few items and on many, to see what a small test set can resolve."""

import argparse
from pathlib import Path

import pandas as pd

from earshot.arguments import json_object
from earshot.errors import one_line_errors
from earshot.extended_tests import size_table
from earshot.outcomes import score_systems
from earshot.tables.experiments import TEST_SIZES
from earshot.tables.files import read_table, write_table
from earshot.tables.predictions import PREDICTIONS
from earshot.tables.splits import SPLIT
from earshot.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="predictions of every system (Parquet)")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="the split whose test part is drawn from (CSV)")
    parser.add_argument("--sizes", type=Path, required=True, help="where the table of sizes goes (CSV)")
    parser.add_argument("--settings", type=json_object, required=True, help="config splits.extended_test (JSON)")
    parser.add_argument("--confidence", type=float, required=True, help="level of every interval")
    parser.add_argument("--power", type=float, required=True, help="chance of finding the smallest gain that is told")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()

    predictions = pd.concat([read_table(path, PREDICTIONS) for path in args.predictions], ignore_index=True)
    systems = score_systems(predictions, read_table(args.index, STIMULI), {args.split.stem: read_table(args.split, SPLIT)})
    table = size_table(systems, args.settings["items"], args.settings["draws"], args.confidence, args.power, args.seed)
    write_table(args.sizes, table, TEST_SIZES)


if __name__ == "__main__":
    main()
