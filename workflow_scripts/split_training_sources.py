"""Leave only some sources of each class in the train part of a split."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.splits.study import split_with_fewer_sources
from earwitness.tables.files import read_table, write_table
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("grouped", type=Path, help="the split by source (CSV)")
    parser.add_argument("split", type=Path, help="where the smaller split goes (CSV)")
    parser.add_argument("--sources", type=int, required=True, help="training sources of each class")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()

    write_table(args.split, split_with_fewer_sources(read_table(args.grouped, SPLIT), args.sources, args.seed), SPLIT)


if __name__ == "__main__":
    main()
