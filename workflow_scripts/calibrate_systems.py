"""Fit temperature and Platt's map on development sources, and measure probabilities on unseen ones."""

import argparse
from pathlib import Path

import pandas as pd

from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import write_json
from earwitness.evaluation.calibration import CALIBRATED_KINDS, calibration_name, calibration_table, fits_of, reliability_table
from earwitness.evaluation.ensembles import score_based
from earwitness.evaluation.scored_answers import NOT_TRAINED, outcomes_on
from earwitness.leakage.tuning_records import tuning_record
from earwitness.tables.calibration import CALIBRATION, CALIBRATION_FITS, RELIABILITY
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import PREDICTIONS
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
        "--tuning", type=Path, nargs="+", required=True, help="where it goes what was fitted on what: {system}[-seed-{seed}].tuning.json each"
    )
    parser.add_argument("--confidence", type=float, required=True, help="level of every interval")
    parser.add_argument("--seed", type=int, required=True, help="root seed of the draws")
    args = parser.parse_args()

    predictions = pd.concat([read_table(path, PREDICTIONS) for path in args.predictions], ignore_index=True)
    predictions = predictions[score_based(predictions.system_id)]
    index, split = read_table(args.index, STIMULI), read_table(args.split, SPLIT)
    development, unseen = (
        [outcomes_on(rows, index, split, part, name) for _, rows in predictions.groupby("system_id")]
        for part, name in (("dev", "development"), ("test", "unseen"))
    )
    fits = fits_of(development)
    records = {path.name.removesuffix(".tuning.json"): path for path in args.tuning}
    names = {
        (system, seed): system if seed == NOT_TRAINED else f"{system}-seed-{seed}" for system, seed in zip(fits.system_id, fits.seed, strict=True)
    }
    if set(names.values()) != set(records):
        raise InputError(f"--tuning: name exactly {', '.join(f'{name}.tuning.json' for name in sorted(set(names.values())))}")

    write_table(args.fits, fits, CALIBRATION_FITS)
    write_table(args.calibration, calibration_table(unseen, fits, args.confidence, args.seed), CALIBRATION)
    write_table(args.reliability, reliability_table(unseen, fits, args.confidence), RELIABILITY)
    used = split[split.part == "dev"]
    for (system, seed), rows in fits.groupby(["system_id", "seed"]):
        value = {str(fit.method): {"slope": fit.slope, "intercept": fit.intercept} for fit in rows.itertuples()}
        name = names[system, seed]
        write_json(records[name], tuning_record(calibration_name(name), CALIBRATED_KINDS, value, args.split, used))


if __name__ == "__main__":
    main()
