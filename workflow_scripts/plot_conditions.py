"""Draw balanced accuracy by duration and signal-to-noise ratio."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.report.conditions_figure import draw_conditions
from earwitness.report.style import figure_style, save_figure
from earwitness.tables.accuracy import CONDITION_ACCURACY
from earwitness.tables.files import read_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("conditions", type=Path, help="accuracy per condition (CSV)")
    parser.add_argument("svg", type=Path, help="where the SVG goes")
    parser.add_argument("png", type=Path, help="where the PNG goes")
    args = parser.parse_args()

    conditions = read_table(args.conditions, CONDITION_ACCURACY)
    with figure_style(conditions.system_id):
        save_figure(draw_conditions(conditions), args.svg, args.png)


if __name__ == "__main__":
    main()
