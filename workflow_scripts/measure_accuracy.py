"""Measure the accuracy of every system on its test sets, per seed, source and condition."""

import argparse
from pathlib import Path

from earwitness.config import complete_config
from earwitness.core.arguments import by_name
from earwitness.core.errors import one_line_errors
from earwitness.evaluation.accuracy import accuracy_table, condition_table, source_table
from earwitness.evaluation.scored_answers import score_systems
from earwitness.tables.accuracy import ACCURACY, CONDITION_ACCURACY, SOURCE_ACCURACY
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import read_predictions
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="predictions of every system (Parquet)")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="splits (CSV)")
    parser.add_argument("--split-names", nargs="+", required=True, help="what the splits are called, in their order")
    parser.add_argument("--accuracy", type=Path, required=True, help="where accuracy per system goes (CSV)")
    parser.add_argument("--sources", type=Path, required=True, help="where accuracy per source goes (CSV)")
    parser.add_argument("--conditions", type=Path, required=True, help="where accuracy per duration and SNR goes (CSV)")
    parser.add_argument("--confidence", type=float, required=True, help="level of every interval")
    args = parser.parse_args()

    confidence = complete_config({"statistics": {"confidence": args.confidence}})["statistics"]["confidence"]
    predictions = read_predictions(args.predictions)
    splits = {name: read_table(path, SPLIT) for name, path in by_name("--split-names", args.split_names, args.splits).items()}
    systems = score_systems(predictions, read_table(args.index, STIMULI), splits)
    write_table(args.accuracy, accuracy_table(systems, confidence), ACCURACY)
    write_table(args.sources, source_table(systems), SOURCE_ACCURACY)
    write_table(args.conditions, condition_table(systems), CONDITION_ACCURACY)


if __name__ == "__main__":
    main()
