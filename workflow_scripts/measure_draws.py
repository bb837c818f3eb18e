"""Measure the published design over its draws: what its split by row and its corrected one give, and how far one draw is from another."""

import argparse
from pathlib import Path

from earwitness.core.arguments import by_name
from earwitness.core.errors import one_line_errors
from earwitness.evaluation.draws import draw_table
from earwitness.tables.draws import DRAWS
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import read_predictions
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="predictions of the experiment's adapters (Parquet)")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="splits (CSV)")
    parser.add_argument("--split-names", nargs="+", required=True, help="what the splits are called, in their order")
    parser.add_argument("--draws", type=Path, required=True, help="where the table goes (CSV)")
    parser.add_argument("--confidence", type=float, required=True, help="level of every interval")
    args = parser.parse_args()

    predictions = read_predictions(args.predictions)
    splits = {name: read_table(path, SPLIT) for name, path in by_name("--split-names", args.split_names, args.splits).items()}
    write_table(args.draws, draw_table(predictions, read_table(args.index, STIMULI), splits, args.confidence), DRAWS)


if __name__ == "__main__":
    main()
