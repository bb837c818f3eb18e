"""Coverage of the intervals and type I error of the tests in use, beside naive ones, by simulation of clustered answers.

    PYTHONPATH=workflow_scripts python benchmarks/inference.py --studies 400 --figure benchmarks/inference.png

A study has as many sources in each of two classes, 50 stimuli each, and answers that are right with a chance of its own for every
source (standard deviation 0.7 logits), seed (0.15) and pair of both (0.2). Coverage: how often the 95 % interval of balanced accuracy
holds its value over the population of sources and seeds. Type I error: how often two systems of equal accuracy, which differ by source
(0.5 logits), are called different at 5 %.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from scipy import special, stats

from earwitness.core.randomness import stream
from earwitness.report.style import GRID, INK, MUTED, figure_style
from earwitness.statistics.clustered import Sample, durkalski_p, estimate, mcnemar_p, naive_interval, sign_flip_p

FloatArray = npt.NDArray[np.float64]
HALVES = [0.5, 0.5]
SOURCES = (5, 10, 20, 40)
STIMULI = 50


@dataclass(frozen=True)
class Population:
    """Standard deviations in logits around a mean; difference: between two systems, by source."""

    mean: float = 1.2
    source: float = 0.7
    seed: float = 0.15
    seed_by_source: float = 0.2
    difference: float = 0.5

    @property
    def accuracy(self) -> float:
        """Mean over sources and seeds."""
        return self._mean_accuracy(np.sqrt(self.source**2 + self.seed**2 + self.seed_by_source**2))

    def _mean_accuracy(self, spread: float) -> float:
        nodes, weights = np.polynomial.hermite_e.hermegauss(61)
        return float(weights @ special.expit(self.mean + spread * nodes) / weights.sum())

    def answers(self, n_seeds: int, n_sources: int, rng: np.random.Generator) -> list[Sample]:
        """Right answers of one system to both classes; a seed is the same in both."""
        seed = rng.normal(0, self.seed, (n_seeds, 1)) if n_seeds > 1 else np.zeros((1, 1))
        return [self._counted(self._logits(seed, n_seeds, n_sources, rng), rng) for _ in range(2)]

    def _logits(self, seed: FloatArray, n_seeds: int, n_sources: int, rng: np.random.Generator) -> FloatArray:
        crossed = rng.normal(0, self.seed_by_source, (n_seeds, n_sources)) if n_seeds > 1 else 0.0
        spread = self.source if n_seeds > 1 else np.sqrt(self.source**2 + self.seed**2 + self.seed_by_source**2)
        return np.asarray(self.mean + seed + rng.normal(0, spread, (1, n_sources)) + crossed)

    def _counted(self, logits: FloatArray, rng: np.random.Generator) -> Sample:
        totals = rng.binomial(STIMULI, special.expit(logits)).astype(np.float64)
        return Sample(totals, np.full(logits.shape[1], float(STIMULI)))

    def pairs(self, n_sources: int, rng: np.random.Generator) -> tuple[list[Sample], int, int]:
        """Differences of two equally accurate systems in both classes, and how many stimuli only one of them gets right."""
        samples, only_a, only_b = [], 0, 0
        spread = self.difference / np.sqrt(2)
        for _ in range(2):
            shared = rng.normal(self.mean, self.source, (n_sources, 1))
            right = [rng.random((n_sources, STIMULI)) < special.expit(shared + rng.normal(0, spread, (n_sources, 1))) for _ in range(2)]
            samples.append(Sample((right[0].astype(float) - right[1]).sum(axis=1)[None], np.full(n_sources, float(STIMULI))))
            only_a += int((right[0] & ~right[1]).sum())
            only_b += int((right[1] & ~right[0]).sum())
        return samples, only_a, only_b


def bootstrap_interval(samples: Sequence[Sample], rng: np.random.Generator, draws: int = 400) -> tuple[float, float]:
    """Percentiles of balanced accuracy over resampled sources of each class; seeds stay as they are."""
    means = np.zeros(draws)
    for sample in samples:
        picked = rng.integers(0, sample.n_sources, (draws, sample.n_sources))
        means += 0.5 * sample.totals.mean(axis=0)[picked].sum(axis=1) / sample.counts[picked].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def seed_interval(samples: Sequence[Sample]) -> tuple[float, float]:
    """Mean and t interval over seeds alone, as is often reported; a single seed has none."""
    per_seed = 0.5 * (samples[0].means + samples[1].means)
    if len(per_seed) < 2:
        return np.nan, np.nan
    low, high = stats.t.interval(0.95, len(per_seed) - 1, per_seed.mean(), max(stats.sem(per_seed), 1e-12))
    return float(low), float(high)


def coverage(n_seeds: int, n_sources: int, studies: int, population: Population) -> dict[str, float]:
    """Share of studies whose 95 % interval holds the population's accuracy, by method; nan where a method has no interval."""
    held: dict[str, list[float]] = {}
    for study in range(studies):
        rng = stream(1, "inference", n_seeds, n_sources, study)
        samples = population.answers(n_seeds, n_sources, rng)
        intervals = {
            "by source and seed (in use)": estimate(samples, HALVES).interval(0.95, 0, 1),
            "cluster bootstrap": bootstrap_interval(samples, rng),
            "naive (independent items)": naive_interval(samples, HALVES, 0.95),
            "over seeds alone": seed_interval(samples),
        }
        for name, (low, high) in intervals.items():
            held.setdefault(name, []).append(np.nan if np.isnan(low) else float(low <= population.accuracy <= high))
    return {name: float(np.mean(values)) for name, values in held.items()}


