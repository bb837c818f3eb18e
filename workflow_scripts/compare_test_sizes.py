"""Test the same systems on few items and on many, to see what a small test set can resolve."""

import argparse
from pathlib import Path

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.evaluation.scored_answers import score_systems
from earwitness.evaluation.test_set_size import size_table
from earwitness.tables.experiments import TEST_SIZES
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import read_predictions
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="predictions of every system (Parquet)")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="the split whose test part is drawn from (CSV)")
    parser.add_argument("--sizes", type=Path, required=True, help="where the table of sizes goes (CSV)")
    parser.add_argument("--settings", type=json_object, required=True, help="config splits.extended_test (JSON)")
    parser.add_argument("--confidence", type=float, required=True, help="level of every interval")
    parser.add_argument("--power", type=float, required=True, help="power at which the smallest detectable gain is given")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()

    predictions = read_predictions(args.predictions)
    systems = score_systems(predictions, read_table(args.index, STIMULI), {args.split.stem: read_table(args.split, SPLIT)})
    table = size_table(systems, args.settings["items"], args.settings["draws"], args.confidence, args.power, args.seed)
    write_table(args.sizes, table, TEST_SIZES)


if __name__ == "__main__":
    main()
