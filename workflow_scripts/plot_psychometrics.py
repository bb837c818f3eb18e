"""Draw the psychometric functions, sensitivity, and accuracy by band, room, duration and SNR."""

import argparse
from pathlib import Path

from earwitness.core.errors import InputError, one_line_errors
from earwitness.evaluation.claims import load_claims
from earwitness.report.psychometric_figures import FIGURES, PsychometricTables
from earwitness.report.style import figure_style, save_figure
from earwitness.tables.files import read_table
from earwitness.tables.psychometrics import CURVES, POINTS, THRESHOLDS


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=Path, required=True, help="measures of each condition (CSV)")
    parser.add_argument("--curves", type=Path, required=True, help="fitted curves (CSV)")
    parser.add_argument("--thresholds", type=Path, required=True, help="thresholds (CSV)")
    parser.add_argument("--claims", type=Path, required=True, help="what the published study claimed (YAML)")
    parser.add_argument("--svg", type=Path, nargs="+", required=True, help=f"where the SVG files go, each named after a figure: {', '.join(FIGURES)}")
    args = parser.parse_args()

    published = load_claims(args.claims).published
    tables = PsychometricTables(read_table(args.points, POINTS), read_table(args.curves, CURVES), read_table(args.thresholds, THRESHOLDS), published)
    for svg in args.svg:
        if svg.stem not in FIGURES:
            raise InputError(f"--svg: no figure called {svg.stem}; name any of {', '.join(FIGURES)}")
        with figure_style(tables.points.system_id):
            save_figure(FIGURES[svg.stem](tables), svg, svg.with_suffix(".png"))


if __name__ == "__main__":
    main()