def type_one_error(n_sources: int, studies: int, population: Population) -> dict[str, float]:
    """Share of studies in which equally accurate systems are called different at 5 %, by test."""
    tests: dict[str, Callable[[list[Sample], int, int], float]] = {
        "t by source (in use)": lambda samples, *_: estimate(samples, HALVES).p_zero(),
        "sign flip by source": lambda samples, *_: sign_flip_p(np.concatenate([0.5 * s.totals[0] / s.counts.sum() for s in samples])),
        "Durkalski": lambda samples, *_: durkalski_p(np.concatenate([s.totals[0] / s.counts / s.n_sources for s in samples])),
        "McNemar (independent items)": lambda _, *discordant: mcnemar_p(*discordant),
    }
    found = dict.fromkeys(tests, 0)
    for study in range(studies):
        samples, only_a, only_b = population.pairs(n_sources, stream(2, "inference", n_sources, study))
        for name, test in tests.items():
            found[name] += test(samples, only_a, only_b) < 0.05
    return {name: count / studies for name, count in found.items()}


def draw(covered: dict[tuple[int, int], dict[str, float]], wrong: dict[int, dict[str, float]]) -> Figure:
    """Coverage against sources, a panel per number of seeds, and type I error."""
    seeds = sorted({n_seeds for n_seeds, _ in covered})
    figure = Figure(figsize=(3.1 * (len(seeds) + 1), 3.6), layout="constrained")
    panels = figure.subplots(1, len(seeds) + 1)
    colours = ("#00795a", "#0072b2", "#a8437f", "#7a5200")
    for axes, n_seeds in zip(panels, seeds, strict=False):
        for colour, name in zip(colours, covered[n_seeds, SOURCES[0]], strict=True):
            axes.plot(SOURCES, [100 * covered[n_seeds, n][name] for n in SOURCES], "o-", color=colour, ms=4, label=name)
        axes.axhline(95, color=MUTED, lw=1, ls=(0, (4, 3)))
        axes.set(title="one seed" if n_seeds == 1 else f"{n_seeds} seeds", ylim=(0, 102), ylabel="coverage of the 95 % interval (%)")
    for colour, name in zip(colours, wrong[SOURCES[0]], strict=True):
        panels[-1].plot(SOURCES, [100 * wrong[n][name] for n in SOURCES], "o-", color=colour, ms=4, label=name)
    panels[-1].axhline(5, color=MUTED, lw=1, ls=(0, (4, 3)))
    panels[-1].set(title="two equal systems", ylim=(0, None), ylabel="called different at 5 % (%)")
    panels[-1].legend(fontsize=7)
    panels[0].legend(fontsize=7, loc="lower right")
    for axes in panels:
        axes.set_xlabel("sources in each class", color=INK)
        axes.set_xscale("log", base=2)
        axes.set_xticks(SOURCES, [str(n) for n in SOURCES])
        axes.grid(color=GRID, lw=0.5)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400, help="simulated studies per row (default: 400)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 3, 5], help="training seeds (default: 1 3 5)")
    parser.add_argument("--figure", type=Path, help="where a figure goes (PNG)")
    args = parser.parse_args()

    population = Population()
    covered = {(k, n): coverage(k, n, args.studies, population) for k in args.seeds for n in SOURCES}
    wrong = {n: type_one_error(n, args.studies, population) for n in SOURCES}
    for head, table in (("seeds, sources", covered), ("sources", wrong)):
        names = list(next(iter(table.values())))
        print(f"| {head} | {' | '.join(names)} |\n|---|{'---:|' * len(names)}")
        for key, row in table.items():
            cells = " | ".join("–" if np.isnan(row[name]) else f"{100 * row[name]:.1f} %" for name in names)
            print(f"| {', '.join(map(str, np.atleast_1d(key)))} | {cells} |")
        print()
    if args.figure is not None:
        with figure_style():
            draw(covered, wrong).savefig(args.figure, dpi=110, metadata={"Software": None}, facecolor="white")


if __name__ == "__main__":
    main()
