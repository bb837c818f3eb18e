"""Split rows at random, ignoring their source: the published study's mistake, kept only to show its leak."""

import argparse
from pathlib import Path

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.splits.study import split_by_row
from earwitness.tables.files import read_table, write_table
from earwitness.tables.splits import SPLIT


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("grouped", type=Path, help="the split by source, whose train part the rows are drawn from (CSV)")
    parser.add_argument("split", type=Path, help="where the split goes (CSV)")
    parser.add_argument("--settings", type=json_object, required=True, help="the configuration's splits.row_random section (JSON)")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()

    write_table(args.split, split_by_row(read_table(args.grouped, SPLIT), **args.settings, seed=args.seed), SPLIT)


if __name__ == "__main__":
    main()
