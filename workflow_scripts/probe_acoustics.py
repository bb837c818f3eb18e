"""Answer every stimulus by a linear readout of its level, bandwidth and duration."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.core.files import write_json
from earwitness.detectors.encoder_probe import FITS, acoustic_vectors, probe
from earwitness.leakage.tuning_records import tuning_record
from earwitness.systems import ACOUSTICS_PROBE
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import PREDICTIONS
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--study", type=Path, nargs="+", required=True, help="the stimuli that the split divides (Parquet)")
    parser.add_argument(
        "--split", type=Path, required=True, help="split whose train part fits the readout, and whose development part its penalty (CSV)"
    )
    parser.add_argument("--output", type=Path, required=True, help="where the predictions go (Parquet)")
    parser.add_argument("--tuning", type=Path, required=True, help="where the record of what was fitted, and on what, goes (JSON)")
    args = parser.parse_args()

    asked = acoustic_vectors(args.shards)
    study = asked if args.study == args.shards else acoustic_vectors(args.study)
    predictions, value, used = probe(ACOUSTICS_PROBE, asked, study, read_table(args.split, SPLIT))
    write_table(args.output, predictions, PREDICTIONS)
    write_json(args.tuning, tuning_record(str(ACOUSTICS_PROBE), FITS[ACOUSTICS_PROBE.name], value, args.split, used))


if __name__ == "__main__":
    main()
