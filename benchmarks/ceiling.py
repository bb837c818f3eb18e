"""Coverage of the intervals of an accuracy and of a difference where sources are few, unequal or skewed, up to the ceiling.

    PYTHONPATH=workflow_scripts python benchmarks/ceiling.py --studies 500

A study has two classes with as many sources each. Sizes: 50 stimuli a source ("equal"); 1 to 40, log-uniform ("1 to 40"); or
400 k^-1.3 for the k-th source ("Zipf"). Every source has a log-odds of its own. Spread: normal with standard deviation 0.7 or 2;
Student's t with 2 degrees of freedom x 0.7; lognormal, with a tail of bad sources; or one source in ten 6 lower than all others.
The mean is set so that the population's accuracy is the named truth. Of two systems, b differs from a (normal, 0.7, around the
named log-odds) by source: normal with standard deviation 0.5, around 0 or around -0.5; one source in ten 3 lower; lognormal.
Half of the answers of a source are paired. Printed is the lowest coverage of the 95 % interval over the spreads, and the median
width where the spread is normal. The last table is what the rules say of answers written by hand.
"""

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from earwitness.core.randomness import stream
from earwitness.statistics.clustered import Sample, estimate

FloatArray = npt.NDArray[np.float64]
Spread = Callable[[np.random.Generator, tuple[int, ...]], FloatArray]

HALVES = [0.5, 0.5]
TRUTHS = (0.5, 0.75, 0.9, 0.97, 0.99, 0.995)
LOG_ODDS = (0.0, 1.2, 3.0, 5.0, 6.5)
SOURCES = (5, 10, 28, 60)
POPULATION = 300_000

SPREADS: dict[str, Spread] = {
    "normal 0.7": lambda random, shape: 0.7 * random.normal(size=shape),
    "normal 2": lambda random, shape: 2 * random.normal(size=shape),
    "heavy tails": lambda random, shape: 0.7 * random.standard_t(2, size=shape),
    "lognormal": lambda random, shape: -random.lognormal(0, 1, shape),
    "one in ten bad": lambda random, shape: np.where(random.random(shape) < 0.1, -6.0, 0.0),
}
DIFFERENCES: dict[str, Spread] = {
    "normal 0.5": lambda random, shape: 0.5 * random.normal(size=shape),
    "normal 0.5 around -0.5": lambda random, shape: 0.5 * random.normal(size=shape) - 0.5,
    "one in ten bad": lambda random, shape: np.where(random.random(shape) < 0.1, -3.0, 0.0),
    "lognormal": lambda random, shape: -random.lognormal(-1, 1, shape),
}


