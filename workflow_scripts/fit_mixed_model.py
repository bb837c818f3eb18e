"""Fit mixed models to every system's answers: sensitivity and bias by duration and signal-to-noise ratio."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.evaluation.response_models import mixed_model_tables
from earwitness.tables.files import read_table, write_table
from earwitness.tables.mixed_models import MIXED_MODEL_EFFECTS, MIXED_MODEL_FITS
from earwitness.tables.predictions import read_predictions
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="predictions of every system (Parquet)")
    parser.add_argument("--index", type=Path, required=True, help="index of the stimuli (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="the honest split (CSV); sources of its parts train and dev are left out")
    parser.add_argument("--effects", type=Path, required=True, help="where the fixed effects go (CSV)")
    parser.add_argument("--fits", type=Path, required=True, help="where the table of fits goes (CSV)")
    parser.add_argument("--confidence", type=float, required=True, help="level of every interval")
    args = parser.parse_args()

    predictions = read_predictions(args.predictions)
    effects, fits = mixed_model_tables(predictions, read_table(args.index, STIMULI), read_table(args.split, SPLIT), args.confidence)
    write_table(args.effects, effects, MIXED_MODEL_EFFECTS)
    write_table(args.fits, fits, MIXED_MODEL_FITS)


if __name__ == "__main__":
    main()
