"""Draw reliability diagrams of every calibrated system."""

import argparse
from pathlib import Path

from earwitness.core.errors import one_line_errors
from earwitness.report.reliability_figure import draw_reliability
from earwitness.report.style import figure_style, save_figure
from earwitness.tables.calibration import CALIBRATION, CALIBRATION_FITS, RELIABILITY
from earwitness.tables.files import read_table


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reliability", type=Path, help="bins of the diagrams (CSV)")
    parser.add_argument("calibration", type=Path, help="how well probabilities hold (CSV)")
    parser.add_argument("fits", type=Path, help="calibrations, one of each system's chosen (CSV)")
    parser.add_argument("svg", type=Path, help="where the SVG goes")
    parser.add_argument("png", type=Path, help="where the PNG goes")
    args = parser.parse_args()

    reliability, calibration = read_table(args.reliability, RELIABILITY), read_table(args.calibration, CALIBRATION)
    with figure_style(reliability.system_id):
        save_figure(draw_reliability(reliability, calibration, read_table(args.fits, CALIBRATION_FITS)), args.svg, args.png)


if __name__ == "__main__":
    main()
