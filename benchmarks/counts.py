"""How often intervals and tests of `fit_counts` hold, in simulated subjects whose midpoints and slopes differ. Prints a table."""

import argparse

import numpy as np
import pandas as pd

from earwitness.core.randomness import stream
from earwitness.psychometrics.counts import Analysis, fit_counts
from earwitness.psychometrics.fitting import RangePrior
from earwitness.psychometrics.functions import Curves, Family, FloatArray
from earwitness.psychometrics.thresholds import Settings

FAMILY = Family("normal", 0.0, 0.0)
SETTINGS = Settings(FAMILY, 0.5, 0.95, 100, RangePrior())
LEVELS = np.arange(-15.0, 16.0, 5.0)
SHIFT_DB, SCALE_DB, TRIALS = 2.0, 6.0, 40
"""Difference of the conditions' midpoints, standard deviation of the curve, trials per level, condition and subject."""


def subjects(n: int, own_db: float, own_shift_db: float, own_slope: float, rng: np.random.Generator) -> pd.DataFrame:
    """Counts of n subjects. own_db, own_shift_db: standard deviations of their midpoints and of their difference; own_slope: of the logarithm
    of their scales."""
    rows = []
    for number in range(n):
        place, shift, scale = rng.normal(0, own_db), SHIFT_DB + rng.normal(0, own_shift_db), SCALE_DB * np.exp(rng.normal(0, own_slope))
        for name, at in (("a", place), ("b", place + shift)):
            share = Curves(FAMILY, np.array([at]), np.array([scale]), np.zeros(1)).at(LEVELS)[0]
            rows.append(
                pd.DataFrame({"condition": name, "source": f"s{number}", "level": LEVELS, "correct": rng.binomial(TRIALS, share), "total": TRIALS})
            )
    return pd.concat(rows, ignore_index=True).astype({"level": float, "correct": float, "total": float})


def ends(of: dict[str, float]) -> FloatArray:
    return np.array([of["low"], of["high"]], dtype=float)


def coverage(n: int, own_shift_db: float, own_slope: float, replicates: int, mixed: bool) -> None:
    """Print a row: the share of intervals of the difference of midpoints that hold it."""
    rng = stream(1, "benchmark", "counts", n, own_shift_db, own_slope)
    held: dict[str, list[bool]] = {name: [] for name in ("jackknife", "other subjects", "independent answers", "mixed model")}
    for _ in range(replicates):
        table = subjects(n, 4.0, own_shift_db, own_slope, rng)
        variants = {
            "jackknife": table,
            "other subjects": table.assign(source=table.source + table.condition),
            "independent answers": table.assign(source="-"),
        }
        for name, rows in variants.items():
            _, result = fit_counts(rows, Analysis("linear", SETTINGS, mixed=mixed and name == "jackknife"), 1)
            low, high = ends(result["comparisons"][0]["point_of_subjective_equality"])
            held[name].append(bool(low < SHIFT_DB < high))
            if "mixed_model" in result and result["mixed_model"]["status"] == "ok":
                low, high = ends(result["mixed_model"]["comparisons"][0]["point_of_subjective_equality"])
                held["mixed model"].append(bool(low < SHIFT_DB < high))
    shares = " | ".join(f"{100 * np.mean(each):.0f} %" if each else "–" for each in held.values())
    print(f"| {n} | {own_shift_db:g} | {own_slope:g} | {shares} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--no-mixed", dest="mixed", action="store_false", help="leave the mixed model out, which takes most of the time")
    args = parser.parse_args()
    print("| subjects | own difference, dB | own slopes | same subjects, jackknife | as if others | independent answers | mixed model |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for n in (6, 12):
        for own_shift_db, own_slope in ((0.0, 0.0), (0.0, 0.4), (2.0, 0.4)):
            coverage(n, own_shift_db, own_slope, args.replicates, args.mixed)


if __name__ == "__main__":
    main()
