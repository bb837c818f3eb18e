"""Speed of the psychometric fits against psignifit, and bias and coverage of thresholds on simulated observers.

    PYTHONPATH=workflow_scripts python benchmarks/psychometrics.py speed
    PYTHONPATH=workflow_scripts python benchmarks/psychometrics.py coverage --studies 400

speed fits the same simulated data sets with both programs (psignifit must be installed) and prints seconds per fit, the ratio,
and how far the thresholds differ; then the time of a threshold with its interval. coverage simulates studies whose sources and seeds
differ in threshold and prints, per number of sources in each class, the bias of the threshold and how often the intervals hold the truth.
"""

import argparse
import importlib.metadata
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from earwitness.core.randomness import stream
from earwitness.psychometrics.fitting import fit_curves
from earwitness.psychometrics.functions import Curves, Family, FloatArray
from earwitness.psychometrics.resampling import SourceCounts, balanced, leave_out
from earwitness.psychometrics.thresholds import Settings, measure_threshold

LEVELS = np.log10([20.0, 40, 80, 160, 500, 800, 1000])
SETTINGS = Settings(Family(), target=0.75, confidence=0.95, n_bootstrap=400)


@dataclass(frozen=True)
class Population:
    """Sources whose thresholds are normal on the logarithm of the duration, with one slope and lapse rate."""

    median_ms: float = 70.0
    between_sources: float = 0.15
    between_seeds: float = 0.0
    n_seeds: int = 1
    scale: float = 0.2
    lapse: float = 0.02
    trials_per_level: int = 600

    @property
    def threshold(self) -> float:
        """Decimal logarithm of where the curve averaged over sources, which is again normal, is at the target."""
        z = special.ndtri((SETTINGS.target - 0.5) / (0.5 - self.lapse))
        return float(np.log10(self.median_ms) + z * np.sqrt(self.scale**2 + self.between_sources**2 + self.between_seeds**2))

    def samples(self, n_sources: tuple[int, int], rng: np.random.Generator) -> list[SourceCounts]:
        """Answers to both classes by every seed."""
        seeds = rng.normal(0, self.between_seeds, (self.n_seeds, 1))
        return [self._sample(seeds, n, rng) for n in n_sources]

    def _sample(self, seeds: FloatArray, n_sources: int, rng: np.random.Generator) -> SourceCounts:
        location = (np.log10(self.median_ms) + seeds + rng.normal(0, self.between_sources, n_sources)).ravel()
        curves = Curves(Family(), location, np.full(len(location), self.scale), np.full(len(location), self.lapse)).at(LEVELS)
        trials = self.trials_per_level // (2 * n_sources)
        correct = rng.binomial(trials, curves).astype(float).reshape(self.n_seeds, n_sources, -1)
        return SourceCounts(correct, np.full(correct.shape[1:], float(trials)))


def data_sets(number: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Counts of as many observers, 90 trials at each level; shape (number, n_levels)."""
    curves = Curves(Family(), rng.normal(1.9, 0.15, number), rng.uniform(0.12, 0.35, number), rng.uniform(0, 0.05, number)).at(LEVELS)
    return rng.binomial(90, curves).astype(float), np.full(curves.shape, 90.0)


def speed(n_oracle: int) -> None:
    """Print the table of times."""
    import psignifit

    version = importlib.metadata.version("psignifit")
    rng = stream(1, "benchmark", "speed")
    correct, total = data_sets(1000, rng)
    batch = min(_timed(lambda: fit_curves(LEVELS, correct, total, Family())) for _ in range(5)) / len(correct)
    single = np.median([_timed(lambda k=k: fit_curves(LEVELS, correct[k], total[k], Family())) for k in range(50)])
    ours = fit_curves(LEVELS, correct, total, Family()).threshold(0.75)
    times, differences = [], []
    for k in range(n_oracle):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            result = psignifit.psignifit(np.column_stack([LEVELS, correct[k], total[k]]), experiment_type="2AFC", sigmoid="norm")
            times.append(time.perf_counter() - start)
            differences.append(10 ** (ours[k] - float(result.threshold(0.75, return_ci=False))) - 1)
    oracle = float(np.median(times))
    print(f"psignifit {version}, one fit (median of {n_oracle})     {oracle:.3f} s")
    print(f"one fit, alone (median of 50)                 {1e3 * single:.2f} ms   {oracle / single:,.0f} times faster")
    print(f"one fit, of 1,000 at once                     {1e3 * batch:.3f} ms  {oracle / batch:,.0f} times faster")
    apart = 100 * np.abs(differences)
    print(f"threshold against psignifit's                 {np.median(apart):.2f} % apart (median), {np.max(apart):.2f} % (largest)")
    for seeds in (1, 5):
        counts = leave_out(Population(n_seeds=seeds).samples((32, 38), rng), balanced)
        seconds = np.median([_timed(lambda counts=counts: measure_threshold(LEVELS, counts, SETTINGS, rng, LEVELS)) for _ in range(5)])
        print(f"threshold and interval, 32 + 38 sources, {seeds} seed{'s' if seeds > 1 else ' '} {seconds:.2f} s")


def coverage(n_studies: int) -> None:
    """Print the table of bias and coverage."""
    print(f"{n_studies} studies each\n")
    print("| sources per class | seeds | their SD, decades | truth | bias | standard error | intervals that hold the truth | status ok |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for n_sources, n_seeds, between in ((5, 1, 0.0), (10, 1, 0.0), (20, 1, 0.0), (24, 5, 0.0), (24, 5, 0.1), (24, 5, 0.2), (12, 3, 0.1)):
        population = Population(between_seeds=between, n_seeds=n_seeds)
        values, held = [], []
        for study in range(n_studies):
            rng = stream(2, "benchmark", n_sources, n_seeds, between, study)
            counts = leave_out(population.samples((n_sources, n_sources), rng), balanced)
            result = measure_threshold(LEVELS, counts, SETTINGS, rng, LEVELS)
            if result.status == "ok":
                values.append(result.value)
                held.append(result.low <= population.threshold <= result.high)
        bias, error = np.mean(values) - population.threshold, np.std(values)
        known = f"{10**population.threshold:.1f} ms | {100 * (10**bias - 1):+.1f} % | {100 * (10**error - 1):.1f} %"
        print(f"| {n_sources} | {n_seeds} | {between:g} | {known} | {100 * np.mean(held):.1f} % | {100 * len(held) / n_studies:.0f} % |", flush=True)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("speed").add_argument("--oracle-fits", type=int, default=10, help="data sets that psignifit fits too")
    commands.add_parser("coverage").add_argument("--studies", type=int, default=400, help="simulated studies per number of sources")
    args = parser.parse_args()
    if args.command == "speed":
        speed(args.oracle_fits)
    else:
        coverage(args.studies)


if __name__ == "__main__":
    main()
