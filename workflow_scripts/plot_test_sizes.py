"""Draw what test sets of different sizes can resolve."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.report.style import figure_style, save_figure
from earwitness.report.test_sizes_figure import draw_test_sizes
from earwitness.tables.experiments import TEST_SIZES
from earwitness.tables.files import read_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=Path, help="table of sizes (CSV)")
    parser.add_argument("svg", type=Path, help="where the SVG goes")
    parser.add_argument("png", type=Path, help="where the PNG goes")
    args = parser.parse_args()

    sizes = read_table(args.sizes, TEST_SIZES)
    with figure_style(sizes.system_id):
        save_figure(draw_test_sizes(sizes), args.svg, args.png)


if __name__ == "__main__":
    main()
