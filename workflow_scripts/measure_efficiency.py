"""Put what each adapter of an experiment cost beside what it gained."""

import argparse
import json
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.evaluation.experiments import efficiency_table
from earwitness.tables.experiments import EFFICIENCY, EXPERIMENT
from earwitness.tables.files import read_table, write_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("costs", type=Path, nargs="+", help="{recipe}/{split}/seed-{seed}/costs.json of every adapter")
    parser.add_argument("--experiment", type=Path, required=True, help="table of recipes and seeds (CSV)")
    parser.add_argument("--efficiency", type=Path, required=True, help="where costs and accuracy go (CSV)")
    args = parser.parse_args()

    costs = {}
    for path in args.costs:
        recipe, split, seed = path.parts[-4:-1]
        costs[recipe, split, seed.removeprefix("seed-")] = json.loads(path.read_text(encoding="utf-8"))
    write_table(args.efficiency, efficiency_table(costs, read_table(args.experiment, EXPERIMENT)), EFFICIENCY)


if __name__ == "__main__":
    main()
