"""Draw every recipe and split of an experiment, and its learning curves."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.report.experiment_figure import draw_experiment
from earwitness.report.style import figure_style, save_figure
from earwitness.tables.experiments import EXPERIMENT, LEARNING_CURVE
from earwitness.tables.files import read_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path, help="table of recipes and seeds (CSV)")
    parser.add_argument("learning_curve", type=Path, help="learning curves (CSV)")
    parser.add_argument("svg", type=Path, help="where the SVG goes")
    parser.add_argument("png", type=Path, help="where the PNG goes")
    args = parser.parse_args()

    with figure_style():
        figure = draw_experiment(read_table(args.experiment, EXPERIMENT), read_table(args.learning_curve, LEARNING_CURVE))
        save_figure(figure, args.svg, args.png)


if __name__ == "__main__":
    main()
