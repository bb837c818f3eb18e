"""Fit every system's psychometric functions on the baseline set, and find its thresholds."""

import argparse
from pathlib import Path

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.psychometrics.study import collect_answers, fit_study, point_table
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import read_predictions
from earwitness.tables.psychometrics import CONTRASTS, CURVES, POINTS, THRESHOLDS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="predictions of every system on the baseline set (Parquet)")
    parser.add_argument("--index", type=Path, required=True, help="index of the baseline stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="the honest split (CSV); sources of its parts train and dev are left out")
    parser.add_argument("--thresholds", type=Path, required=True, help="where thresholds go (CSV)")
    parser.add_argument("--points", type=Path, required=True, help="where each condition's counts and measures go (CSV)")
    parser.add_argument("--curves", type=Path, required=True, help="where fitted curves go (CSV)")
    parser.add_argument("--contrasts", type=Path, required=True, help="where tests between thresholds go (CSV)")
    parser.add_argument("--settings", type=json_object, required=True, help="sigmoid, target, n_bootstrap")
    parser.add_argument("--confidence", type=float, required=True, help="level of every interval")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()

    predictions = read_predictions(args.predictions)
    systems = collect_answers(predictions, read_table(args.index, STIMULI), read_table(args.split, SPLIT))
    write_table(args.points, point_table(systems, args.confidence), POINTS)
    thresholds, curves, contrasts = fit_study(systems, **args.settings, confidence=args.confidence, seed=args.seed)
    write_table(args.thresholds, thresholds, THRESHOLDS)
    write_table(args.curves, curves, CURVES)
    write_table(args.contrasts, contrasts, CONTRASTS)


if __name__ == "__main__":
    main()
