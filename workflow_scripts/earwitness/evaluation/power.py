"""What a comparison could have found, what would settle it, and where the variance of an accuracy comes from."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.comparison import family_of, paired_samples
from earwitness.evaluation.scored_answers import Outcomes
from earwitness.statistics.clustered import Components, variance_components
from earwitness.statistics.distributions import t_quantile, t_tail
from earwitness.systems import System
from earwitness.tables.columns import LABELS
from earwitness.tables.files import validate
from earwitness.tables.power import POWER, VARIANCE

HALVES = [0.5, 0.5]
MOST_TIMES = 1000.0
"""Largest multiple of the present sources that is tried. If it is not enough, more seeds are needed, not more sources."""


@dataclass(frozen=True)
class Design:
    """A comparison as planned: variance components of the difference, and how many seeds and sources of each class."""

    components: Components
    n_seeds: int
    n_sources: tuple[float, ...]

    def error(self, times: float = 1.0) -> tuple[float, float]:
        """Expected standard error and degrees of freedom with `times` as many sources of every class."""
        variance, df = self.components.of_mean(self.n_seeds, [max(2.0, times * n) for n in self.n_sources])
        return math.sqrt(variance), df


def power_of_difference(difference: float, error: float, df: float, level: float) -> float:
    """Probability that a two-sided t-test at `level` finds a true difference.

    P(|T| > t_(1 - level/2, df)), where T is noncentral t with noncentrality |difference| / error (Cohen 1988, chapter 2).
    error: standard error of the difference. df: its degrees of freedom.
    """
    from scipy import stats  # loads slowly

    limit, noncentrality = t_quantile(1 - level / 2, df), abs(difference) / error
    power = stats.nct.sf(limit, df, noncentrality) + stats.nct.cdf(-limit, df, noncentrality)
    # Far out, the noncentral distribution is lost in rounding, and power is certain.
    return 1.0 if math.isnan(power) or noncentrality > limit + 30 else float(power)


def power_of_equivalence(margin: float, error: float, df: float, level: float) -> float:
    """Probability that two one-sided t-tests at `level` show equivalence within the margin where there is no difference.

    2 P(T < margin / error - t_(1 - level, df)) - 1 with T central t, not below 0: an approximation (Schuirmann 1987); the exact
    probability takes a bivariate noncentral t distribution (Phillips 1990).
    """
    return max(0.0, float(2 * t_tail(t_quantile(1 - level, df) - margin / error, df) - 1))


def detectable_difference(error: float, df: float, level: float, power: float) -> float:
    """The smallest true difference that a two-sided t-test at `level` finds with this power: the root of `power_of_difference`."""
    high = 2.0 * error
    while power_of_difference(high, error, df, level) < power:
        high *= 2
    return float(optimize.brentq(lambda d: power_of_difference(d, error, df, level) - power, 0.0, high))


def times_sources(design: Design, reached: Callable[[float, float], float], power: float) -> float:
    """The least multiple of the sources at which the power is reached; inf where no multiple up to MOST_TIMES is enough.

    reached: the power, given a standard error and its degrees of freedom. The multiple is below 1 where fewer sources would do. It is
    searched for on a grid, because power can fall with more sources: where most of the variance comes from a few seeds, more sources lower
    the degrees of freedom.
    """

    def missing(log_times: float) -> float:
        return reached(*design.error(math.exp(log_times))) - power

    grid = np.linspace(math.log(2 / max(design.n_sources)), math.log(MOST_TIMES), 60)
    enough = next((k for k, log_times in enumerate(grid) if missing(float(log_times)) >= 0), None)
    if enough is None:
        return math.inf
    return math.exp(grid[0] if enough == 0 else float(optimize.brentq(missing, grid[enough - 1], grid[enough], xtol=1e-4)))


def power_table(systems: Sequence[Outcomes], comparisons: pd.DataFrame, statistics: Mapping[str, float]) -> pd.DataFrame:
    """earwitness.tables.power.POWER: every comparison of the declared family on unseen sources.

    comparisons: COMPARISONS of these systems. statistics: confidence, equivalence_margin and power of the configuration.
    A primary contrast is tested at the level 1 - confidence, an exploratory one at that over their number in its family (Bonferroni), the
    strictest that Holm's method can ask for; equivalence is tested at 1 - confidence.
    """
    unseen = {outcomes.system: outcomes for outcomes in systems if outcomes.test_set == "unseen"}
    records: list[dict[Any, Any]] = comparisons.to_dict("records")
    exploratory = Counter(family_of(row) for row in records if row["role"] == "exploratory")
    rows = []
    for row in records:
        level = (1 - statistics["confidence"]) / (1 if row["role"] == "primary" else exploratory[family_of(row)])
        samples = paired_samples(*(unseen[System.parse(row[name])] for name in ("system_a", "system_b")))
        identity = {name: row[name] for name in ("system_a", "system_b", "conclusion", "difference")}
        counts = {f"n_{label.lower()}_sources": sample.n_sources for label, sample in zip(LABELS, samples, strict=True)}
        components = variance_components(samples, HALVES)
        known: dict[str, Any] = {}
        if components is not None:
            known = _settled(Design(components, samples[0].n_seeds, tuple(float(s.n_sources) for s in samples)), row["difference"], level, statistics)
        rows.append({**identity, **counts, "n_seeds": samples[0].n_seeds, "level": level, "power": statistics["power"], **known})
    return validate(pd.DataFrame(rows, columns=list(POWER.columns)), POWER)


def _settled(design: Design, observed: float, level: float, statistics: Mapping[str, float]) -> dict[str, float]:
    power, margin = statistics["power"], statistics["equivalence_margin"]
    error, df = design.error()

    def times_for(difference: float) -> float:
        if not difference:
            return math.inf
        return times_sources(design, lambda error, df: power_of_difference(difference, error, df, level), power)

    return {
        "standard_error": error,
        "minimum_detectable_difference": detectable_difference(error, df, level, power),
        "times_sources_for_observed": times_for(observed),
        "times_sources_for_margin": times_for(margin),
        "times_sources_for_equivalence": times_sources(
            design, lambda error, df: power_of_equivalence(margin, error, df, 1 - statistics["confidence"]), power
        ),
    }


def variance_table(systems: Sequence[Outcomes]) -> pd.DataFrame:
    """earwitness.tables.power.VARIANCE: every system on its test sets."""
    rows = []
    for outcomes in systems:
        samples, weights = metric_parts(outcomes, "balanced_accuracy")
        components = variance_components(samples, weights)
        if components is None:
            continue
        seeds, several = len(outcomes.seeds), len(outcomes.seeds) > 1
        numbers = [sample.n_sources for sample in samples]
        variances = {
            "seed": (components.seed, 1.0, seeds, several),
            "speech_source": (components.sources[0], 0.25 / numbers[0], numbers[0], True),
            "nonspeech_source": (components.sources[1], 0.25 / numbers[1], numbers[1], True),
            "speech_residual": (components.residuals[0], 0.25 / numbers[0], seeds * numbers[0], several),
            "nonspeech_residual": (components.residuals[1], 0.25 / numbers[1], seeds * numbers[1], several),
        }
        parts = {name: variance * share / (1 if name.endswith("source") else seeds) for name, (variance, share, _, _) in variances.items()}
        total = sum(parts.values())
        for name, (variance, _, n, estimable) in variances.items():
            rows.append(
                {
                    "system_id": outcomes.system_id,
                    "test_set": outcomes.test_set,
                    "component": name,
                    "n": n,
                    "sd": math.sqrt(variance) if estimable else np.nan,
                    "share_of_variance": parts[name] / total if estimable and total else np.nan,
                }
            )
    return validate(pd.DataFrame(rows, columns=list(VARIANCE.columns)), VARIANCE)
