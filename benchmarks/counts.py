"""How often intervals and tests of `fit_counts` hold, in simulated subjects whose midpoints and slopes differ. Prints four tables."""

import argparse
import math

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from earwitness.core.randomness import stream
from earwitness.psychometrics.counts import MEASURES, Analysis, fit_counts
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


OWN_DB, CONDITIONS_DB = 3.0, {"a": -5.0, "b": 8.0}
"""Standard deviation of the midpoints of subjects with lapses; midpoints of their conditions, the second of which does not reach its ceiling."""


def with_lapses(n: int, lapse: float, rng: np.random.Generator) -> pd.DataFrame:
    """Counts of n subjects with one lapse rate in two conditions; one alone is in the middle."""
    family, rows = Family("normal", 0.0, lapse), []
    for number in range(n):
        place = rng.normal(0, OWN_DB) if n > 1 else 0.0
        for name, at in CONDITIONS_DB.items():
            share = Curves(family, np.array([at + place]), np.array([SCALE_DB]), np.array([lapse])).at(LEVELS)[0]
            right = rng.binomial(TRIALS, share)
            rows.append(pd.DataFrame({"condition": name, "source": f"s{number}", "level": LEVELS, "correct": right, "total": TRIALS}))
    return pd.concat(rows, ignore_index=True).astype({"level": float, "correct": float, "total": float})


def intervals_of_one(lapse: float, replicates: int) -> None:
    """Print a table for one subject with a shared, fitted lapse rate: by kind of interval, the shares that hold the midpoint and the just noticeable
    difference (JND) of the condition that shows its ceiling and of the one that does not, the difference of midpoints, and the ratio of JNDs; and
    how far lapse rate and second midpoint are from the truth on average."""
    log_jnd = math.log10(SCALE_DB * float(special.ndtri(0.75)))
    truth = np.array([CONDITIONS_DB["a"], log_jnd, CONDITIONS_DB["b"], log_jnd, CONDITIONS_DB["b"] - CONDITIONS_DB["a"], 0.0])
    rng = stream(1, "benchmark", "lapse", 1, lapse)
    tables = [with_lapses(1, lapse, rng) for _ in range(replicates)]
    print(
        "| intervals | midpoint, ceiling shown | its JND | midpoint, not shown | its JND | difference | ratio of JNDs | lapse rate | midpoint, dB |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for penalty, prior in (("", RangePrior()), (", lapse rate without penalty", RangePrior(lapse=(1.0, 1.0)))):
        settings = Settings(Family("normal", 0.0, None), 0.5, 0.95, 300, prior)
        held: dict[str, list[npt.NDArray[np.bool_]]] = {"in use": [], "percentiles of the draws": []}
        away = []
        for table in tables:
            curves, result = fit_counts(table, Analysis("linear", settings, share_lapse=True), 1)
            difference, ratio = (ends(result["comparisons"][0][measure]) for measure in MEASURES[1:])
            used = np.column_stack([*(curve.limits[:, 1:] for curve in curves), difference, np.log10(ratio)])
            first, second = (curve.draws[:, 1:] for curve in curves)
            drawn = np.quantile(np.hstack([first, second, second - first]), [0.025, 0.975], axis=0)
            for kind, (low, high) in zip(held, (used, drawn), strict=True):
                held[kind].append((low < truth) & (truth < high))
            away.append([result["shared_lapse_rate"] - lapse, curves[1].found[1] - CONDITIONS_DB["b"]])
        bias = " | ".join(f"{error:+.3f}" for error in np.mean(away, axis=0))
        for kind, each in held.items():
            print(f"| {kind}{penalty} | {' | '.join(f'{100 * share:.0f} %' for share in np.mean(each, axis=0))} | {bias} |", flush=True)


def coverage_with_lapses(n: int, lapse: float, replicates: int, mixed: bool) -> None:
    """Print a row: the shares of intervals of the second condition that hold its midpoint and just noticeable difference, and of the difference of
    midpoints, with a shared lapse rate, and in the mixed model with a fitted one. The curve of all subjects is wider than a single one's."""
    rng = stream(1, "benchmark", "lapse", n, lapse)
    settings = Settings(Family("normal", 0.0, None), 0.5, 0.95, 300, RangePrior())
    jnd = SCALE_DB * float(special.ndtri(0.75))
    shift = CONDITIONS_DB["b"] - CONDITIONS_DB["a"]
    held: dict[str, list[bool]] = {name: [] for name in ("midpoint", "jnd", "difference", "mixed midpoint", "mixed jnd", "mixed difference")}
    for _ in range(replicates):
        rows = with_lapses(n, lapse, rng)
        _, result = fit_counts(rows, Analysis("linear", settings, share_lapse=True, mixed=mixed), 1)
        given = [("", result["curves"]["b"], result["comparisons"][0], jnd * math.hypot(SCALE_DB, OWN_DB) / SCALE_DB)]
        if mixed and result["mixed_model"]["status"] == "ok":
            given.append(("mixed ", result["mixed_model"]["conditions"]["b"], result["mixed_model"]["comparisons"][0], jnd))
        for kind, own, comparison, width in given:
            held[f"{kind}midpoint"].append(_holds(own["point_of_subjective_equality"], CONDITIONS_DB["b"]))
            held[f"{kind}jnd"].append(_holds(own["just_noticeable_difference"], width))
            held[f"{kind}difference"].append(_holds(comparison["point_of_subjective_equality"], shift))
    shares = " | ".join(f"{100 * np.mean(each):.0f} %" if each else "–" for each in held.values())
    print(f"| {n} | {lapse:g} | {shares} | {len(held['mixed jnd'])} |", flush=True)


def _holds(of: dict[str, float], truth: float) -> bool:
    low, high = ends(of)
    return bool(low < truth < high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--no-mixed", dest="mixed", action="store_false", help="leave the mixed model out, which takes most of the time")
    parser.add_argument("--only-lapses", action="store_true", help="one subject with a fitted lapse rate alone, the second and third table")
    args = parser.parse_args()
    if not args.only_lapses:
        own_differences(args)
    for lapse in (0.02, 0.08):
        intervals_of_one(lapse, args.replicates)
    if not args.only_lapses:
        several_with_lapses(args)


def several_with_lapses(args: argparse.Namespace) -> None:
    """Print the last table."""
    print("| subjects | lapse rate | midpoint | JND | difference | mixed: midpoint | JND | difference | of studies |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for lapse in (0.02, 0.08):
        coverage_with_lapses(8, lapse, args.replicates, args.mixed)


def own_differences(args: argparse.Namespace) -> None:
    """Print the first table."""
    print("| subjects | own difference, dB | own slopes | same subjects, jackknife | as if others | independent answers | mixed model |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for n in (6, 12):
        for own_shift_db, own_slope in ((0.0, 0.0), (0.0, 0.4), (2.0, 0.4)):
            coverage(n, own_shift_db, own_slope, args.replicates, args.mixed)


if __name__ == "__main__":
    main()
