"""Draw what the published design gives from draw to draw."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.evaluation.claims import load_claims
from earwitness.report.draws_figure import draw_draws
from earwitness.report.style import figure_style, save_figure
from earwitness.tables.draws import DRAWS
from earwitness.tables.files import read_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("draws", type=Path, help="accuracy per draw (CSV)")
    parser.add_argument("claims", type=Path, help="what the published study claimed (YAML)")
    parser.add_argument("svg", type=Path, help="where the SVG goes")
    parser.add_argument("png", type=Path, help="where the PNG goes")
    args = parser.parse_args()

    draws, published = read_table(args.draws, DRAWS), load_claims(args.claims).published
    with figure_style():
        save_figure(draw_draws(draws, published), args.svg, args.png)


if __name__ == "__main__":
    main()
