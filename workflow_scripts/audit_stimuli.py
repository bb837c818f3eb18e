"""Check the stimuli of all shards against what was asked for, and write one index of them."""

import argparse
from pathlib import Path

from earwitness.core.arguments import json_object
from earwitness.core.errors import one_line_errors
from earwitness.stimuli.audit import audit_stimuli
from earwitness.stimuli.design import DESIGNS
from earwitness.tables.files import write_table
from earwitness.tables.stimuli import STIMULI


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path, nargs="+", help="tables of stimuli (Parquet)")
    parser.add_argument("--index", type=Path, required=True, help="where the rows of all shards go, without audio (Parquet)")
    parser.add_argument("--design", choices=list(DESIGNS), required=True, help="what was asked for: the factorial set, or the baseline")
    parser.add_argument("--settings", type=json_object, required=True, help="what the design's stimuli depend on (JSON)")
    args = parser.parse_args()

    write_table(args.index, audit_stimuli(args.shards, DESIGNS[args.design](args.settings)), STIMULI)


if __name__ == "__main__":
    main()
