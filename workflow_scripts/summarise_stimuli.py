"""Count the stimuli of each set per class and condition, with the largest deviations from what was asked for."""

import argparse
from pathlib import Path

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.stimuli.summary import summarise_stimuli
from earwitness.tables.files import read_table, write_table
from earwitness.tables.stimuli import STIMULI
from earwitness.tables.stimulus_summary import STIMULUS_SUMMARY


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("indexes", type=Path, nargs="+", help="rows of all stimuli of a set (Parquet)")
    parser.add_argument("--summaries", type=Path, nargs="+", required=True, help="where each set's counts and deviations go (CSV)")
    parser.add_argument("--levels", type=json_object, required=True, help='dB relative to full scale by normalisation, "peak" and "rms" (JSON)')
    args = parser.parse_args()

    for index, summary in zip(args.indexes, args.summaries, strict=True):
        write_table(summary, summarise_stimuli(read_table(index, STIMULI), args.levels), STIMULUS_SUMMARY)


if __name__ == "__main__":
    main()
