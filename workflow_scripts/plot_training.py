"""Draw loss and learning rate against step of every adapter."""

import argparse
from pathlib import Path

from earwitness.core.arguments import by_name
from earwitness.core.errors import one_line_errors
from earwitness.report.style import figure_style, save_figure
from earwitness.report.training_figure import draw_training, read_histories
from earwitness.systems import System


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("histories", type=Path, nargs="+", help="the history of every adapter's training (CSV)")
    parser.add_argument(
        "--systems", type=System.parse, nargs="+", required=True, help="the adapters, RECIPE-SPLIT-seed-SEED, in the order of the files"
    )
    parser.add_argument("--svg", type=Path, required=True, help="where the SVG goes")
    parser.add_argument("--png", type=Path, required=True, help="where the PNG goes")
    args = parser.parse_args()

    with figure_style(map(str, args.systems)):
        save_figure(draw_training(read_histories(by_name("--systems", args.systems, args.histories))), args.svg, args.png)


if __name__ == "__main__":
    main()
