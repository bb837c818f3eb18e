"""Fit psychometric functions to counts (CSV: level, correct, total) and print threshold, interval and status as JSON.

A column `source` (speaker, listener, subject, recording) makes intervals treat sources, not answers, as independent. A column `condition`
fits a curve to each condition and compares every other one with the reference: ratio of thresholds (difference on a linear axis), of
points of subjective equality and of just noticeable differences, each with interval and p.

In the output, location, scale and width are on the axis (decades of the level on a log axis); midpoint (the point of subjective equality),
width and just_noticeable_difference are those of the unscaled sigmoid (at 0.5, from 0.05 to 0.95, half of 0.25 to 0.75); slope is
the derivative of the curve at the threshold, per decade or per unit. A threshold is null where `status` is not ok, and an end of its
interval where it lies outside the tested levels; the isotonic threshold likewise. Status: right_censored, left_censored (beyond the
highest, the lowest level), never (levelled off below the target), non_monotone (it falls somewhere; where higher levels are harder
throughout, give levels with the other sign, on a linear axis), flat (no rise above 10 points is compatible with the data), undecided (too
few answers to tell).
"""

import argparse
import json
import math
from pathlib import Path

from earwitness.core.arguments import Arguments
from earwitness.core.errors import InputError, one_line_errors
from earwitness.core.files import refuse_overwriting, write_json
from earwitness.corpora.text_tables import read_text_table
from earwitness.psychometrics.axes import AXES
from earwitness.psychometrics.counts import Analysis, checked_counts, fit_counts
from earwitness.psychometrics.fitting import RangePrior
from earwitness.psychometrics.functions import SIGMOIDS, Family
from earwitness.psychometrics.thresholds import Settings

FREE, SHARED = "free", "shared"


def number_in(low: float, high: float, text: str) -> float:
    """Parse a command-line number of [low, high]."""
    value = float(text)
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
    return value


def guess_rate(text: str) -> float | None:
    """Parse a rate in [0, 0.95], or free."""
    return None if text == FREE else number_in(0, 0.95, text)


def lapse_rate(text: str) -> float | str:
    """Parse a rate in [0, 0.95], free or shared."""
    return text if text in (FREE, SHARED) else number_in(0, 0.95, text)


def proportion(text: str) -> float:
    """Parse a proportion in [0.001, 0.999]."""
    return number_in(0.001, 0.999, text)


def resamples(text: str) -> int:
    """Parse a number of resamples, at least 100."""
    if not (number := number_in(100, 1_000_000, text)).is_integer():
        raise argparse.ArgumentTypeError(f"{text} is no whole number")
    return int(number)


def picture(text: str) -> Path:
    """Parse the name of a picture."""
    if Path(text).suffix.lower() not in (".svg", ".png"):
        raise argparse.ArgumentTypeError(f"{text} does not end with .svg or .png")
    return Path(text)


EXAMPLES = """\
examples:
  earwitness fit counts.csv --axis log --guess-rate 0.5 --target 0.75                two alternatives, forced choice
  earwitness fit yesno.csv --axis linear --guess-rate free --target 0.5              yes or no, with false alarms
  earwitness fit longer.csv --axis linear --guess-rate 0 --lapse-rate 0 --target 0.5 --plot fit.svg
                                                                                     which is longer? PSE and JND
  earwitness fit two.csv --lapse-rate shared --reference quiet                       conditions compared, one lapse rate
  earwitness fit subjects.csv --axis linear --guess-rate 0 --lapse-rate 0 --target 0.5 --mixed
                                                                                     mixed model of subjects
  earwitness fit counts.csv --sigmoid logistic --lapse-rate 0.02 --output fit.json

exit codes: 0 fitted, whatever the status; 1 bad input; 2 wrong command line
"""


@one_line_errors
def main() -> None:
    parser = Arguments(description=__doc__, epilog=EXAMPLES)
    parser.add_argument("counts", type=Path, help="table of counts (CSV) with columns level, correct, total and, optionally, source and condition")
    parser.add_argument("--output", type=Path, help="where the JSON goes; without it, to the screen")
    parser.add_argument("--plot", type=picture, help="draw points, curves and thresholds into this file, .svg or .png; needs matplotlib")
    parser.add_argument("--guess-rate", type=guess_rate, default=0.5, help="proportion correct by guessing; free: fitted (default 0.5)")
    parser.add_argument(
        "--lapse-rate",
        type=lapse_rate,
        default=FREE,
        help="hold it at this value; free: fitted; shared: one fitted for all conditions (default free)",
    )
    parser.add_argument("--axis", choices=AXES, default="log", help="fit on the decimal logarithm of the level, or on the level (default log)")
    parser.add_argument("--sigmoid", choices=list(SIGMOIDS), default="normal", help="gumbel on a log axis is Weibull's function (default normal)")
    parser.add_argument("--target", type=proportion, default=0.75, help="proportion correct at the threshold (default 0.75)")
    parser.add_argument("--confidence", type=proportion, default=0.95, help="level of the interval (default 0.95)")
    parser.add_argument("--reference", help="condition that the others are compared with (default: the first in the alphabet)")
    parser.add_argument("--mixed", action="store_true", help="also fit a mixed model: an intercept and a slope of each source, one lapse rate")
    parser.add_argument("--bootstrap", type=resamples, default=1000, help="number of resamples (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="root of the random draws (default 1)")
    args = parser.parse_args()

    if args.bootstrap < (least := math.ceil(2 / (1 - args.confidence))):
        parser.error(f"--confidence {args.confidence:g}: an end of such an interval needs --bootstrap {least} or more")

    refuse_overwriting([args.counts], [args.output, args.plot])
    numbers = ["level", "correct", "total"]
    table = read_text_table(args.counts, numbers=numbers, known=["condition", "source"]).apply(lambda column: column.str.strip())
    family = Family(args.sigmoid, args.guess_rate, None if args.lapse_rate in (FREE, SHARED) else args.lapse_rate)
    settings = Settings(family, args.target, args.confidence, args.bootstrap, RangePrior())
    analysis = Analysis(args.axis, settings, args.lapse_rate == SHARED, args.reference, args.mixed)
    curves, result = fit_counts(checked_counts(table, args.axis), analysis, args.seed)
    if args.plot:
        try:
            from earwitness.report.counts_figure import save_counts_figure
        except ModuleNotFoundError as error:
            raise InputError(f"--plot: needs {error.name}; run `pip install {error.name}`, or leave the option out") from error
        save_counts_figure(curves, args.axis, args.target, args.confidence, args.plot)
    if args.output:
        write_json(args.output, result)
    else:
        print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
