"""Draw what leakage buys, beside the published numbers."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.evaluation.claims import load_claims
from earwitness.report.leakage_figure import draw_leakage
from earwitness.report.style import figure_style, save_figure
from earwitness.tables.accuracy import ACCURACY, SOURCE_ACCURACY
from earwitness.tables.comparisons import LEAKAGE
from earwitness.tables.files import read_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("leakage", type=Path, help="what leakage buys (CSV)")
    parser.add_argument("accuracy", type=Path, help="accuracy per system (CSV)")
    parser.add_argument("sources", type=Path, help="accuracy per source (CSV)")
    parser.add_argument("claims", type=Path, help="what the published study claimed (YAML)")
    parser.add_argument("svg", type=Path, help="where the SVG goes")
    parser.add_argument("png", type=Path, help="where the PNG goes")
    args = parser.parse_args()

    leakage, accuracy, sources = read_table(args.leakage, LEAKAGE), read_table(args.accuracy, ACCURACY), read_table(args.sources, SOURCE_ACCURACY)
    with figure_style(accuracy.system_id):
        save_figure(draw_leakage(leakage, accuracy, sources, load_claims(args.claims).published), args.svg, args.png)


if __name__ == "__main__":
    main()
