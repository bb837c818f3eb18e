"""Put what each adapter of an experiment cost beside what it gained."""

import argparse
import json
from pathlib import Path

from earwitness.core.arguments import by_name
from earwitness.core.errors import one_line_errors
from earwitness.evaluation.experiments import efficiency_table
from earwitness.systems import System
from earwitness.tables.experiments import EFFICIENCY, EXPERIMENT
from earwitness.tables.files import read_table, write_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("costs", type=Path, nargs="+", help="what training each adapter took (JSON)")
    parser.add_argument(
        "--systems", type=System.parse, nargs="+", required=True, help="the adapters, RECIPE-SPLIT-seed-SEED, in the order of the files"
    )
    parser.add_argument("--experiment", type=Path, required=True, help="table of recipes and seeds (CSV)")
    parser.add_argument("--efficiency", type=Path, required=True, help="where costs and accuracy go (CSV)")
    args = parser.parse_args()

    files = by_name("--systems", args.systems, args.costs)
    costs = {system: json.loads(path.read_text(encoding="utf-8")) for system, path in files.items()}
    write_table(args.efficiency, efficiency_table(costs, read_table(args.experiment, EXPERIMENT)), EFFICIENCY)


if __name__ == "__main__":
    main()
