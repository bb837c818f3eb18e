"""Draw what an experiment's recipes cost against how accurate they are."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.report.efficiency_figure import draw_efficiency
from earwitness.report.style import figure_style, save_figure
from earwitness.tables.experiments import EFFICIENCY
from earwitness.tables.files import read_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("efficiency", type=Path, help="costs and accuracy of every adapter (CSV)")
    parser.add_argument("svg", type=Path, help="where the SVG goes")
    parser.add_argument("png", type=Path, help="where the PNG goes")
    args = parser.parse_args()

    with figure_style():
        save_figure(draw_efficiency(read_table(args.efficiency, EFFICIENCY)), args.svg, args.png)


if __name__ == "__main__":
    main()
