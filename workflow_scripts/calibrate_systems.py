"""Fit temperature and Platt's map on development sources, and measure probabilities on unseen ones."""

import argparse
from pathlib import Path

from earwitness.core.arguments import by_name
from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import write_json
from earwitness.evaluation.calibration import CALIBRATED_KINDS, calibration_name, calibration_table, fits_of, fitted_systems, reliability_table
from earwitness.evaluation.scored_answers import outcomes_on
from earwitness.leakage.tuning_records import tuning_record
from earwitness.systems import System
from earwitness.tables.calibration import CALIBRATION, CALIBRATION_FITS, RELIABILITY
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import by_system, read_predictions
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="predictions of every system (Parquet)")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose dev part fits and whose test part judges (CSV)")
    parser.add_argument("--fits", type=Path, required=True, help="where the fitted numbers go (CSV)")
    parser.add_argument("--calibration", type=Path, required=True, help="where the measures go (CSV)")
    parser.add_argument("--reliability", type=Path, required=True, help="where the reliability diagrams' bins go (CSV)")
    parser.add_argument(
        "--tuning",
        type=Path,
        nargs="+",
        required=True,
        help="where the records of what was fitted on what go, one per system and seed (JSON)",
    )
    parser.add_argument("--systems", type=System.parse, nargs="+", required=True, help="the systems, each seed apart, in the order of --tuning")
    parser.add_argument("--confidence", type=float, required=True, help="level of every interval")
    parser.add_argument("--seed", type=int, required=True, help="root seed of the draws")
    args = parser.parse_args()

    predictions = read_predictions(args.predictions)
    index, split = read_table(args.index, STIMULI), read_table(args.split, SPLIT)
    development, unseen = (
        [outcomes_on(rows, index, split, part, name) for system, rows in by_system(predictions) if system.combination != "vote"]
        for part, name in (("dev", "development"), ("test", "unseen"))
    )
    fits = fits_of(development)
    records = by_name("--systems", args.systems, args.tuning)
    fitted = fitted_systems(fits)
    if set(fitted) != set(records):
        raise InputError(f"--systems: name exactly {', '.join(sorted(map(str, fitted)))}, of which there are predictions")

    write_table(args.fits, fits, CALIBRATION_FITS)
    write_table(args.calibration, calibration_table(unseen, fits, args.confidence, args.seed), CALIBRATION)
    write_table(args.reliability, reliability_table(unseen, fits, args.confidence), RELIABILITY)
    used = split[split.part == "dev"]
    for system, rows in fitted.items():
        value = {str(fit.method): {"slope": fit.slope, "intercept": fit.intercept} for fit in rows.itertuples()}
        write_json(records[system], tuning_record(calibration_name(system), CALIBRATED_KINDS, value, args.split, used))


if __name__ == "__main__":
    main()
