"""Draw the published study's design again: its split by row, or the one that it corrected that by."""

import argparse
from pathlib import Path

from earwitness.core.arguments import json_object, settings_of
from earwitness.core.errors import one_line_errors
from earwitness.splits.study import PublishedDesign, redraw_design
from earwitness.systems import BY_ROW, BY_SOURCE
from earwitness.tables.files import read_table, write_table
from earwitness.tables.splits import SPLIT
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("grouped", type=Path, help="the split by source, whose train part is drawn from (CSV)")
    parser.add_argument("split", type=Path, help="where the split goes (CSV)")
    parser.add_argument("--index", type=Path, required=True, help="index of all stimuli (Parquet)")
    parser.add_argument("--kind", choices=[BY_ROW, BY_SOURCE], required=True, help="which of the two splits of a draw")
    parser.add_argument("--draw", type=int, required=True, help="number of the draw, from 0")
    parser.add_argument("--settings", type=json_object, required=True, help="the configuration's splits.redrawn section (JSON)")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()

    grouped, index = read_table(args.grouped, SPLIT), read_table(args.index, STIMULI)
    design = settings_of(PublishedDesign, "--settings", args.settings)
    write_table(args.split, redraw_design(grouped, index, design, args.draw, args.seed)[args.kind], SPLIT)


if __name__ == "__main__":
    main()
