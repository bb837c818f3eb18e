"""Measure every recipe of an experiment on every split, per seed, and accuracy against the number of training sources."""

import argparse
from pathlib import Path

from earwitness.core.arguments import by_name
from earwitness.core.errors import one_line_errors
from earwitness.evaluation.experiments import arms_of, experiment_table
from earwitness.evaluation.learning_curve import learning_curves
from earwitness.tables.experiments import EXPERIMENT, LEARNING_CURVE
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import read_predictions
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="predictions of the base and of the experiment's adapters (Parquet)")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="splits (CSV)")
    parser.add_argument("--split-names", nargs="+", required=True, help="what the splits are called, in their order")
    parser.add_argument("--experiment", type=Path, required=True, help="where the table of recipes and seeds goes (CSV)")
    parser.add_argument("--learning-curve", type=Path, required=True, help="where the learning curves go (CSV)")
    parser.add_argument("--confidence", type=float, required=True, help="level of every interval")
    args = parser.parse_args()

    predictions = read_predictions(args.predictions)
    splits = {name: read_table(path, SPLIT) for name, path in by_name("--split-names", args.split_names, args.splits).items()}
    arms = arms_of(predictions, read_table(args.index, STIMULI), splits)
    write_table(args.experiment, experiment_table(arms, args.confidence), EXPERIMENT)
    write_table(args.learning_curve, learning_curves(arms, args.confidence), LEARNING_CURVE)


if __name__ == "__main__":
    main()
