"""Draw several models side by side: accuracy as they are and fine-tuned, and their thresholds."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.report.models_figure import draw_models
from earwitness.report.style import figure_style, save_figure
from earwitness.tables.accuracy import ACCURACY
from earwitness.tables.comparisons import COMPARISONS
from earwitness.tables.files import read_table
from earwitness.tables.psychometrics import THRESHOLDS


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("accuracy", type=Path, help="accuracy per system (CSV)")
    parser.add_argument("comparisons", type=Path, help="systems against each other (CSV)")
    parser.add_argument("svg", type=Path, help="where the SVG goes")
    parser.add_argument("png", type=Path, help="where the PNG goes")
    parser.add_argument("--thresholds", type=Path, nargs="?", help="thresholds, if the baseline was run (CSV)")
    args = parser.parse_args()

    accuracy, comparisons = read_table(args.accuracy, ACCURACY), read_table(args.comparisons, COMPARISONS)
    thresholds = None if args.thresholds is None else read_table(args.thresholds, THRESHOLDS)
    with figure_style(accuracy.system_id):
        save_figure(draw_models(accuracy, comparisons, thresholds), args.svg, args.png)


if __name__ == "__main__":
    main()
