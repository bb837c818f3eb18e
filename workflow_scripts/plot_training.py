"""Draw loss and learning rate against step of every adapter."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.report.style import figure_style, save_figure
from earwitness.report.training_figure import draw_training, read_histories


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("histories", type=Path, nargs="+", help="histories, .../{recipe}/{split}/seed-{seed}/history.csv")
    parser.add_argument("--svg", type=Path, required=True, help="where the SVG goes")
    parser.add_argument("--png", type=Path, required=True, help="where the PNG goes")
    args = parser.parse_args()

    with figure_style():
        save_figure(draw_training(read_histories(args.histories)), args.svg, args.png)


if __name__ == "__main__":
    main()
