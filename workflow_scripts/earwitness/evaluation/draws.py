"""How far the numbers of the published design depend on which sources and rows were drawn."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from earwitness.core.errors import InputError
from earwitness.evaluation.accuracy import metric_parts
from earwitness.evaluation.scored_answers import Outcomes, outcomes_on
from earwitness.statistics.clustered import Sample, estimate
from earwitness.statistics.distributions import t_quantile
from earwitness.systems import BY_ROW, HONEST_SPLIT, is_redrawn
from earwitness.tables.draws import (
    DRAWS,
    DROP,
    HONEST_OWN,
    HONEST_UNSEEN,
    LEAKAGE_BUYS,
    LEAKY_EXTENDED,
    LEAKY_FIRST,
    LEAKY_UNSEEN,
    QUANTITIES,
)
from earwitness.tables.predictions import by_system

METRICS = ("accuracy", "balanced_accuracy")
DIFFERENCES = {LEAKAGE_BUYS: (LEAKY_EXTENDED, LEAKY_UNSEEN), DROP: (LEAKY_EXTENDED, HONEST_OWN)}
"""Quantity -> the accuracy that it is, and the accuracy that is subtracted from it, within a draw."""
ON_UNSEEN = frozenset({LEAKY_UNSEEN, HONEST_UNSEEN, LEAKAGE_BUYS})
"""Quantities whose draws are all tested on the same unseen sources, so that the choice of these sources adds to their variance."""


def draw_table(predictions: pd.DataFrame, index: pd.DataFrame, splits: Mapping[str, pd.DataFrame], confidence: float) -> pd.DataFrame:
    """earwitness.tables.draws.DRAWS of every recipe that was trained on redrawn splits.

    predictions, index: PREDICTIONS and STIMULI; other systems are ignored. splits: SPLIT by name, the redrawn ones and "grouped".

    A draw's value is the mean over its seeds. Over D draws with mean m and standard deviation s, the interval of the mean is
    m +- t(D - 1) s / sqrt(D), and one more draw is expected within m +- t(D - 1) s sqrt(1 + 1 / D), the prediction interval of a normal
    variable. Every draw has training and test sources of its own, so s contains their chance and that of the seeds; all draws come from
    one pool of sources. Where all draws are tested on the same unseen sources, the jackknife variance of the mean over these sources
    (`estimate`) is added, with Satterthwaite's degrees of freedom. With fewer than 2 draws, or equal ones, there is no interval.
    Raises InputError where a split is missing, or no redrawn split was trained on.
    """
    on: dict[tuple[str, str], dict[int, Outcomes]] = {}
    for system, rows in by_system(predictions):
        if system.kind != "adapter" or not is_redrawn(system.split):
            continue
        for name in {HONEST_SPLIT, system.split} - set(splits):
            raise InputError(f"no split called {name} among {', '.join(splits) or 'none'}; {system} needs it: add it")
        kind, _, number = system.split.rpartition("_")
        if kind == BY_ROW:
            tests = {LEAKY_FIRST: (system.split, "dev"), LEAKY_EXTENDED: (system.split, "test"), LEAKY_UNSEEN: (HONEST_SPLIT, "test")}
        else:
            tests = {HONEST_OWN: (system.split, "test"), HONEST_UNSEEN: (HONEST_SPLIT, "test")}
        for quantity, (split, part) in tests.items():
            on.setdefault((system.name, quantity), {})[int(number)] = outcomes_on(rows, index, splits[split], part, quantity)
    if not on:
        raise InputError("no adapter was trained on a redrawn split; give the predictions of an experiment on by_row or by_source")
    tables = []
    for recipe in dict.fromkeys(name for name, _ in on):
        outcomes = {quantity: found for (name, quantity), found in on.items() if name == recipe}
        for metric in METRICS:
            values = {quantity: {draw: _value(of, metric) for draw, of in found.items()} for quantity, found in outcomes.items()}
            for quantity, (of, minus) in DIFFERENCES.items():
                both = sorted(set(values.get(of, {})) & set(values.get(minus, {})))
                if both:
                    values[quantity] = {draw: values[of][draw] - values[minus][draw] for draw in both}
            for quantity in (name for name in QUANTITIES if name in values):
                first, second = DIFFERENCES.get(quantity, (quantity, quantity))
                unseen = [outcomes[second][draw] for draw in values[quantity]] if quantity in ON_UNSEEN else []
                n_items = len(next(iter(outcomes[first].values())).items)
                tables.append(
                    _rows(values[quantity], _variance_of_sources(unseen, metric), confidence, quantity in DIFFERENCES).assign(
                        recipe=recipe, quantity=quantity, metric=metric, n_items=n_items
                    )
                )
    return pd.concat(tables, ignore_index=True)[list(DRAWS.columns)]


def _value(outcomes: Outcomes, metric: str) -> float:
    return estimate(*metric_parts(outcomes, metric)).value


def _variance_of_sources(draws: Sequence[Outcomes], metric: str) -> tuple[float, float] | None:
    """Variance over sources, and its degrees of freedom, of the mean over draws tested on the same stimuli."""
    if not draws:
        return None
    parts = [metric_parts(outcomes, metric) for outcomes in draws]
    samples = [
        Sample(np.mean([of_draw[k].totals.mean(axis=0) for of_draw, _ in parts], axis=0)[None, :], parts[0][0][k].counts)
        for k in range(len(parts[0][0]))
    ]
    result = estimate(samples, parts[0][1])
    return (result.variance, result.df) if result.known else None


def _rows(values: Mapping[int, float], sources: tuple[float, float] | None, confidence: float, is_difference: bool) -> pd.DataFrame:
    alone = [
        {"draw": str(draw), "value": value, "lowest": value, "highest": value, "n_draws": 1} | dict.fromkeys(_INTERVALS, math.nan)
        for draw, value in sorted(values.items())
    ]
    return pd.DataFrame([*alone, *_together(list(values.values()), sources, confidence, is_difference)])


_INTERVALS = ("low", "high", "sd", "next_low", "next_high")


def _together(values: Iterable[float], sources: tuple[float, float] | None, confidence: float, is_difference: bool) -> list[dict[str, object]]:
    drawn = np.array(list(values))
    if len(drawn) < 2:
        return []
    mean, sd, df = float(drawn.mean()), float(drawn.std(ddof=1)), len(drawn) - 1.0
    terms = [(sd**2 / len(drawn), df)] + ([sources] if sources else [])
    total = sum(variance for variance, _ in terms)
    df_mean = total**2 / sum(variance**2 / df for variance, df in terms) if total else df
    half = float(t_quantile((1 + confidence) / 2, df_mean)) * math.sqrt(total)
    further = float(t_quantile((1 + confidence) / 2, df)) * sd * math.sqrt(1 + 1 / len(drawn))
    least = -1.0 if is_difference else 0.0
    low, high = np.clip([mean - half, mean + half], least, 1.0).tolist() if half else (math.nan, math.nan)
    next_low, next_high = np.clip([mean - further, mean + further], least, 1.0).tolist() if sd else (math.nan, math.nan)
    return [
        {"draw": "all", "value": mean, "low": low, "high": high, "sd": sd, "lowest": drawn.min(), "highest": drawn.max()}
        | {"next_low": next_low, "next_high": next_high, "n_draws": len(drawn)}
    ]
