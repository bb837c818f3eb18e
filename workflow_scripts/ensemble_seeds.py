"""Combine the seeds of one adapter into two systems of their own: majority vote and mean log-odds."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.evaluation.ensembles import combine_seeds
from earwitness.tables.files import write_table
from earwitness.tables.predictions import PREDICTIONS, read_predictions


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="predictions of every seed (Parquet)")
    parser.add_argument("--output", type=Path, required=True, help="where the ensembles' predictions go (Parquet)")
    args = parser.parse_args()

    predictions = read_predictions(args.predictions)
    write_table(args.output, combine_seeds(predictions), PREDICTIONS)


if __name__ == "__main__":
    main()
