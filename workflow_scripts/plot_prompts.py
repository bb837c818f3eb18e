"""Draw the prompt search: progress, gains on unseen sources, score by length, and gains by duration and SNR."""

import argparse
from pathlib import Path

from earwitness.core.errors import InputError, one_line_errors
from earwitness.report.prompt_figures import FIGURES, PromptTables
from earwitness.report.style import figure_style, save_figure
from earwitness.tables.files import read_table
from earwitness.tables.prompt_gains import PROMPT_CONDITIONS, PROMPT_GAINS, PROMPT_HISTORY


@one_line_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gains", type=Path, required=True, help="what chosen questions gain (CSV)")
    parser.add_argument("--history", type=Path, required=True, help="every search's questions (CSV)")
    parser.add_argument("--conditions", type=Path, required=True, help="accuracy by duration and SNR (CSV)")
    parser.add_argument("--svg", type=Path, nargs="+", required=True, help=f"where the SVG files go, each named after a figure: {', '.join(FIGURES)}")
    args = parser.parse_args()

    tables = PromptTables(
        read_table(args.gains, PROMPT_GAINS), read_table(args.history, PROMPT_HISTORY), read_table(args.conditions, PROMPT_CONDITIONS)
    )
    for svg in args.svg:
        if svg.stem not in FIGURES:
            raise InputError(f"--svg: no figure called {svg.stem}; name any of {', '.join(FIGURES)}")
        with figure_style(tables.gains.system_id):
            save_figure(FIGURES[svg.stem](tables), svg, svg.with_suffix(".png"))


if __name__ == "__main__":
    main()
