"""Draw balanced accuracy per system with intervals and a dot per source."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.report.accuracy_figure import draw_accuracy
from earwitness.report.style import figure_style, save_figure
from earwitness.tables.accuracy import ACCURACY, SOURCE_ACCURACY
from earwitness.tables.files import read_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("accuracy", type=Path, help="accuracy per system (CSV)")
    parser.add_argument("sources", type=Path, help="accuracy per source (CSV)")
    parser.add_argument("svg", type=Path, help="where the SVG goes")
    parser.add_argument("png", type=Path, help="where the PNG goes")
    args = parser.parse_args()

    accuracy, sources = read_table(args.accuracy, ACCURACY), read_table(args.sources, SOURCE_ACCURACY)
    with figure_style(accuracy.system_id):
        save_figure(draw_accuracy(accuracy, sources), args.svg, args.png)


if __name__ == "__main__":
    main()