def item_counts(kind: str, n_sources: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Stimuli of each source."""
    if kind == "equal":
        return np.full(n_sources, 50)
    if kind == "1 to 40":
        return np.maximum(1, np.round(np.exp(random.uniform(0, np.log(40), n_sources)))).astype(np.int64)
    return np.maximum(1, 400 / np.arange(1, n_sources + 1) ** 1.3).astype(np.int64)


SIZES = ("equal", "1 to 40", "Zipf")


def accuracy_coverage(truth: float, n_sources: int, size: str, spread: str, studies: int) -> tuple[float, float, float]:
    """Share of intervals of balanced accuracy, and of one class, that hold the truth, and the median width of the former."""
    random = stream(1, "ceiling", truth, n_sources, size, spread)
    draw = SPREADS[spread]
    population = draw(random, (POPULATION,))
    mean = float(optimize.brentq(lambda m: special.expit(m + population).mean() - truth, -20, 60))
    held, widths = np.zeros(2), []
    for _ in range(studies):
        samples = []
        for _ in range(2):
            counts = item_counts(size, n_sources, random)
            right = random.binomial(counts, special.expit(mean + draw(random, (n_sources,))))
            samples.append(Sample(right[None].astype(float), counts.astype(float)))
        intervals = estimate(samples, HALVES).interval(0.95, 0, 1), estimate(samples[:1], [1.0]).interval(0.95, 0, 1)
        held += [low <= truth <= high for low, high in intervals]
        widths.append(intervals[0][1] - intervals[0][0])
    return held[0] / studies, held[1] / studies, float(np.median(widths))


def difference_coverage(log_odds: float, n_sources: int, size: str, spread: str, studies: int) -> tuple[float, float, float]:
    """The same of the difference between two systems (a minus b)."""
    random = stream(2, "ceiling", log_odds, n_sources, size, spread)
    draw = DIFFERENCES[spread]

    def chances(shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        a = log_odds + 0.7 * random.normal(size=shape)
        return special.expit(a), special.expit(a + draw(random, shape))

    a, b = chances((POPULATION,))
    truth = float((a - b).mean())
    held, widths = np.zeros(2), []
    for _ in range(studies):
        samples = []
        for _ in range(2):
            counts = item_counts(size, n_sources, random)
            samples.append(Sample(_paired_differences(counts, *chances((n_sources,)), random)[None], counts.astype(float), "difference"))
        intervals = estimate(samples, HALVES).interval(0.95, -1, 1), estimate(samples[:1], [1.0]).interval(0.95, -1, 1)
        held += [low <= truth <= high for low, high in intervals]
        widths.append(intervals[0][1] - intervals[0][0])
    return held[0] / studies, held[1] / studies, float(np.median(widths))


def _paired_differences(counts: npt.NDArray[np.int64], a: FloatArray, b: FloatArray, random: np.random.Generator) -> FloatArray:
    """Right answers of a minus those of b per source, where half of the items have one chance for both systems."""
    common = random.binomial(counts, 0.5)
    shared = np.sign(a - b) * random.binomial(common, np.abs(a - b))
    return np.asarray(shared + random.binomial(counts - common, a) - random.binomial(counts - common, b), dtype=float)


def by_hand(n_sources: int, errors: tuple[int, int]) -> tuple[str, str]:
    """The interval of balanced accuracy, and p of equivalence within 3 points, of 50 items a source of which so many in each class
    are wrong (differ), all of the first source."""
    counts = np.full(n_sources, 50.0)
    deficits = [np.where(np.arange(n_sources) == 0, float(wrong), 0.0) for wrong in errors]
    low, high = estimate([Sample((counts - wrong)[None], counts) for wrong in deficits], HALVES).interval(0.95, 0, 1)
    result = estimate([Sample(wrong[None], counts, "difference") for wrong in deficits], HALVES)
    ends = result.interval(0.95, -1, 1)
    return f"{100 * low:.2f} to {100 * high:.2f}", f"{100 * ends[0]:+.2f} to {100 * ends[1]:+.2f}, p {result.p_equivalence(0.03):.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=500, help="simulated studies per design (default: 500)")
    args = parser.parse_args()

    tables = (
        ("truth", accuracy_coverage, [(truth, f"{100 * truth:g} %") for truth in TRUTHS], tuple(SPREADS)),
        ("difference, log-odds of a", difference_coverage, [(odds, f"{odds:g}") for odds in LOG_ODDS], tuple(DIFFERENCES)),
    )
    for head, measure, rows, spreads in tables:
        print(f"| {head} | sources | {' | '.join(f'{size}: both classes | one class | width' for size in SIZES)} |")
        print(f"|---:|---:|{'---:|' * 3 * len(SIZES)}")
        below = total = 0
        for value, name in rows:
            for n_sources in SOURCES:
                cells = []
                for size in SIZES:
                    found = {spread: measure(value, n_sources, size, spread, args.studies) for spread in spreads}
                    below += sum(result[0] < 0.93 for result in found.values())
                    total += len(found)
                    lowest = [min(result[k] for result in found.values()) for k in (0, 1)]
                    cells.append(f"{100 * lowest[0]:.1f} % | {100 * lowest[1]:.1f} % | {100 * found[spreads[0]][2]:.1f}")
                print(f"| {name} | {n_sources} | {' | '.join(cells)} |", flush=True)
        print(f"\n{below} of {total} designs below 93 % (both classes).\n")
    print("| sources per class | wrong (different) answers per class | balanced accuracy | difference, p of equivalence within 3 points |")
    print("|---:|---|---|---|")
    for n_sources in (10, 28, 60):
        for errors in ((0, 0), (1, 0), (1, 1), (10, 10)):
            print(f"| {n_sources} | {errors[0]}, {errors[1]} | {' | '.join(by_hand(n_sources, errors))} |")


if __name__ == "__main__":
    main()
