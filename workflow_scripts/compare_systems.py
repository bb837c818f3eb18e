"""Test which systems differ on unseen sources, what would settle it, and measure what leakage and ensembles buy."""

import argparse
from pathlib import Path

from earwitness.config import complete_config
from earwitness.core.arguments import by_name, json_object
from earwitness.core.errors import one_line_errors
from earwitness.evaluation.comparison import compare_systems, leakage_table
from earwitness.evaluation.ensembles import gain_table
from earwitness.evaluation.power import power_table, variance_table
from earwitness.evaluation.scored_answers import score_systems
from earwitness.tables.comparisons import COMPARISONS, LEAKAGE
from earwitness.tables.ensembles import ENSEMBLES
from earwitness.tables.files import read_table, write_table
from earwitness.tables.power import POWER, VARIANCE
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
    parser.add_argument("--comparisons", type=Path, required=True, help="where the paired tests go (CSV)")
    parser.add_argument("--leakage", type=Path, required=True, help="where the leaky arm's two accuracies go (CSV)")
    parser.add_argument("--ensembles", type=Path, required=True, help="where the ensembles' gains go (CSV)")
    parser.add_argument("--power", type=Path, required=True, help="where the power of each comparison goes, and what would settle it (CSV)")
    parser.add_argument("--variance", type=Path, required=True, help="where the variance components go (CSV)")
    parser.add_argument("--settings", type=json_object, required=True, help="the configuration's statistics (JSON)")
    args = parser.parse_args()

    settings = complete_config({"statistics": args.settings})["statistics"]
    predictions = read_predictions(args.predictions)
    index = read_table(args.index, STIMULI)
    splits = {name: read_table(path, SPLIT) for name, path in by_name("--split-names", args.split_names, args.splits).items()}
    systems = score_systems(predictions, index, splits)
    confidence, margin = settings["confidence"], settings["equivalence_margin"]
    comparisons = compare_systems(systems, predictions, index, splits["grouped"], confidence, margin)
    write_table(args.comparisons, comparisons, COMPARISONS)
    write_table(args.power, power_table(systems, comparisons, settings), POWER)
    write_table(args.variance, variance_table(systems), VARIANCE)
    write_table(args.ensembles, gain_table(systems, confidence, margin), ENSEMBLES)
    write_table(args.leakage, leakage_table(systems, confidence), LEAKAGE)


if __name__ == "__main__":
    main()
