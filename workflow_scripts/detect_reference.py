"""Answer every stimulus with a classic voice activity detector."""

import argparse
import sys
import time
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.core.files import write_json
from earwitness.detectors.classic import DETECTORS, FITS, detect
from earwitness.leakage.tuning_records import tuning_record
from earwitness.tables.files import read_table, write_table
from earwitness.tables.predictions import PREDICTIONS
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="stimuli with audio (Parquet)")
    parser.add_argument("--study", type=Path, nargs="+", required=True, help="the stimuli that the split divides (Parquet)")
    parser.add_argument("--split", type=Path, required=True, help="split whose development part tunes the detector (CSV)")
    parser.add_argument("--detector", choices=sorted(DETECTORS), required=True)
    parser.add_argument("--output", type=Path, required=True, help="where the predictions go (Parquet)")
    parser.add_argument("--tuning", type=Path, required=True, help="where the record of what was fitted, and on what, goes (JSON)")
    args = parser.parse_args()

    start = time.perf_counter()
    predictions, value, used = detect(args.detector, args.shards, read_table(args.split, SPLIT), args.study)
    milliseconds = 1000 * (time.perf_counter() - start) / len(predictions)
    print(f"{args.detector}: {len(predictions)} stimuli, {milliseconds:.2f} ms each, reading and tuning included", file=sys.stderr)
    write_table(args.output, predictions, PREDICTIONS)
    write_json(args.tuning, tuning_record(args.detector, FITS[args.detector], value, args.split, used))


if __name__ == "__main__":
    main()
