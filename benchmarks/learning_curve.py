"""How often the learning curve's interval holds the truth, in simulated studies whose truth is a line in log-odds. Prints a table."""

import argparse

import numpy as np
import pandas as pd
from scipy.special import expit

from earwitness.core.randomness import stream
from earwitness.evaluation.experiments import Arm
from earwitness.evaluation.learning_curve import learning_curves
from earwitness.evaluation.scored_answers import Outcomes
from earwitness.systems import System
from earwitness.tables.columns import LABELS


def coverage(studies: int, sources: int, items: int, seeds: int, levels_off: bool) -> None:
    """Print, per number of training speakers, the truth, the share of intervals that hold it, and their median width.

    Sources differ by 1 and trainings by 0.15 (standard deviations, in log-odds); every doubling of the speakers adds 0.25,
    up to 40 speakers only where it levels off.
    """
    sizes, targets = (3, 6, 12, 24, 40), (40, 50, 100, 200)
    random = stream(1, "benchmark", "curve")
    names = np.repeat([f"{label}{number}" for label in LABELS for number in range(sources)], items)
    rows = pd.DataFrame({"source_id": names, "label": np.repeat(LABELS, sources * items)})
    population = random.normal(size=200_000)
    truth = {target: float(expit(_log_odds(target, levels_off) + population).mean()) for target in targets}
    held: dict[int, list[bool]] = {target: [] for target in targets}
    widths: dict[int, list[float]] = {target: [] for target in targets}
    for _ in range(studies):
        by_source = np.repeat(random.normal(size=2 * sources), items)
        arms = []
        for size in sizes:
            right = random.random((seeds, len(rows))) < expit(_log_odds(size, levels_off) + random.normal(0, 0.15, (seeds, 1)) + by_source)
            outcomes = Outcomes(
                System("adapter", "a", f"train_{size}"), "unseen", tuple(map(str, range(seeds))), rows, right, 2.0 * right - 1, right.all(axis=0)
            )
            arms.append(Arm((size, size), outcomes, outcomes))
        line = learning_curves(arms, 0.95).query("kind != 'measured'").set_index("training_speakers")
        for target in targets:
            low, high = line.low[target], line.high[target]
            held[target].append(bool(low < truth[target] < high))
            widths[target].append(high - low)
    print(f"{studies} studies, {sources} sources of each class with {items} items, {seeds} seeds, trained on {', '.join(map(str, sizes))} speakers")
    print("| speakers | truth | intervals that hold it | median width, points |")
    print("| ---: | ---: | ---: | ---: |")
    for target in targets:
        width = 100 * float(np.median(widths[target]))
        print(f"| {target} | {100 * truth[target]:.1f} % | {100 * np.mean(held[target]):.1f} % | {width:.1f} |")


def _log_odds(speakers: int, levels_off: bool) -> float:
    return float(0.9 + 0.25 * np.log2(min(speakers, 40) if levels_off else speakers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for option, default in (("--studies", 300), ("--sources", 28), ("--items", 20), ("--seeds", 3)):
        parser.add_argument(option, type=int, default=default)
    parser.add_argument("--levels-off", action="store_true", help="accuracy rises no more beyond 40 speakers")
    args = parser.parse_args()
    coverage(args.studies, args.sources, args.items, args.seeds, args.levels_off)


if __name__ == "__main__":
    main()
