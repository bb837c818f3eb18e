"""List which unseen stimuli systems get wrong, and the share per class, category, duration and signal-to-noise ratio."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.evaluation.error_analysis import error_rate_table, error_table
from earwitness.evaluation.scored_answers import outcomes_on
from earwitness.tables.error_analysis import ERROR_RATES, ERRORS
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import by_system, read_predictions
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="predictions of the systems (Parquet)")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose test part is looked at (CSV)")
    parser.add_argument("--errors", type=Path, required=True, help="where the stimuli that are answered wrongly go (CSV)")
    parser.add_argument("--rates", type=Path, required=True, help="where the error rates go (CSV)")
    parser.add_argument("--confidence", type=float, required=True, help="level of every interval")
    args = parser.parse_args()

    predictions = read_predictions(args.predictions)
    index, split = read_table(args.index, STIMULI), read_table(args.split, SPLIT)
    systems = [outcomes_on(rows, index, split, "test", "unseen") for _, rows in by_system(predictions)]
    write_table(args.errors, error_table(systems, index), ERRORS)
    write_table(args.rates, error_rate_table(systems, index, args.confidence), ERROR_RATES)


if __name__ == "__main__":
    main()
