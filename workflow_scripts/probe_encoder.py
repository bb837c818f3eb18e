"""Answer every stimulus by a linear readout of what the base's audio tower hears, or an untrained one."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.core.files import write_json
from earwitness.detectors.encoder_probe import COLUMNS, FITS, probe, read_vectors
from earwitness.leakage.tuning_records import tuning_record
from earwitness.systems import System
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import PREDICTIONS
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", type=Path, nargs="+", help="stimuli as the tower or the controls encode them (Parquet)")
    parser.add_argument("--study", type=Path, nargs="+", required=True, help="the same of the stimuli that the split divides (Parquet)")
    parser.add_argument(
        "--split", type=Path, required=True, help="split whose train part fits the readout, and whose development part its penalty (CSV)"
    )
    parser.add_argument("--probe", choices=sorted(COLUMNS), required=True)
    parser.add_argument("--model", required=True, help="the model whose audio tower is read: a name in the configuration's models")
    parser.add_argument("--output", type=Path, required=True, help="where the predictions go (Parquet)")
    parser.add_argument("--tuning", type=Path, required=True, help="where the record of what was fitted, and on what, goes (JSON)")
    args = parser.parse_args()

    system, column = System("encoder_probe", args.probe, model=args.model), COLUMNS[args.probe]
    asked = read_vectors(args.vectors, column)
    study = asked if args.study == args.vectors else read_vectors(args.study, column)
    predictions, value, used = probe(system, asked, study, read_table(args.split, SPLIT))
    write_table(args.output, predictions, PREDICTIONS)
    write_json(args.tuning, tuning_record(str(system), FITS[args.probe], value, args.split, used))


if __name__ == "__main__":
    main()
