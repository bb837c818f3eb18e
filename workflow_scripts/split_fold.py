"""Split the stimuli into train, dev and test by source, as one of the folds that together test every source once."""

import argparse
from pathlib import Path

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.splits.components import read_ties
from earwitness.splits.study import split_into_fold, with_origins
from earwitness.tables.files import read_table, write_table
from earwitness.tables.recordings import RECORDINGS
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path, help="table of stimuli (Parquet)")
    parser.add_argument("split", type=Path, help="where the split goes (CSV)")
    parser.add_argument("--fold", type=int, required=True, help="which fold: 0, 1, ...")
    parser.add_argument(
        "--recordings", type=Path, nargs="*", default=[], help="tables of their recordings, which say what was recorded together (Parquet)"
    )
    parser.add_argument("--ties", type=Path, nargs="*", default=[], help="tables of sources that must be in one part (CSV)")
    parser.add_argument("--settings", type=json_object, required=True, help="folds and dev_fraction of the configuration's splits section (JSON)")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()

    recordings = [read_table(path, RECORDINGS) for path in args.recordings]
    stimuli = with_origins(read_table(args.index, STIMULI), recordings)
    ties = read_ties(args.ties, [source for table in [stimuli, *recordings] for source in table.source_id])
    write_table(args.split, split_into_fold(stimuli, **args.settings, fold=args.fold, seed=args.seed, ties=ties), SPLIT)


if __name__ == "__main__":
    main()
